package diskimage

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// qemuImg makes an image with the real qemu-img and returns its path.
func qemuImg(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if filepath.IsAbs(name) {
		path = name
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "PATH", path)
	}
	if out, err := exec.Command("qemu-img", append([]string{"create", "-q"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img create %q: %v: %s", args, err, out)
	}
	return path
}

func readHeader(t testing.TB, path string, parse func(io.ReaderAt) (header, error)) (header, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return parse(f)
}

// checkRead holds what was read to the bytes and to the formats' limits.
func checkRead(t *testing.T, raw []byte, h header) {
	t.Helper()
	if int64(h.size) < 0 || len(h.backing) > maxBackingName || len(h.dataFile) > maxBackingName || len(h.backingFormat) > maxBackingFormat {
		t.Errorf("read %+v", h)
	}
	for _, text := range []string{h.backing, h.dataFile} {
		if !bytes.Contains(raw, []byte(text)) {
			t.Errorf("read %q, which isn't there", text)
		}
	}
}

// TestReadQcow2 reads headers that qemu-img wrote.
func TestReadQcow2(t *testing.T) {
	base := qemuImg(t, "base.raw", "-f", "raw", "PATH", "1M")
	longName := filepath.Join(t.TempDir(), strings.Repeat("n", 200))
	qemuImg(t, longName, "-f", "raw", longName, "1M")
	for name, c := range map[string]struct {
		args []string
		want header
	}{
		"plain":           {[]string{"PATH", "5G"}, header{size: 5 << 30}},
		"version 2":       {[]string{"-o", "compat=0.10", "PATH", "7M"}, header{size: 7 << 20}},
		"backing":         {[]string{"-F", "raw", "-b", base, "PATH"}, header{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"backing, v2":     {[]string{"-o", "compat=0.10", "-F", "raw", "-b", base, "PATH"}, header{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"small clusters":  {[]string{"-o", "cluster_size=1k", "-F", "raw", "-b", base, "PATH"}, header{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"big clusters":    {[]string{"-o", "cluster_size=2M", "PATH", "1T"}, header{size: 1 << 40}},
		"long name":       {[]string{"-F", "raw", "-b", longName, "PATH"}, header{size: 1 << 20, backing: longName, backingFormat: "raw"}},
		"extended L2":     {[]string{"-o", "extended_l2=on", "PATH", "1G"}, header{size: 1 << 30}},
		"external data":   {[]string{"-o", "data_file=PATH.data", "PATH", "3M"}, header{size: 3 << 20, dataFile: "PATH.data"}},
		"nothing in it":   {[]string{"PATH", "0"}, header{}},
		"backing on wire": {[]string{"-u", "-F", "raw", "-b", "nbd://127.0.0.1:1/x", "PATH", "1M"}, header{size: 1 << 20, backing: "nbd://127.0.0.1:1/x", backingFormat: "raw"}},
	} {
		t.Run(name, func(t *testing.T) {
			image := qemuImg(t, "image", append([]string{"-f", "qcow2"}, c.args...)...)
			c.want.dataFile = strings.ReplaceAll(c.want.dataFile, "PATH", image)
			got, err := readHeader(t, image, parseQcow2)
			if err != nil || got != c.want {
				t.Errorf("read %+v (%v), want %+v", got, err, c.want)
			}
		})
	}
}

// qcow2Header is a version 3 header with a backing file's name after its extensions.
func qcow2Header(change func(h []byte)) []byte {
	h := make([]byte, 512)
	put32, put64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	put32(h, qcow2Magic)
	put32(h[4:], 3)
	put64(h[8:], 200)
	put32(h[16:], 9)
	put32(h[20:], 16)
	put64(h[24:], 1<<30)
	put32(h[100:], 104)
	put32(h[104:], extensionFormat)
	put32(h[108:], 5)
	copy(h[112:], "qcow2")
	copy(h[200:], "base.img\x00")
	if change != nil {
		change(h)
	}
	return h
}

func TestParseQcow2Refuses(t *testing.T) {
	put32, put64 := binary.BigEndian.PutUint32, binary.BigEndian.PutUint64
	if q, err := parseQcow2(bytes.NewReader(qcow2Header(func(h []byte) { put32(h[16:], 8) }))); err != nil ||
		q != (header{size: 1 << 30, backing: "base.img", backingFormat: "qcow2"}) {
		t.Fatalf("the header itself is %+v (%v)", q, err)
	}
	for name, raw := range map[string][]byte{
		"nothing":              nil,
		"raw":                  make([]byte, 4096),
		"cut short":            qcow2Header(nil)[:60],
		"v3 cut short":         qcow2Header(nil)[:80],
		"version 1":            qcow2Header(func(h []byte) { put32(h[4:], 1) }),
		"version 4":            qcow2Header(func(h []byte) { put32(h[4:], 4) }),
		"tiny clusters":        qcow2Header(func(h []byte) { put32(h[20:], 8) }),
		"huge clusters":        qcow2Header(func(h []byte) { put32(h[20:], 60) }),
		"absurd size":          qcow2Header(func(h []byte) { put64(h[24:], 1<<63) }),
		"absurd name":          qcow2Header(func(h []byte) { put32(h[16:], 1024) }),
		"name far away":        qcow2Header(func(h []byte) { put64(h[8:], 1<<40) }),
		"name beyond the file": qcow2Header(func(h []byte) { put64(h[8:], 60000) }),
		"offset overflows":     qcow2Header(func(h []byte) { put64(h[8:], 1<<64-1) }),
		"absurd extension":     qcow2Header(func(h []byte) { put32(h[108:], 1<<32-1) }),
		"absurd format":        qcow2Header(func(h []byte) { put32(h[108:], 64) }),
		"absurd data file": qcow2Header(func(h []byte) {
			put64(h[8:], 0)
			put64(h[72:], featureDataFile)
			put32(h[104:], extensionDataFile)
			put32(h[108:], 1024)
		}),
		"endless extensions": qcow2Header(func(h []byte) {
			put64(h[8:], 40000)
			for i := 104; i < 512; i += 8 {
				put32(h[i:], 7)
				put32(h[i+4:], 0)
			}
		}),
	} {
		if name == "endless extensions" {
			raw = append(raw, bytes.Repeat([]byte{0, 0, 0, 7, 0, 0, 0, 0}, 8000)...)
		}
		if q, err := parseQcow2(bytes.NewReader(raw)); err == nil {
			t.Errorf("%s was read as %+v", name, q)
		}
	}
}

func FuzzParseQcow2(f *testing.F) {
	f.Add(qcow2Header(nil))
	f.Add(qcow2Header(func(h []byte) { binary.BigEndian.PutUint32(h[4:], 2) }))
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := parseQcow2(bytes.NewReader(raw))
		if err != nil {
			return
		}
		checkRead(t, raw, q)
	})
}
