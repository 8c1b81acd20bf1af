package storage

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/guest"
)

// Namespaces of NVMe as QEMU's controllers have them, of which each gives its
// one namespace a serial and no name that lasts.
func TestNVMeNamespace(t *testing.T) {
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-ldflags", "-s -w", "-o", filepath.Join(dir, "init"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build guest: %v\n%s", err, said)
	}
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	pc := guest.PC{Disks: []guest.PCDisk{{File: disk, Serial: "S64HNS0T500123"}}}
	var o inventory.Observation
	if err := json.Unmarshal(pc.Boot(t, filepath.Join(dir, "init"), nil, observeEnv+"="+observeInPC), &o); err != nil {
		t.Fatal(err)
	}
	d := find(t, &o, func(d inventory.BlockDevice) bool { return d.Serial == "S64HNS0T500123" })
	if !strings.HasPrefix(d.Name, "nvme") || d.Kind != "disk" || d.Model != "QEMU NVMe Ctrl" || d.WWN != "" || d.PathState != "live" ||
		d.NamespaceID == nil || *d.NamespaceID != 1 || len(d.Paths) > 0 || d.Size == nil || *d.Size != 4*inventory.MiB {
		t.Errorf("the namespace is %+v", d)
	}
}

// observeInPC is what observeEnv says to the first process of a PC.
const observeInPC = "pc"

func pcMain() {
	guest.PCMain(func(result io.Writer) error { return observeTo(result) })
}
