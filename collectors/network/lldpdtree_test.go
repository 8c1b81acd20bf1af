package network

import (
	"bytes"
	"context"
	"encoding/hex"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

// recordLLDPD keeps what lldpd says of eno1, under its version.
func recordLLDPD(t *testing.T, s *station) {
	version, err := exec.Command("lldpd", "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(context.Background(), "unix", filepath.Join(s.root, lldpdSocket))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply, err := callLLDPD(conn, lldpdGetInterface, lldpdString("eno1"))
	if err == nil {
		err = os.WriteFile("testdata/lldpd-"+strings.TrimSpace(string(version))+".hex", []byte(hex.EncodeToString(reply)+"\n"), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// recordedLLDPD gives the recordings: of Debian 12's lldpd, and of one that was
// built from lldpd's own source.
func recordedLLDPD(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/lldpd-*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings: %v", err)
	}
	replies := map[string][]byte{}
	for _, file := range files {
		replies[file] = recorded(t, filepath.Base(file))[0]
	}
	return replies
}

func TestRecordedLLDPD(t *testing.T) {
	want := []inventory.Neighbour{switchPort(), {ChassisID: "other", PortID: "y"}}
	for file, reply := range recordedLLDPD(t) {
		_, heard, err := decodeInterface(reply)
		if diff := cmp.Diff(want, heard); err != nil || diff != "" {
			t.Errorf("%s: error %v, neighbours (-want +got):\n%s", file, err, diff)
		}
		// Cut off anywhere, or with anything after it, it isn't understood.
		for end := 1; end < len(reply); end++ {
			if _, heard, err := decodeInterface(reply[:end]); err == nil || heard != nil {
				t.Errorf("%s: %d of %d bytes are understood as %v", file, end, len(reply), heard)
			}
		}
		if _, _, err := decodeInterface(append(bytes.Clone(reply), 0)); err == nil {
			t.Errorf("%s: a byte too many is understood", file)
		}
	}
}

// Whatever lldpd sends, taking it apart ends and reads nothing that isn't there.
func FuzzLLDPD(f *testing.F) {
	for _, reply := range recordedLLDPD(f) {
		f.Add(reply)
	}
	f.Fuzz(func(t *testing.T, reply []byte) {
		_, heard, _ := decodeInterface(reply)
		checkHeard(t, heard)
		if names, err := decodeInterfaces(reply); err == nil && len(names) > len(reply) {
			t.Errorf("%d names in %d bytes", len(names), len(reply))
		}
	})
}
