package libvirt

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// image makes an image with the real qemu-img inside the rig.
func image(t testing.TB, r *rig.Rig, name string, args ...string) string {
	t.Helper()
	at := rig.ImagePath(name)
	must(t)(r.Run("qemu-img", append(append([]string{"create", "-q", "-f", "qcow2"}, args...), at, "1M")...))
	return at
}

// brokenChains passes over a stopped guest with one chain whose ground is
// missing, whose layers keep their data elsewhere, and a disk that isn't there.
func brokenChains(t *testing.T, r *rig.Rig) *inventory.Observation {
	t.Helper()
	gone, absent := rig.ImagePath("ground-that-went"), rig.ImagePath("absent.qcow2")
	middle := image(t, r, "middle.qcow2", "-u", "-F", "qcow2", "-b", gone, "-o", "data_file="+rig.ImagePath("middle.data"))
	top := image(t, r, "over-middle.qcow2", "-u", "-F", "qcow2", "-b", middle, "-o", "data_file="+rig.ImagePath("top.data"))
	second := `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='` + absent + `'/><target dev='vdb' bus='virtio'/></disk>`
	first := `<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='` + top + `'/><target dev='vda' bus='virtio'/></disk>`
	if err := r.Define(withDevices("plain-9", 9, first+second)); err != nil {
		t.Fatal(err)
	}
	o := collect(t, open(t, r))
	disks := vmOf(t, o, plainUUID(9)).Disks
	if !o.Complete || len(disks) != 2 {
		t.Fatalf("outcome %s, disks %+v", o.Outcome, disks)
	}
	want := []inventory.BackingFile{
		{Source: middle, Format: "qcow2", VirtualSize: new(inventory.MiB), DataFile: rig.ImagePath("middle.data")},
		{Source: gone, Format: "qcow2", Fault: "missing"},
	}
	if diff := cmp.Diff(want, disks[0].Backing, made); diff != "" || disks[0].DataFile != rig.ImagePath("top.data") || disks[0].Fault != "" {
		t.Errorf("data in %s, fault %q (-want +got):\n%s", disks[0].DataFile, disks[0].Fault, diff)
	}
	if disks[1].Fault != "missing" {
		t.Errorf("the disk that isn't there is %+v", disks[1])
	}
	if p, found := o.ProblemOf(inventory.VMEntity(plainUUID(9)), "disk.backing"); !found || p.Why != inventory.WhyAbsent || p.Remedy == "" {
		t.Errorf("problems are %+v", o.Problems)
	}
	must(t)(r.Virsh("undefine", "plain-9"))
	return o
}

