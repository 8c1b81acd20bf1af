package libvirt

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

// rich is the guest of testdata/guests/rich.xml while it runs, but for what
// libvirt makes up.
func rich() inventory.VM {
	yes, no := true, false
	up, down := &yes, &no
	vlan := func(id inventory.VLAN) *inventory.VLAN { return &id }
	return inventory.VM{
		UUID: richUUID, Name: "rich", Title: "A rich guest", SMBIOSUUID: richUUID,
		State: inventory.StatePaused, RawState: "paused (user)", Persistent: &yes,
		VCPUs: new(1), Memory: new(64 * inventory.MiB), Machine: "q35", RawMachine: "pc-q35-7.2",
		Architecture: "x86_64", Firmware: "bios",
		Placement: &inventory.Placement{VM: "vm-1", Tenant: "t1", Project: "p1", Environment: "prod"},
		Manager:   &inventory.Manager{Name: "openstack-nova", Version: "27.0.0", Project: "4a1c", Flavor: "m1.small"},
		Image:     &inventory.Image{ID: "debian-12", Version: "3", Source: rig.ImagePath("base.qcow2"), Known: inventory.ImageByChain},
		NICs: []inventory.NIC{
			// Behind the bridge on the first root port, so the guest finds it first.
			{MAC: mac("52:54:00:aa:00:02"), Model: "e1000", Attachment: "bridge", Bridge: "br0", LinkUp: down, MTU: new(1400)},
			{MAC: mac("52:54:00:aa:00:01"), Model: "virtio", Attachment: "ovs", Bridge: "ovsbr0", LinkUp: up, VLAN: vlan(120),
				PortID: "63b3e836-8630-42eb-a7f2-23aa1600b19e"},
			{MAC: mac("52:54:00:aa:00:03"), Model: "virtio", Attachment: "ovs", Bridge: "ovsbr0", LinkUp: up, VLAN: vlan(10),
				Trunks: []inventory.VLAN{10, 20}, PortID: "853a173a-2032-4c4d-89f4-c96dde6f8f93"},
			{MAC: mac("52:54:00:aa:00:04"), Model: "virtio", Attachment: "network", Network: "tenants/blue", Bridge: "ovsbr0",
				LinkUp: up, VLAN: vlan(140)},
			{MAC: mac("52:54:00:aa:00:05"), Model: "virtio", Attachment: "user", LinkUp: up},
			{MAC: mac("52:54:00:aa:00:06"), Model: "virtio", Attachment: "ethernet", LinkUp: up},
		},
		Disks: []inventory.Disk{
			{Target: "vda", Bus: "virtio", Device: "disk", Serial: "ROOT-1", SourceType: "file", Source: rig.ImagePath("top.qcow2"),
				Format: "qcow2", Capacity: new(2 * inventory.GiB), Backing: []inventory.BackingFile{
					{Source: rig.ImagePath("mid.qcow2"), Format: "qcow2", VirtualSize: new(inventory.MiB)},
					{Source: rig.ImagePath("base.qcow2"), Format: "qcow2", VirtualSize: new(inventory.MiB)}}},
			{Target: "sda", Bus: "scsi", Device: "disk", Serial: "DATA-1", WWN: "5000c500a0000001", SourceType: "file",
				Source: rig.ImagePath("data.raw"), Format: "raw", Capacity: new(64 * inventory.MiB), Shareable: true},
			{Target: "sdb", Bus: "sata", Device: "cdrom", SourceType: "file", Source: rig.ImagePath("cd.iso"), Format: "raw", ReadOnly: true},
			{Target: "sdc", Bus: "sata", Device: "cdrom", ReadOnly: true},
		},
	}
}

// made leaves out what is libvirt's to make up, or QEMU's.
var made = cmp.Options{
	cmpopts.IgnoreFields(inventory.VM{}, "GenerationID", "ConfigDigest"),
	cmpopts.IgnoreFields(inventory.NIC{}, "Link", "Address"),
	cmpopts.IgnoreFields(inventory.Disk{}, "Allocation", "Number"),
	cmpopts.IgnoreFields(inventory.BackingFile{}, "Allocation", "Number"),
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".PortID" }, cmp.Comparer(func(x, y string) bool {
		return x == y || x == "" || y == "" // of the network's NIC
	})),
}

