package libvirt

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// withDevices is a guest with these devices.
func withDevices(name string, n int, devices string) string {
	return strings.Replace(plain(name, n, ""), "<devices>", "<devices>"+devices, 1)
}

// TestDigestSurvivesRestart starts a guest again behind another one, which takes
// its ports, link names and ID: nobody configured anything.
func TestDigestSurvivesRestart(t *testing.T) {
	r := rig.ForTest(t)
	const devices = `<interface type='ethernet'><mac address='52:54:00:aa:01:0%d'/><model type='virtio'/></interface>
<graphics type='vnc' port='-1' autoport='yes' websocket='-1'/><graphics type='spice'><listen type='socket'/></graphics>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><serial type='pty'/><console type='pty'/>`
	for i := range 2 {
		if err := r.Define(withDevices(fmt.Sprintf("plain-%d", i), i, fmt.Sprintf(devices, i))); err != nil {
			t.Fatal(err)
		}
	}
	c := open(t, r)
	var seen []inventory.VM
	for range 2 {
		if err := r.StartVMPaused("plain-0"); err != nil {
			t.Fatal(err)
		}
		seen = append(seen, vmOf(t, complete(t, c), plainUUID(0)))
		must(t)(r.Virsh("destroy", "plain-0"))
		if len(seen) == 1 {
			if err := r.StartVMPaused("plain-1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen[0].NICs[0].Link == seen[1].NICs[0].Link {
		t.Fatalf("both starts gave link %s", seen[0].NICs[0].Link)
	}
	if seen[0].ConfigDigest != seen[1].ConfigDigest {
		t.Error("the digest changed though nobody configured anything")
	}
}

// TestVolumeDisks reads disks that are volumes of a pool, which libvirt looks
// into by the domain only while it runs: both ways say the same.
func TestVolumeDisks(t *testing.T) {
	r := rig.ForTest(t)
	must(t)(r.CreateImage("base.qcow2", 1<<30, ""))
	must(t)(r.CreateImage("top of ü.qcow2", 2<<30, "base.qcow2"))
	must(t)(r.Virsh("pool-define-as", "images", "dir", "--target", rig.ImagePath("")))
	must(t)(r.Virsh("pool-start", "images"))
	disk := func(volume string) string {
		return `<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/><source pool='images' volume='` + volume + `'/><target dev='vda' bus='virtio'/></disk>`
	}
	if err := r.Define(withDevices("plain-1", 1, disk("top of ü.qcow2"))); err != nil {
		t.Fatal(err)
	}
	c := open(t, r)
	stopped := vmOf(t, complete(t, c), plainUUID(1))
	if err := r.StartVMPaused("plain-1"); err != nil {
		t.Fatal(err)
	}
	running := vmOf(t, complete(t, c), plainUUID(1))
	if diff := cmp.Diff(running.Disks, stopped.Disks, made); diff != "" {
		t.Errorf("(-running +stopped):\n%s", diff)
	}
	if d := stopped.Disks[0]; d.Capacity == nil || *d.Capacity != 2*inventory.GiB || len(d.Backing) != 1 ||
		d.Backing[0].Source != rig.ImagePath("base.qcow2") || stopped.Image == nil {
		t.Errorf("the volume is %+v", d)
	}

	if err := r.Define(withDevices("plain-2", 2, disk("gone.qcow2"))); err != nil {
		t.Fatal(err)
	}
	o := collect(t, c)
	p, found := o.ProblemOf(inventory.VMEntity(plainUUID(2)), "disk.capacity")
	if !o.Complete || !found || p.Why != inventory.WhyAbsent || p.Remedy == "" || !strings.Contains(p.Error, "gone.qcow2") {
		t.Errorf("problems are %+v", o.Problems)
	}
}

// TestMissingImage defines a guest over an image that isn't there, beside a disk
// that is.
func TestMissingImage(t *testing.T) {
	r := rig.ForTest(t)
	if err := os.WriteFile(r.Outside(rig.ImagePath("data.raw")), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	gone := rig.ImagePath("gone.qcow2")
	if err := r.Define(strings.Replace(plain("plain-1", 1, gone), "</devices>", `<disk type='file' device='disk'><driver name='qemu' type='raw'/>
<source file='`+rig.ImagePath("data.raw")+`'/><target dev='vdb' bus='virtio'/></disk></devices>`, 1)); err != nil {
		t.Fatal(err)
	}
	o := collect(t, open(t, r))
	vm := vmOf(t, o, plainUUID(1))
	if !o.Complete || vm.Disks[0].Capacity != nil || vm.Disks[1].Capacity == nil || *vm.Disks[1].Capacity != inventory.MiB {
		t.Errorf("disks are %+v", vm.Disks)
	}
	if len(o.Problems) != 2 {
		t.Fatalf("problems are %+v, want size and chain of one disk", o.Problems)
	}
	for _, p := range o.Problems {
		if p.Remedy == "" || !strings.Contains(p.Error, gone) || strings.Contains(p.Error, r.Dir()) || strings.Count(p.Error, "gone.qcow2") != 1 {
			t.Errorf("problem is %+v", p)
		}
	}
}

// TestNetworkDiskOfStoppedGuest reads disks of which libvirt knows no size until
// the guest runs.
func TestNetworkDiskOfStoppedGuest(t *testing.T) {
	r := rig.ForTest(t)
	if err := r.Define(withDevices("plain-1", 1, `<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='rbd' name='pool/image'><host name='127.0.0.1' port='6789'/></source><target dev='vda' bus='virtio'/></disk>
<disk type='network' device='disk'><driver name='qemu' type='raw'/>
<source protocol='nbd'><host name='127.0.0.1' port='10809'/></source><target dev='vdb' bus='virtio'/></disk>`)); err != nil {
		t.Fatal(err)
	}
	o := collect(t, open(t, r))
	vm := vmOf(t, o, plainUUID(1))
	if vm.Disks[0].Source != "rbd:pool/image" || vm.Disks[1].Source != "nbd:127.0.0.1:10809" {
		t.Errorf("disks are %+v", vm.Disks)
	}
	if len(o.Problems) != 2 {
		t.Fatalf("problems are %+v, want one of each disk", o.Problems)
	}
	for _, p := range o.Problems {
		if p.Why != inventory.WhyAbsent || !strings.Contains(p.Remedy, "runs") {
			t.Errorf("problem is %+v", p)
		}
	}
}