// blockDevice makes a node of some block device of this machine among the rig's
// images, and returns the kernel's name of it too.
func blockDevice(t testing.TB, r *rig.Rig) (path, name string) {
	t.Helper()
	if err := os.Symlink("/sys", r.Dir()+"/sys"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir("/sys/dev/block")
	if err != nil || len(entries) == 0 {
		t.Fatalf("this machine has no block device to look at: %v", err)
	}
	var major, minor uint32
	if _, err := fmt.Sscanf(entries[0].Name(), "%d:%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	target, err := os.Readlink("/sys/dev/block/" + entries[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	path = rig.ImagePath("device")
	if err := unix.Mknod(r.Outside(path), unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
		t.Fatal(err)
	}
	return path, filepath.Base(target)
}

// onDevices passes over a stopped guest with a block device, and with a chain
// whose ground is one.
func onDevices(t *testing.T, r *rig.Rig) *inventory.Observation {
	t.Helper()
	device, name := blockDevice(t, r)
	top := image(t, r, "over-device.qcow2", "-u", "-F", "raw", "-b", device)
	if err := r.Define(withDevices("plain-8", 8, `<disk type='block' device='disk'><driver name='qemu' type='raw'/><source dev='`+device+`'/><target dev='vda' bus='virtio'/></disk>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='`+top+`'/><target dev='vdb' bus='virtio'/></disk>`)); err != nil {
		t.Fatal(err)
	}
	o := collect(t, open(t, r))
	disks := vmOf(t, o, plainUUID(8)).Disks
	if len(disks) != 2 || len(disks[1].Backing) != 1 || disks[0].BlockDevice != name || disks[1].Backing[0].BlockDevice != name || disks[1].Number == "" {
		t.Errorf("disks are %+v, want %s", disks, name)
	}
	must(t)(r.Virsh("undefine", "plain-8"))
	return o
}

// TestChainOfRunningGuest takes a layer away under a running guest, which goes on
// and could not start again.
func TestChainOfRunningGuest(t *testing.T) {
	r := rig.ForTest(t)
	base := must(t)(r.CreateBootImage("base.qcow2", 1<<20))
	top := must(t)(r.CreateImage("top.qcow2", 1<<20, "base.qcow2"))
	if err := r.Define(plain("plain-1", 1, top)); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("plain-1"); err != nil {
		t.Fatal(err)
	}
	c := open(t, r)
	c.setUp()
	c.lane.fresh = 0
	backing := func() inventory.BackingFile {
		layers := vmOf(t, collect(t, c), plainUUID(1)).Disks[0].Backing
		if len(layers) != 1 || layers[0].Source != base {
			t.Fatalf("chain is %+v", layers)
		}
		return layers[0]
	}
	if got := backing(); got.Fault != "" || got.VirtualSize == nil || *got.VirtualSize != inventory.MiB || got.Allocation == nil {
		t.Errorf("the whole chain's ground is %+v", got)
	}
	if err := os.Rename(r.Outside(base), r.Outside(base)+".away"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fault", func() bool { return backing().Fault == "missing" })
	if err := os.Rename(r.Outside(base)+".away", r.Outside(base)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the chain to be whole", func() bool { return backing().Fault == "" })
}

// TestImagesElsewhere: an agent that doesn't see the daemon's file system takes
// the daemon's word, and calls nothing missing.
func TestImagesElsewhere(t *testing.T) {
	r := rig.ForTest(t)
	must(t)(r.CreateBootImage("base", 1<<20))
	for i := range 2 {
		name := fmt.Sprintf("plain-%d", i)
		top := must(t)(r.CreateImage(name, 2<<20, "base"))
		if err := r.Define(plain(name, i, top)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.StartVMPaused("plain-0"); err != nil {
		t.Fatal(err)
	}
	c := closed(t, &Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, Root: t.TempDir()})
	o := collect(t, c)
	running, stopped := vmOf(t, o, plainUUID(0)).Disks[0], vmOf(t, o, plainUUID(1)).Disks[0]
	if running.Fault != "" || len(running.Backing) != 1 || running.Backing[0].Fault != "" || running.Backing[0].VirtualSize == nil {
		t.Errorf("the running guest's disk is %+v", running)
	}
	if stopped.Fault != "" {
		t.Errorf("the stopped guest's disk is %+v", stopped)
	}
	if len(o.Problems) != 1 || o.Problems[0].Entity != inventory.VMEntity(plainUUID(1)) {
		t.Errorf("problems are %+v, want one of the stopped guest's chain", o.Problems)
	}
}

// TestNobodySeesLayers: what may not be opened is told by the daemon, of a
// running guest from its QEMU and of a stopped one from the pool.
func TestNobodySeesLayers(t *testing.T) {
	r := rig.ForTest(t)
	for _, n := range []string{"a", "b"} {
		must(t)(r.CreateBootImage("base-"+n, 1<<20))
		must(t)(r.CreateImage("mid-"+n, 2<<20, "base-"+n))
		must(t)(r.CreateImage("top-"+n, 3<<20, "mid-"+n))
	}
	must(t)(r.Virsh("pool-define-as", "images", "dir", "--target", rig.ImagePath("")))
	must(t)(r.Virsh("pool-start", "images"))
	for i, n := range []string{"a", "b"} {
		if err := r.Define(plain("plain-"+n, i+1, rig.ImagePath("top-"+n))); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"base-", "mid-", "top-"} {
			if err := os.Chmod(r.Outside(rig.ImagePath(name+n)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.StartVMPaused("plain-a"); err != nil {
		t.Fatal(err)
	}
	o := asNobody(t, r)
	if !o.Complete || slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return p.Field == "disk.backing" }) {
		t.Errorf("outcome %s, problems %+v", o.Outcome, o.Problems)
	}
	for i, n := range []string{"a", "b"} {
		want := []inventory.BackingFile{
			{Source: rig.ImagePath("mid-" + n), Format: "qcow2", VirtualSize: new(2 * inventory.MiB)},
			{Source: rig.ImagePath("base-" + n), Format: "qcow2", VirtualSize: new(1 * inventory.MiB)},
		}
		layers := vmOf(t, o, plainUUID(i+1)).Disks[0].Backing
		if diff := cmp.Diff(want, layers, made); diff != "" {
			t.Errorf("plain-%s (-want +got):\n%s", n, diff)
		}
		for _, layer := range layers {
			if layer.Allocation == nil || *layer.Allocation == 0 || *layer.Allocation > 2*inventory.MiB {
				t.Errorf("plain-%s: %s takes %s", n, layer.Source, layer.Allocation)
			}
		}
	}
}

// TestImageFiles: what disks rest on, and never what a VM writes to.
func TestImageFiles(t *testing.T) {
	r := rig.ForTest(t)
	base := must(t)(r.CreateBootImage("base", 1<<20))
	must(t)(r.CreateImage("mid", 2<<20, "base"))
	top := must(t)(r.CreateImage("top", 2<<20, "mid"))
	seed := must(t)(r.CreateImage("seed", 1<<20, ""))
	written := must(t)(r.CreateImage("written", 1<<20, ""))
	image(t, r, "over-written", "-F", "qcow2", "-b", written)
	disks := ""
	for i, d := range []struct{ path, extra string }{{top, ""}, {seed, "<readonly/>"}, {written, ""}, {rig.ImagePath("over-written"), ""}} {
		disks += fmt.Sprintf(`<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vd%c' bus='virtio'/>%s</disk>`, d.path, 'a'+i, d.extra)
	}
	if err := r.Define(withDevices("plain-1", 1, disks)); err != nil {
		t.Fatal(err)
	}
	c := open(t, r)
	go collect(t, c)
	files, err := c.ImageFiles(t.Context()) // waits for that pass
	want := []inventory.ImageFile{
		{Path: base, Format: "qcow2", VirtualSize: new(1 * inventory.MiB)}, {Path: seed, Format: "qcow2", VirtualSize: new(1 * inventory.MiB)}}
	if diff := cmp.Diff(want, files); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if err := r.KillLibvirtd(); err != nil {
		t.Fatal(err)
	}
	collect(t, c)
	if again, err := c.ImageFiles(t.Context()); err != nil || len(again) != 2 {
		t.Errorf("after the daemon died they are %v (%v)", again, err)
	}
	nowhere := closed(t, &Collector{Sockets: []string{r.Dir() + "/nowhere"}})
	collect(t, nowhere)
	if files, err := nowhere.ImageFiles(t.Context()); err != nil || len(files) != 0 {
		t.Errorf("without libvirt they are %v (%v)", files, err)
	}
}