// TestRealGuest reads one guest in every state that it can be brought into, and
// holds each field to what its XML asked for.
func TestRealGuest(t *testing.T) {
	r := richHost(t)
	c := open(t, r)
	var seen []*inventory.Observation
	read := func(t *testing.T) inventory.VM {
		o := complete(t, c)
		seen = append(seen, o)
		if n := len(o.VMs); n != 1 {
			t.Fatalf("%d VMs, want 1", n)
		}
		return vmOf(t, o, richUUID)
	}

	t.Run("stopped", func(t *testing.T) {
		want := rich()
		want.State, want.RawState = inventory.StateStopped, "shut off"
		got := read(t)
		if diff := cmp.Diff(want, got, made); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, n := range got.NICs {
			if n.Link != "" {
				t.Errorf("a stopped VM's NIC has link %s", n.Link)
			}
		}
	})
	if err := r.StartVMPaused("rich"); err != nil {
		t.Fatal(err)
	}
	var digest string
	t.Run("paused", func(t *testing.T) {
		got := read(t)
		if diff := cmp.Diff(rich(), got, made); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, n := range got.NICs {
			if (n.Link == "") != (n.Attachment == "user") {
				t.Errorf("NIC %s (%s) has link %q", n.MAC, n.Attachment, n.Link)
			}
			if n.Address == "" {
				t.Errorf("NIC %s has no address", n.MAC)
			}
		}
		// What the switch says of the port is what the NIC asked for.
		if tag := must(t)(r.VSCtl("get", "port", got.NICs[1].Link, "tag")); tag != "120" {
			t.Errorf("port %s has tag %s", got.NICs[1].Link, tag)
		}
		for _, d := range got.Disks[:2] {
			if d.Allocation == nil || *d.Allocation == 0 {
				t.Errorf("disk %s has no allocation", d.Target)
			}
		}
		if got.GenerationID == uuid.Nil {
			t.Error("no generation ID")
		}
		digest = got.ConfigDigest
	})
	must(t)(r.Virsh("resume", "rich"))
	t.Run("running", func(t *testing.T) {
		got := read(t)
		if got.State != inventory.StateRunning || got.RawState != "running (unpaused)" {
			t.Errorf("state is %s: %s", got.State, got.RawState)
		}
		if got.ConfigDigest != digest {
			t.Error("the digest changed though nobody configured anything")
		}
	})
	must(t)(r.Virsh("domif-setlink", "rich", "52:54:00:aa:00:01", "down"))
	t.Run("cable pulled", func(t *testing.T) {
		got := read(t)
		if *got.NICs[1].LinkUp || got.ConfigDigest == digest {
			t.Error("the pulled cable is not seen")
		}
	})
	t.Run("disk grows", func(t *testing.T) {
		c := open(t, r)
		c.setUp()
		c.lane.fresh = 0
		before := *vmOf(t, complete(t, c), richUUID).Disks[1].Capacity
		must(t)(r.Virsh("blockresize", "rich", "sda", "128M"))
		eventually(t, "the disk to have grown", func() bool {
			now := *vmOf(t, complete(t, c), richUUID).Disks[1].Capacity
			return before == 64*inventory.MiB && now == 128*inventory.MiB
		})
	})
	must(t)(r.Virsh("undefine", "rich")) // runs on, and is gone when it stops
	t.Run("transient", func(t *testing.T) {
		if *read(t).Persistent {
			t.Error("a transient VM is called persistent")
		}
	})
	t.Run("devices", func(t *testing.T) { seen = append(seen, onDevices(t, r)) })
	t.Run("faults", func(t *testing.T) { seen = append(seen, brokenChains(t, r)) })
	t.Run("pools", func(t *testing.T) {
		definePools(t, r)
		seen = append(seen, complete(t, open(t, r)))
	})
	t.Run("capabilities", func(t *testing.T) {
		if unshown := collectorstest.Unshown(seen...); len(unshown) > 0 {
			t.Errorf("declared and never shown: %v", unshown)
		}
		collectorstest.Prove(t, collectorstest.ProofFile, "TestRealGuest", seen...)
	})
	must(t)(r.Virsh("destroy", "rich"))
	t.Run("gone", func(t *testing.T) {
		if o := complete(t, c); len(o.VMs) != 0 {
			t.Errorf("VMs after the last one went: %v", o.VMs)
		}
	})
}

// TestRuntime reads what is said of the runtime itself.
func TestRuntime(t *testing.T) {
	r := richHost(t)
	c := open(t, r)
	want := &inventory.Runtime{Name: "libvirt-qemu", Platform: "openstack", Endpoint: r.LibvirtReadOnlySocket(),
		Version:    must(t)(r.Run("sh", "-c", "libvirtd --version | sed 's/.* //'")),
		Hypervisor: "QEMU " + must(t)(r.Run("sh", "-c", "qemu-system-x86_64 --version | sed -n 's/.*version \\([0-9.]*\\).*/\\1/p'"))}
	if diff := cmp.Diff(want, complete(t, c).Runtime); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	definePlain(t, r, 1) // one that Nova doesn't know
	if got := complete(t, c).Runtime.Platform; got != "libvirt" {
		t.Errorf("platform is %s", got)
	}
}

func TestConformance(t *testing.T) {
	r := richHost(t)
	if err := r.StartVMPaused("rich"); err != nil {
		t.Fatal(err)
	}
	hung, dead := rig.ForTest(t), rig.ForTest(t)
	if err := hung.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if err := dead.KillLibvirtd(); err != nil {
		t.Fatal(err)
	}
	on := func(sockets ...string) collectorstest.Make {
		return func(t *testing.T) collectors.Collector {
			return closed(t, &Collector{Sockets: sockets, Root: r.Dir()})
		}
	}
	collectorstest.Run(t, on(r.LibvirtReadOnlySocket()),
		collectorstest.Absent(on(r.Dir()+"/nowhere", r.Dir()+"/neither/here")),
		collectorstest.Down(on(dead.LibvirtReadOnlySocket())),
		collectorstest.Hanging(on(hung.LibvirtReadOnlySocket())))
}

func mac(s string) inventory.MAC {
	m, err := inventory.ParseMAC(s)
	if err != nil {
		panic(err)
	}
	return m
}
