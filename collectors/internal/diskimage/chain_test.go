package diskimage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

const mib = inventory.MiB

// chainFiles makes images below a root and returns it.
func chainFiles(t *testing.T) (root string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, "img")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	overlay := func(name, format, backing string) {
		qemuImg(t, in(name), "-f", "qcow2", "-u", "-F", format, "-b", backing, in(name), "1M")
	}
	qemuImg(t, in("ground.raw"), "-f", "raw", in("ground.raw"), "2M")
	overlay("a", "raw", "ground.raw")
	overlay("sub/b", "qcow2", "../a")
	overlay("c", "qcow2", "/img/sub/b")
	overlay("loop1", "qcow2", "loop2")
	overlay("loop2", "qcow2", "loop1")
	overlay("over-nothing", "qcow2", "nothing")
	overlay("over-no-directory", "qcow2", "none/nothing")
	overlay("wire", "qcow2", "nbd://h/x")
	overlay("lies", "qcow2", "ground.raw")
	overlay("to-fifo", "qcow2", "fifo")
	overlay("to-raw-fifo", "raw", "fifo")
	overlay("over-guest", "raw", "guest.raw")
	overlay("over-old", "qed", "old.qed")
	qemuImg(t, in("old.qed"), "-f", "qed", "-u", "-F", "raw", "-b", "ground.raw", in("old.qed"), "3M")
	// A header that names no format leaves it to be probed, which we don't.
	unsaid := qcow2Header(func(h []byte) { copy(h[104:], make([]byte, 16)) })
	// A guest that wrote a header into its raw disk must not be believed.
	for name, raw := range map[string][]byte{"guest.raw": qcow2Header(nil), "unsaid": unsaid, "base.img": qcow2Header(nil)} {
		if err := os.WriteFile(in(name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(in("fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestReadChain follows real chains below a moved root.
func TestReadChain(t *testing.T) {
	root := chainFiles(t)
	image := func(path, format string, size inventory.Bytes) Image {
		i := Image{Path: path, Format: format}
		if size != 0 {
			i.VirtualSize = &size
		}
		return i
	}
	faulty := func(path, format, why string) Image { return Image{Path: path, Format: format, Fault: why} }
	const raw, qcow, neither = "raw", "qcow2", "it is neither a file nor a block device"
	ground, a := image("/img/ground.raw", raw, 2*mib), image("/img/a", qcow, mib)
	for _, c := range []struct {
		path, format string
		want         []Image
		says         string // of the error
	}{
		{"/img/ground.raw", raw, []Image{ground}, ""},
		{"/img/a", qcow, []Image{a, ground}, ""},
		{"/img/c", qcow, []Image{image("/img/c", qcow, mib), image("/img/sub/b", qcow, mib), a, ground}, ""},
		{"/img/wire", qcow, []Image{image("/img/wire", qcow, mib), image("nbd://h/x", qcow, 0)}, ""},
		{"/img/over-guest", qcow, []Image{image("/img/over-guest", qcow, mib), image("/img/guest.raw", raw, 512)}, ""},
		{"/img/unsaid", qcow, []Image{image("/img/unsaid", qcow, 1<<30), image("/img/base.img", "", 0)}, ""},
		{"/img/over-old", qcow, []Image{image("/img/over-old", qcow, mib), image("/img/old.qed", "qed", 3*mib), ground}, ""},
		{"/img/loop1", qcow, []Image{image("/img/loop1", qcow, mib), image("/img/loop2", qcow, mib), faulty("/img/loop1", qcow, "the backing chain loops")}, "loops"},
		{"/img/over-nothing", qcow, []Image{image("/img/over-nothing", qcow, mib), faulty("/img/nothing", qcow, "missing")}, "no such file"},
		{"/img/over-no-directory", qcow, []Image{image("/img/over-no-directory", qcow, mib), faulty("/img/none/nothing", qcow, "")}, "no such file"},
		{"/img/lies", qcow, []Image{image("/img/lies", qcow, mib), faulty("/img/ground.raw", qcow, "it is no qcow2 image")}, "it is no qcow2 image"},
		{"/img/to-fifo", qcow, []Image{image("/img/to-fifo", qcow, mib), faulty("/img/fifo", qcow, neither)}, neither},
		{"/img/to-raw-fifo", qcow, []Image{image("/img/to-raw-fifo", qcow, mib), faulty("/img/fifo", raw, neither)}, neither},
		{"/img", qcow, []Image{faulty("/img", qcow, neither)}, neither},
		{"/img/ground.raw", "bochs", []Image{image("/img/ground.raw", "bochs", 0)}, ""},
	} {
		got, err := ReadChain(root, c.path, c.format)
		if diff := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Image{}, "Allocation", "Number")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.path, diff)
		}
		if (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v, want one that says %q", c.path, err, c.says)
		}
		for _, image := range got {
			if image.Fault == "" && image.VirtualSize != nil && image.Allocation == nil {
				t.Errorf("%s: %s doesn't say what it takes", c.path, image.Path)
			}
		}
	}
	if _, err := ReadChain(root, "/img/none", "qcow2"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error is %v", err)
	}
}

func TestReadChainIsBounded(t *testing.T) {
	root := t.TempDir()
	for i := range MaxChain + 2 {
		name := filepath.Join(root, fmt.Sprintf("deep%d", i))
		qemuImg(t, name, "-f", "qcow2", "-u", "-F", "qcow2", "-b", fmt.Sprintf("deep%d", i+1), name, "1M")
	}
	if chain, err := ReadChain(root, "/deep0", "qcow2"); err == nil || !strings.Contains(err.Error(), "longer than") || len(chain) != MaxChain {
		t.Errorf("a chain of %d was read: %v", len(chain), err)
	}
}

// TestAllocation: what a sparse file takes is what was written to it.
func TestAllocation(t *testing.T) {
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(1<<30), func() error { _, err := f.WriteAt(make([]byte, 1<<20), 1<<29); return err }(), f.Sync()); err != nil {
		t.Fatal(err)
	}
	chain, err := ReadChain(root, "/sparse", "raw")
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	dev := info.Sys().(*syscall.Stat_t).Dev
	if want := fmt.Sprintf("%d:%d", unix.Major(dev), unix.Minor(dev)); chain[0].Number != want {
		t.Errorf("it lies on %s, want %s", chain[0].Number, want)
	}
	if got := chain[0]; *got.VirtualSize != 1<<30 || *got.Allocation < mib || *got.Allocation > 2*mib {
		t.Errorf("a file of 1 GiB with 1 MiB in it is %s and takes %s", got.VirtualSize, got.Allocation)
	}
}

// TestDataFile: a qcow2 image may keep its data elsewhere.
func TestDataFile(t *testing.T) {
	root := t.TempDir()
	name := filepath.Join(root, "image")
	qemuImg(t, name, "-f", "qcow2", "-o", "data_file="+name+".data", name, "1M")
	chain, err := ReadChain("", name, "qcow2")
	if err != nil || len(chain) != 1 || chain[0].DataFile != name+".data" {
		t.Errorf("chain is %+v (%v)", chain, err)
	}
}

// TestRefusedIsNoFault: what we may not look at isn't called broken.
func TestRefusedIsNoFault(t *testing.T) {
	if got := fault("", "/x", fmt.Errorf("read: %w", os.ErrPermission)); got != "" {
		t.Errorf("fault is %q", got)
	}
	if got := fault("", "/x", syscall.EIO); got != "input/output error" {
		t.Errorf("fault is %q", got)
	}
}

func TestResolve(t *testing.T) {
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
		if path, local := resolve("/dir/image", name); path != want.path || local != want.local {
			t.Errorf("%q is %q (local %t), want %+v", name, path, local, want)
		}
	}
}
