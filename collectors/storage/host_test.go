package storage

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// What the collector finds on the host that the tests run on must agree with
// what the kernel says by other ways.
func TestThisHost(t *testing.T) {
	sizes := partitionSizes(t)
	o := observe(&Collector{})
	// Others may attach and detach devices: what is compared stood still meanwhile.
	for after := partitionSizes(t); !maps.Equal(sizes, after); after = partitionSizes(t) {
		sizes, o = after, observe(&Collector{})
	}
	if !o.Complete {
		t.Errorf("outcome %s: %v", o.Outcome, o.Problems)
	}
	var st unix.Stat_t
	var fs unix.Statfs_t
	if err := unix.Stat("/", &st); err != nil {
		t.Fatal(err)
	}
	if err := unix.Statfs("/", &fs); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(o.FileSystems, func(f inventory.FileSystem) bool { return f.Mount == "/" })
	switch onDevice := unix.Major(uint64(st.Dev)) != 0; {
	case i < 0 && onDevice:
		t.Errorf("the root file system is on device %d:%d and not found: %v", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)), o.FileSystems)
	case i >= 0:
		want := inventory.Bytes(fs.Blocks) * inventory.Bytes(fs.Frsize)
		if got := o.FileSystems[i].Size; got == nil || *got != want {
			t.Errorf("root file system's size is %v, statfs(2) says %v", got, want)
		}
	}
	for _, d := range o.BlockDevices {
		if want, found := sizes[d.Name]; !found || d.Size == nil || (*d.Size-want) >= inventory.KiB {
			t.Errorf("%s is %v, /proc/partitions says %v (%t)", d.Name, d.Size, want, found)
		}
		delete(sizes, d.Name)
	}
	for name := range sizes {
		if !strings.HasPrefix(name, "ram") {
			t.Errorf("%s is in /proc/partitions and was not found", name)
		}
	}
}

// partitionSizes reads /proc/partitions, which lists every block device that
// has a size, in KiB rounded down, by another way than sysfs.
func partitionSizes(t *testing.T) map[string]inventory.Bytes {
	t.Helper()
	data, err := os.ReadFile("/proc/partitions")
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]inventory.Bytes{}
	for line := range strings.Lines(string(data)) {
		var major, minor int
		var kib uint64
		var name string
		if n, _ := fmt.Sscan(line, &major, &minor, &kib, &name); n == 4 {
			sizes[name] = inventory.Bytes(kib) * inventory.KiB
		}
	}
	return sizes
}

// A loop device that is in use is there with its file, and gone when it isn't.
func TestLoopDevice(t *testing.T) {
	image := filepath.Join(t.TempDir(), "image one.raw")
	if err := os.WriteFile(image, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	name, detach := attachLoop(t, image)
	find := func() *inventory.BlockDevice {
		o := observe(&Collector{})
		i := slices.IndexFunc(o.BlockDevices, func(d inventory.BlockDevice) bool { return d.Name == name })
		if i < 0 {
			return nil
		}
		return &o.BlockDevices[i]
	}
	if d := find(); d == nil || d.Kind != "loop" || d.BackingFile != image || d.Size == nil || *d.Size != inventory.MiB {
		t.Errorf("%s is %+v: want a loop device of 1 MiB over %s", name, d, image)
	}
	detach()
	if d := find(); d != nil {
		t.Errorf("%s is still there after it was detached: %+v", name, d)
	}
}

func attachLoop(t *testing.T, image string) (name string, detach func()) {
	t.Helper()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer control.Close()
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for { // another process may take the free one first
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Fatal(err)
		}
		name = fmt.Sprint("loop", n)
		device, err := os.OpenFile("/dev/"+name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_FD, int(file.Fd()))
		if err == unix.EBUSY {
			device.Close()
			continue
		}
		if err != nil {
			t.Fatalf("attach %s to %s: %v", image, name, err)
		}
		var once bool
		detach = func() {
			if once {
				return
			}
			once = true
			if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
				t.Errorf("detach %s: %v", name, err)
			}
			device.Close()
		}
		t.Cleanup(detach)
		return name, detach
	}
}

