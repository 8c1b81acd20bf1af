package diskimage_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/internal/diskimage"
	"github.com/dataverket/avstem/collectors/storage"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/test/guest"
)

// TestGroundOnLVM follows an overlay whose base is seen by a bind mount, on a file
// system on a real logical volume on a SCSI disk, and a disk that is such a volume
// itself, to that disk's serial number.
func TestGroundOnLVM(t *testing.T) {
	machine := guest.UML{Modules: []string{"sd_mod", "scsi_debug dev_size_mb=96", "dm-mod"}}
	machine.Run(t, func(t *testing.T, _ string) {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			if _, err := os.Stat("/dev/sda"); err == nil {
				break
			} else if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		const noUdev = "activation { udev_sync = 0 udev_rules = 0 } devices { dir = \"/dev\" use_devicesfile = 0 } backup { backup = 0 archive = 0 }"
		run(t, "pvcreate", "-q", "--config", noUdev, "/dev/sda")
		run(t, "vgcreate", "-q", "--config", noUdev, "vg-a", "/dev/sda")
		run(t, "lvcreate", "-q", "--config", noUdev, "-L", "48M", "-n", "images", "vg-a")
		run(t, "lvcreate", "-q", "--config", noUdev, "-L", "16M", "-n", "web-01", "vg-a")
		run(t, "mkfs.ext4", "-q", "/dev/vg-a/images")
		pool, bound := filepath.Join(t.TempDir(), "pool"), filepath.Join(t.TempDir(), "bound")
		for _, dir := range []string{pool, bound} {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		mount(t, "/dev/vg-a/images", pool, "ext4", 0)
		mount(t, pool, bound, "", unix.MS_BIND)
		base, top := filepath.Join(pool, "base.qcow2"), filepath.Join(bound, "top.qcow2")
		run(t, "qemu-img", "create", "-q", "-f", "qcow2", base, "4M")
		run(t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, top)

		const lvm = "logical volume vg-a/images → volume group vg-a → disk sda"
		paths := follow(t, disk(t, "vda", top, "qcow2"), disk(t, "vdb", "/dev/vg-a/web-01", "raw"))
		for i, want := range []string{"file system " + pool + " (ext4) → " + lvm, "file system " + pool + " (ext4) → " + lvm} {
			check(t, paths[0].Layers[i], want)
		}
		check(t, paths[1].Layers[0], strings.Replace(lvm, "images", "web-01", 1))
	})
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
}

func mount(t *testing.T, source, target, kind string, flags uintptr) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, ""); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	})
}

// disk is a VM's disk as a runtime's collector describes it.
func disk(t *testing.T, target, source, format string) inventory.Disk {
	t.Helper()
	chain, err := diskimage.ReadChain("", source, format)
	if err != nil {
		t.Fatal(err)
	}
	return inventory.Disk{Target: target, Source: source, Format: format, Number: chain[0].Number, BlockDevice: chain[0].BlockDevice, Backing: diskimage.Layers(chain)}
}

// follow puts a VM with the disks beside what is seen of this host's storage.
func follow(t *testing.T, disks ...inventory.Disk) []reconcile.DiskPath {
	t.Helper()
	host := (&collectors.Runner{Collector: &storage.Collector{}}).Run(t.Context())
	vms := &inventory.Observation{Source: "runtime-qemu", Outcome: inventory.OutcomeComplete, Complete: true,
		Body: inventory.Body{VMs: []inventory.VM{{NativeID: "web-01", Name: "web-01", State: inventory.StateRunning, Disks: disks}}}}
	now := time.Now()
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: now}
	for _, o := range []*inventory.Observation{host, vms} {
		o.Host = uuid.MustParse("00000000-0000-4000-8000-0000000000aa")
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: now})
	}
	return reconcile.Reconcile(in).VMs[0].DiskPaths
}

// check holds a layer's ground to what it must be, and to scsi_debug's own
// numbers: unit serial 2000, and WWN 333333300000007d0 for it (its lu_id_num).
func check(t *testing.T, layer reconcile.DiskLayer, hops string) {
	t.Helper()
	got := reconcile.PathText(layer.Ground.Hops)
	if !strings.HasPrefix(got, hops) || layer.Ground.Derived {
		t.Errorf("%s lies on %s (derived: %t, %s), want %s", layer.Source, got, layer.Ground.Derived, layer.Ground.Reason, hops)
	}
	want := []reconcile.PhysicalDisk{{Devices: []string{"sda"}, Serial: "2000", WWN: "33333330000007d0", Model: "scsi_debug"}}
	if diff := cmp.Diff(want, layer.Ground.Disks); diff != "" {
		t.Errorf("%s (-want +got):\n%s", layer.Source, diff)
	}
}
