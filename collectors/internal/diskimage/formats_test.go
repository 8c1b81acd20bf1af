package diskimage

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"strings"
	"testing"
)

// TestReadOtherFormats reads headers that qemu-img wrote.
func TestReadOtherFormats(t *testing.T) {
	base := qemuImg(t, "base.raw", "-f", "raw", "PATH", "1M")
	for name, c := range map[string]struct {
		format string
		args   []string
		want   header
	}{
		"qed":               {"qed", []string{"PATH", "3G"}, header{size: 3 << 30}},
		"qed on raw":        {"qed", []string{"-F", "raw", "-b", base, "PATH"}, header{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"qed, big clusters": {"qed", []string{"-o", "cluster_size=1M", "-F", "raw", "-b", base, "PATH"}, header{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"vmdk":              {"vmdk", []string{"PATH", "2G"}, header{size: 2 << 30}},
		"vmdk stream":       {"vmdk", []string{"-o", "subformat=streamOptimized", "PATH", "64M"}, header{size: 64 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readHeader(t, qemuImg(t, "image", append([]string{"-f", c.format}, c.args...)...), parsers[c.format])
			if err != nil || got != c.want {
				t.Errorf("read %+v (%v), want %+v", got, err, c.want)
			}
		})
	}
}

// TestWhatItBeginsLike: an image that isn't what it is said to be is named by
// what it begins like.
func TestWhatItBeginsLike(t *testing.T) {
	for format, args := range map[string][]string{
		"qcow": nil, "qed": nil, "vmdk": nil, "vdi": nil, "vhdx": nil, "vpc": {"-o", "subformat=dynamic"},
	} {
		path := qemuImg(t, "image", append(append([]string{"-f", format}, args...), "PATH", "8M")...)
		if _, err := readHeader(t, path, parseQcow2); err == nil || !strings.Contains(err.Error(), "it begins like a "+format+" one") {
			t.Errorf("%s read as qcow2: %v", format, err)
		}
	}
	for _, claimed := range []string{"qed", "vmdk"} {
		path := qemuImg(t, "image", "-f", "qcow2", "PATH", "8M")
		if _, err := readHeader(t, path, parsers[claimed]); err == nil || !strings.Contains(err.Error(), "it begins like a qcow2 one") {
			t.Errorf("qcow2 read as %s: %v", claimed, err)
		}
	}
}

func qedHeader(change func(h []byte)) []byte {
	h := make([]byte, 4096)
	copy(h, qedMagic)
	binary.LittleEndian.PutUint32(h[4:], 4096)
	binary.LittleEndian.PutUint32(h[12:], 1)
	binary.LittleEndian.PutUint64(h[16:], qedBacking)
	binary.LittleEndian.PutUint64(h[48:], 1<<30)
	binary.LittleEndian.PutUint32(h[56:], 64)
	binary.LittleEndian.PutUint32(h[60:], 4)
	copy(h[64:], "base")
	if change != nil {
		change(h)
	}
	return h
}

func TestParseOthersRefuse(t *testing.T) {
	put32, put64 := binary.LittleEndian.PutUint32, binary.LittleEndian.PutUint64
	if h, err := parseQED(bytes.NewReader(qedHeader(nil))); err != nil || h != (header{size: 1 << 30, backing: "base"}) {
		t.Fatalf("the header itself is %+v (%v)", h, err)
	}
	for name, c := range map[string]struct {
		parse func(io.ReaderAt) (header, error)
		raw   []byte
	}{
		"nothing":           {parseQED, nil},
		"cut short":         {parseQED, qedHeader(nil)[:63]},
		"absurd size":       {parseQED, qedHeader(func(h []byte) { put64(h[48:], 1<<63) })},
		"absurd name":       {parseQED, qedHeader(func(h []byte) { put32(h[60:], 1<<32-1) })},
		"name far away":     {parseQED, qedHeader(func(h []byte) { put32(h[56:], 1<<32-1) })},
		"absurd header":     {parseQED, qedHeader(func(h []byte) { put32(h[12:], 1<<32-1) })},
		"name beyond file":  {parseQED, qedHeader(nil)[:66]},
		"vmdk, cut short":   {parseVMDK, []byte(vmdkMagic)},
		"vmdk, absurd size": {parseVMDK, append([]byte(vmdkMagic), bytes.Repeat([]byte{0xff}, 16)...)},
	} {
		if h, err := c.parse(bytes.NewReader(c.raw)); err == nil {
			t.Errorf("%s was read as %+v", name, h)
		}
	}
}

// failing is a disk that can't be read.
type failing struct{}

func (failing) ReadAt([]byte, int64) (int, error) { return 0, os.ErrDeadlineExceeded }

func TestReadErrorsAreTold(t *testing.T) {
	for format, parse := range parsers {
		if _, err := parse(failing{}); err != os.ErrDeadlineExceeded { //nolint:errorlint // exactly that
			t.Errorf("%s: error is %v", format, err)
		}
	}
}

func FuzzParseOthers(f *testing.F) {
	f.Add(qedHeader(nil))
	f.Add(append([]byte(vmdkMagic), make([]byte, 60)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, parse := range []func(io.ReaderAt) (header, error){parseQED, parseVMDK} {
			if h, err := parse(bytes.NewReader(raw)); err == nil {
				checkRead(t, raw, h)
			}
		}
	})
}
