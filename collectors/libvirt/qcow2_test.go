package libvirt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
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

// TestReadQcow2 reads headers that qemu-img wrote.
func TestReadQcow2(t *testing.T) {
	base := qemuImg(t, "base.raw", "-f", "raw", "PATH", "1M")
	longName := filepath.Join(t.TempDir(), strings.Repeat("n", 200))
	qemuImg(t, longName, "-f", "raw", longName, "1M")
	for name, c := range map[string]struct {
		args []string
		want qcow2
	}{
		"plain":           {[]string{"PATH", "5G"}, qcow2{size: 5 << 30}},
		"version 2":       {[]string{"-o", "compat=0.10", "PATH", "7M"}, qcow2{size: 7 << 20}},
		"backing":         {[]string{"-F", "raw", "-b", base, "PATH"}, qcow2{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"backing, v2":     {[]string{"-o", "compat=0.10", "-F", "raw", "-b", base, "PATH"}, qcow2{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"small clusters":  {[]string{"-o", "cluster_size=1k", "-F", "raw", "-b", base, "PATH"}, qcow2{size: 1 << 20, backing: base, backingFormat: "raw"}},
		"big clusters":    {[]string{"-o", "cluster_size=2M", "PATH", "1T"}, qcow2{size: 1 << 40}},
		"long name":       {[]string{"-F", "raw", "-b", longName, "PATH"}, qcow2{size: 1 << 20, backing: longName, backingFormat: "raw"}},
		"extended L2":     {[]string{"-o", "extended_l2=on", "PATH", "1G"}, qcow2{size: 1 << 30}},
		"external data":   {[]string{"-o", "data_file=PATH.data", "PATH", "3M"}, qcow2{size: 3 << 20}},
		"nothing in it":   {[]string{"PATH", "0"}, qcow2{}},
		"backing on wire": {[]string{"-u", "-F", "raw", "-b", "nbd://127.0.0.1:1/x", "PATH", "1M"}, qcow2{size: 1 << 20, backing: "nbd://127.0.0.1:1/x", backingFormat: "raw"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := readQcow2(qemuImg(t, "image", append([]string{"-f", "qcow2"}, c.args...)...))
			if err != nil || got != c.want {
				t.Errorf("read %+v (%v), want %+v", got, err, c.want)
			}
		})
	}
}

// header is a version 3 header with a backing file's name after its extensions.
func header(change func(h []byte)) []byte {
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
	if q, err := parseQcow2(bytes.NewReader(header(func(h []byte) { put32(h[16:], 8) }))); err != nil ||
		q != (qcow2{size: 1 << 30, backing: "base.img", backingFormat: "qcow2"}) {
		t.Fatalf("the header itself is %+v (%v)", q, err)
	}
	for name, raw := range map[string][]byte{
		"nothing":              nil,
		"raw":                  make([]byte, 4096),
		"cut short":            header(nil)[:60],
		"v3 cut short":         header(nil)[:80],
		"version 1":            header(func(h []byte) { put32(h[4:], 1) }),
		"version 4":            header(func(h []byte) { put32(h[4:], 4) }),
		"tiny clusters":        header(func(h []byte) { put32(h[20:], 8) }),
		"huge clusters":        header(func(h []byte) { put32(h[20:], 60) }),
		"absurd size":          header(func(h []byte) { put64(h[24:], 1<<63) }),
		"absurd name":          header(func(h []byte) { put32(h[16:], 1024) }),
		"name far away":        header(func(h []byte) { put64(h[8:], 1<<40) }),
		"name beyond the file": header(func(h []byte) { put64(h[8:], 60000) }),
		"offset overflows":     header(func(h []byte) { put64(h[8:], 1<<64-1) }),
		"absurd extension":     header(func(h []byte) { put32(h[108:], 1<<32-1) }),
		"absurd format":        header(func(h []byte) { put32(h[108:], 64) }),
		"endless extensions": header(func(h []byte) {
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
	f.Add(header(nil))
	f.Add(header(func(h []byte) { binary.BigEndian.PutUint32(h[4:], 2) }))
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, err := parseQcow2(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if int64(q.size) < 0 || len(q.backing) > maxBackingName || len(q.backingFormat) > maxBackingFormat {
			t.Errorf("read %+v", q)
		}
		if !bytes.Contains(raw, []byte(q.backing)) || !bytes.Contains(raw, []byte(q.backingFormat)) {
			t.Errorf("read what isn't there: %+v", q)
		}
	})
}

// TestReadChain follows real chains below a moved root.
func TestReadChain(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "img")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	qemuImg(t, in("ground.raw"), "-f", "raw", in("ground.raw"), "1M")
	qemuImg(t, in("a"), "-f", "qcow2", "-u", "-F", "raw", "-b", "ground.raw", in("a"), "1M")
	qemuImg(t, in("sub/b"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "../a", in("sub/b"), "1M")
	qemuImg(t, in("c"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "/img/sub/b", in("c"), "1M")
	qemuImg(t, in("loop1"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "loop2", in("loop1"), "1M")
	qemuImg(t, in("loop2"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "loop1", in("loop2"), "1M")
	qemuImg(t, in("over-nothing"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "nothing", in("over-nothing"), "1M")
	qemuImg(t, in("wire"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "nbd://h/x", in("wire"), "1M")
	qemuImg(t, in("lies"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "ground.raw", in("lies"), "1M")
	qemuImg(t, in("to-fifo"), "-f", "qcow2", "-u", "-F", "qcow2", "-b", "fifo", in("to-fifo"), "1M")
	// A guest that wrote a header into its raw disk must not be believed.
	if err := os.WriteFile(in("guest.raw"), header(nil), 0o644); err != nil {
		t.Fatal(err)
	}
	qemuImg(t, in("over-guest"), "-f", "qcow2", "-u", "-F", "raw", "-b", "guest.raw", in("over-guest"), "1M")
	if err := syscall.Mkfifo(in("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	for i := range maxChain + 2 {
		name := in(fmt.Sprintf("deep%d", i))
		qemuImg(t, name, "-f", "qcow2", "-u", "-F", "qcow2", "-b", fmt.Sprintf("deep%d", i+1), name, "1M")
	}
	raw, qcow := "raw", "qcow2"
	for _, c := range []struct {
		path string
		want []inventory.BackingFile
		says string // of the error
	}{
		{"/img/a", []inventory.BackingFile{{Source: "/img/ground.raw", Format: raw}}, ""},
		{"/img/c", []inventory.BackingFile{{Source: "/img/sub/b", Format: qcow}, {Source: "/img/a", Format: qcow}, {Source: "/img/ground.raw", Format: raw}}, ""},
		{"/img/wire", []inventory.BackingFile{{Source: "nbd://h/x", Format: qcow}}, ""},
		{"/img/over-guest", []inventory.BackingFile{{Source: "/img/guest.raw", Format: raw}}, ""},
		{"/img/loop1", []inventory.BackingFile{{Source: "/img/loop2", Format: qcow}, {Source: "/img/loop1", Format: qcow}}, "loops"},
		{"/img/over-nothing", []inventory.BackingFile{{Source: "/img/nothing", Format: qcow}}, "no such file"},
		{"/img/lies", []inventory.BackingFile{{Source: "/img/ground.raw", Format: qcow}}, errNotQcow2.Error()},
		{"/img/to-fifo", []inventory.BackingFile{{Source: "/img/fifo", Format: qcow}}, "neither a file nor a block device"},
		{"/img", nil, "neither a file nor a block device"},
	} {
		got, err := readChain(root, c.path)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v, want one that says %q", c.path, err, c.says)
		}
	}
	if chain, err := readChain(root, "/img/deep0"); err == nil || !strings.Contains(err.Error(), "longer than") || len(chain) != maxChain {
		t.Errorf("a chain of %d was read: %v", len(chain), err)
	}
	if _, err := readChain(root, "/img/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func TestBackingPath(t *testing.T) {
	for name, want := range map[string]struct {
		path  string
		local bool
	}{
		"base":                {"/dir/base", true},
		"../base":             {"/base", true},
		"/abs":                {"/abs", true},
		"file:/abs":           {"/abs", true},
		"a/b:c":               {"/dir/a/b:c", true},
		"nbd:host:1":          {"nbd:host:1", false},
		"rbd:pool/image":      {"rbd:pool/image", false},
		"https://host/x":      {"https://host/x", false},
		`json:{"driver":"x"}`: {`json:{"driver":"x"}`, false},
	} {
		if path, local := backingPath("/dir/image", name); path != want.path || local != want.local {
			t.Errorf("%q is %q (local %t), want %+v", name, path, local, want)
		}
	}
}