// hangEnv makes the test's binary the process of TestHangingFileSystem that has
// a mount namespace of its own.
const hangEnv = "AVSTEM_TEST_HANGING_MOUNT"

// A file system whose server never answers is a problem on that file system;
// the pass goes on, and later passes don't ask it again, until it has answered.
// The file system is a real one: FUSE, with nobody behind it at first, in a mount
// namespace of its own.
func TestHangingFileSystem(t *testing.T) {
	if dir := os.Getenv(hangEnv); dir != "" {
		underHangingMount(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHangingFileSystem$", "-test.v")
	cmd.Env = append(os.Environ(), hangEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("pass beside a hanging mount: %v\n%s", err, out)
	}
}

func underHangingMount(t *testing.T, dir string) {
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer device.Close() // wakes what waits for it
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", device.Fd())
	if err := unix.Mount("dead.example.org:/export", dir, "fuse.sshfs", 0, options); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	c := &Collector{}
	for range 3 {
		o := observe(c)
		if !o.Complete || o.Outcome != inventory.OutcomePartial {
			t.Errorf("outcome %s: want partial with everything listed", o.Outcome)
		}
		i := slices.IndexFunc(o.FileSystems, func(f inventory.FileSystem) bool { return f.Mount == dir })
		if i < 0 || o.FileSystems[i].Size != nil || o.FileSystems[i].Device != "dead.example.org:/export" {
			t.Errorf("the hanging file system isn't listed without a size: %+v", o.FileSystems)
		}
		for _, f := range o.FileSystems {
			if f.Mount != dir && f.Size == nil {
				t.Errorf("%s has no size beside the hanging one", f.Mount)
			}
		}
		if p, found := o.ProblemOf("fileSystem:"+dir, "fileSystem.size"); !found || p.Why != inventory.WhyTimedOut || p.Remedy == "" {
			t.Errorf("problem %+v: want timed-out with a remedy", p)
		}
	}
	c.mounts.mu.Lock()
	waiting := len(c.mounts.waiting)
	c.mounts.mu.Unlock()
	if waiting != 1 {
		t.Errorf("%d calls wait after three passes, want the one", waiting)
	}

	served := make(chan error, 1)
	go func() { served <- serveFUSE(device) }()
	settle(t, &c.mounts)
	o := observe(c)
	i := slices.IndexFunc(o.FileSystems, func(f inventory.FileSystem) bool { return f.Mount == dir })
	if _, found := o.ProblemOf("fileSystem:"+dir, "fileSystem.size"); found || i < 0 || o.FileSystems[i].Size == nil || *o.FileSystems[i].Size != fuseBlocks*4*inventory.KiB ||
		*o.FileSystems[i].Used != fuseBlocks*2*inventory.KiB || *o.FileSystems[i].Available != fuseBlocks*inventory.KiB {
		t.Errorf("after its server answered: %+v, problems %v", o.FileSystems, o.Problems)
	}
	if err := unix.Unmount(dir, 0); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve FUSE: %v", err)
	}
}

// A directory that another mount covers tells that one's size: it must not be
// taken for the file system's.
func TestCoveredMountHasNoSize(t *testing.T) {
	if _, err := statfs(mount{major: 8, minor: 1, point: "/proc", fsType: "ext4"}); err != errCovered {
		t.Errorf("statfs of what isn't mounted there: %v, want %v", err, errCovered)
	}
	if p := problemOf("/home", errCovered); p.Why != inventory.WhyRefused || !strings.Contains(p.Remedy, "ProtectHome") {
		t.Errorf("problem %+v: want refused with what to change", p)
	}
}

// The pass as a whole gives up when its context ends, while a file system hangs.
func TestCancelledBesideHangingFileSystem(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := over(t, "testdata/guest.txtar")
	c.measure = func(mount) (usage, error) { <-release; return usage{}, nil }
	r := collectors.Runner{Collector: c, Timeout: 50 * time.Millisecond}
	if o := r.Run(context.Background()); o.Complete || !slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return p.Why == inventory.WhyTimedOut }) {
		t.Errorf("outcome %s, problems %v: want a pass that timed out", o.Outcome, o.Problems)
	}
}
