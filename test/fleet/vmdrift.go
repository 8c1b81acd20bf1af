package fleet

import (
	"fmt"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

type kinds = []reconcile.Kind

// VMDrifts are those that VMs get in turn.
var VMDrifts = []VMDrift{
	{Name: "it is gone", Share: 3, Kinds: kinds{reconcile.VMMissing}, plant: func(_ *Fleet, v *vm, _ int) { v.got = nil }},
	{Name: "nobody recorded it", Share: 3, Kinds: kinds{reconcile.VMUnknown}, plant: func(_ *Fleet, v *vm, _ int) { v.want = nil }},
	{Name: "it should be gone", Share: 2, Kinds: kinds{reconcile.VMLingering}, plant: func(_ *Fleet, v *vm, _ int) { v.want.State = sentral.VMAbsent }},
	{Name: "it is on another host", Share: 3, Kinds: kinds{reconcile.VMMisplaced}, pair: true, plant: func(f *Fleet, v *vm, host int) {
		other, _ := f.Partner(host)
		v.want.Host = HostKey(other)
	}},
	{Name: "it runs on two hosts", Share: 1, Kinds: kinds{reconcile.VMDuplicate}, pair: true, plant: func(_ *Fleet, v *vm, _ int) {
		v.away = &vm{n: v.n, got: v.got, on: v.on}
	}},
	{Name: "it is stopped", Share: 3, Kinds: kinds{reconcile.VMState}, plant: func(_ *Fleet, v *vm, _ int) { v.stop() }},
	{Name: "it should be stopped", Share: 2, Kinds: kinds{reconcile.VMState}, plant: func(_ *Fleet, v *vm, _ int) { v.want.State = sentral.VMStopped }},
	{Name: "vCPUs", Share: 3, Kinds: kinds{reconcile.VMVCPUs}, plant: func(_ *Fleet, v *vm, _ int) {
		four := 4
		v.got.VCPUs = &four
	}},
	{Name: "memory", Share: 3, Kinds: kinds{reconcile.VMMemory}, plant: func(_ *Fleet, v *vm, _ int) {
		half := memory / 2
		v.got.Memory = &half
	}},
	{Name: "machine type", Share: 1, Kinds: kinds{reconcile.VMMachine}, plant: func(_ *Fleet, v *vm, _ int) { v.want.Machine = "i440fx" }},
	{Name: "placement metadata is lost", Share: 2, Kinds: kinds{reconcile.VMPlacement}, plant: func(_ *Fleet, v *vm, _ int) { v.got.Placement, v.got.Manager = nil, nil }},
	{Name: "labelled with an older image", Share: 1, Kinds: kinds{reconcile.VMImage}, plant: func(_ *Fleet, v *vm, _ int) {
		v.got.Image.Version = "20260901"
	}},
	{Name: "it waits for a restart", Share: 2, Kinds: kinds{reconcile.VMConfig}, only: "!" + onIncus, plant: func(_ *Fleet, v *vm, _ int) {
		v.got.Pending = []inventory.Pending{{Path: "vcpus", Live: "2", Defined: "4"}}
	}},
	{Name: "it has no definition", Share: 1, Kinds: kinds{reconcile.VMTransient}, only: "!" + onOpenStack, plant: func(_ *Fleet, v *vm, _ int) { v.got.Persistent = &no }},
	{Name: "it is a container", Share: 1, Kinds: kinds{reconcile.VMType}, only: onIncus, plant: func(_ *Fleet, v *vm, _ int) { v.got.Type = inventory.TypeContainer }},
	{Name: "a start succeeded, and it is stopped", Share: 1, Kinds: kinds{reconcile.VMTask, reconcile.VMState}, plant: func(_ *Fleet, v *vm, _ int) {
		v.stop()
		ended := epoch.Add(-time.Minute)
		v.task = &reconcile.Task{ID: numbered('t', v.n).String(), VM: v.want.ID, Action: reconcile.ActionStart, State: reconcile.TaskSucceeded, Began: ended, Ended: ended}
	}},
	{Name: "only its MAC tells", Share: 1, Kinds: kinds{reconcile.IdentityWeak}, plant: func(_ *Fleet, v *vm, _ int) {
		v.want.ID, v.got.Placement.VM = fmt.Sprintf("order-%d", v.n), ""
	}},
	{Name: "two could be it", Share: 1, Kinds: kinds{reconcile.IdentityAmbiguous}, plant: func(f *Fleet, v *vm, host int) {
		v.want.RuntimeID = numbered('x', v.n)
		other := f.another(v, host)
		other.want, other.got.Placement.VM = nil, v.want.ID
	}},
	{Name: "the UUID is another one", Share: 1, Kinds: kinds{reconcile.IdentityChanged}, plant: func(_ *Fleet, v *vm, _ int) { v.got.UUID = numbered('x', v.n) }},
	{Name: "a copy carries its ID", Share: 1, Kinds: kinds{reconcile.IdentityCloned, reconcile.VMUnknown}, plant: func(f *Fleet, v *vm, host int) {
		other := f.another(v, host)
		other.want, other.got.Placement.VM = nil, v.want.ID
	}},
	{Name: "its metadata names no VM", Share: 1, Kinds: kinds{reconcile.IdentityConflict}, plant: func(_ *Fleet, v *vm, _ int) {
		v.got.Placement.VM = numbered('x', v.n).String()
	}},
	{Name: "a NIC was not attached", Share: 2, Kinds: kinds{reconcile.NICMissing}, plant: func(f *Fleet, v *vm, _ int) {
		v.want.NICs = append(v.want.NICs, sentral.NIC{MAC: second(v.n), Network: f.owner(v.n).network()})
	}},
	{Name: "a NIC was attached by hand", Share: 2, Kinds: kinds{reconcile.NICUnknown}, plant: func(_ *Fleet, v *vm, _ int) {
		v.got.NICs = append(v.got.NICs, inventory.NIC{MAC: second(v.n), Model: "virtio", Attachment: "user"})
	}},
	{Name: "a network of its project's that is routed", Share: 1, Kinds: kinds{reconcile.NICNetwork}, plant: func(f *Fleet, v *vm, _ int) {
		v.got.NICs[0].Network = f.owner(v.n).backup()
	}},
	{Name: "a VLAN that nobody has", Share: 2, Kinds: kinds{reconcile.NICVLAN}, plant: func(_ *Fleet, v *vm, _ int) { v.on = 999 }},
	{Name: "another tenant's VLAN", Share: 1, Kinds: kinds{reconcile.NetworkIsolation, reconcile.NICVLAN}, plant: func(f *Fleet, v *vm, _ int) { v.on = f.owner(v.n + 1).vlan }},
	{Name: "its NICs are swapped", Share: 1, Kinds: kinds{reconcile.NICOrder}, plant: func(_ *Fleet, v *vm, _ int) {
		nic := v.got.NICs[0]
		nic.MAC, nic.Link, nic.Address = second(v.n), fmt.Sprintf("tap%08x-1", v.n), ""
		v.want.NICs = append(v.want.NICs, sentral.NIC{MAC: nic.MAC, Network: v.want.NICs[0].Network})
		v.got.NICs[0].Address = ""
		v.got.NICs = []inventory.NIC{nic, v.got.NICs[0]}
	}},
	{Name: "a NIC's model", Share: 1, Kinds: kinds{reconcile.NICModel}, plant: func(_ *Fleet, v *vm, _ int) { v.want.NICs[0].Model = "e1000" }},
	{Name: "a cable is unplugged", Share: 2, Kinds: kinds{reconcile.NICLink}, plant: func(_ *Fleet, v *vm, _ int) { v.got.NICs[0].LinkUp = &no }},
	{Name: "its MAC is another VM's too", Share: 1, Kinds: kinds{reconcile.NICMAC}, plant: func(f *Fleet, v *vm, host int) {
		other := f.another(v, host) // records that leave the MAC to the runtime
		v.want.NICs[0].MAC, other.want.NICs[0].MAC = inventory.MAC{}, inventory.MAC{}
		other.got.NICs[0].MAC = v.got.NICs[0].MAC
	}},
	{Name: "its guest may send more than the uplink takes", Share: 1, Kinds: kinds{reconcile.NetworkMTU}, plant: func(_ *Fleet, v *vm, _ int) {
		jumbo := 9000
		v.got.NICs[0].MTU = &jumbo
	}},
	{Name: "a disk was not attached", Share: 2, Kinds: kinds{reconcile.DiskMissing}, plant: func(_ *Fleet, v *vm, _ int) {
		v.want.Disks = append(v.want.Disks, sentral.Disk{Name: "data", Serial: fmt.Sprintf("data-%06d", v.n), Size: &root})
	}},
	{Name: "a disk was attached by hand", Share: 2, Kinds: kinds{reconcile.DiskUnknown}, plant: func(f *Fleet, v *vm, host int) { v.attach(f, host) }},
	{Name: "a disk's size", Share: 2, Kinds: kinds{reconcile.DiskSize}, plant: func(_ *Fleet, v *vm, _ int) {
		half := root / 2
		v.got.Disks[0].Capacity = &half
	}},
	{Name: "a disk's source", Share: 1, Kinds: kinds{reconcile.DiskSource}, plant: func(_ *Fleet, v *vm, _ int) {
		v.want.Disks[0].Source = fmt.Sprintf("/srv/vm-%06d.qcow2", v.n)
	}},
	{Name: "a disk's format", Share: 1, Kinds: kinds{reconcile.DiskFormat}, only: "!" + onIncus, plant: func(_ *Fleet, v *vm, _ int) { v.want.Disks[0].Format = "raw" }},
	{Name: "a disk's serial", Share: 1, Kinds: kinds{reconcile.DiskSerial}, only: "!" + onIncus, plant: func(_ *Fleet, v *vm, _ int) {
		wwn := fmt.Sprintf("5002538e%08x", v.n)
		v.want.Disks[0].WWN, v.got.Disks[0].WWN = wwn, wwn
		v.got.Disks[0].Serial = fmt.Sprintf("old-%06d", v.n)
	}},
	{Name: "its disks are swapped", Share: 1, Kinds: kinds{reconcile.DiskOrder}, plant: func(f *Fleet, v *vm, host int) {
		v.attach(f, host)
		more := v.got.Disks[1]
		v.want.Disks = append(v.want.Disks, sentral.Disk{Name: "data", Serial: more.Serial, Size: &root})
		v.got.Disks[0], v.got.Disks[1] = more, v.got.Disks[0]
		v.got.Disks[0].Backing = v.got.Disks[1].Backing
	}},
	{Name: "it was made from an older image", Share: 1, Kinds: kinds{reconcile.DiskImage}, plant: func(f *Fleet, v *vm, host int) {
		if f.Platform(host) == onIncus {
			v.got.Image.Digest = digest("20260901")
		} else {
			v.made("20260901")
		}
	}},
	{Name: "its backing file is gone", Share: 1, Kinds: kinds{reconcile.DiskBacking}, only: "!" + onIncus, plant: func(_ *Fleet, v *vm, _ int) {
		v.got.Disks[0].Backing[0].Fault = "there is no such file"
	}},
	{Name: "its disk is another VM's too", Share: 1, Kinds: kinds{reconcile.DiskShared}, plant: func(f *Fleet, v *vm, host int) {
		f.another(v, host).got.Disks[0].Source = v.got.Disks[0].Source
	}},
	{Name: "it left a volume behind", Share: 2, Kinds: kinds{reconcile.DiskOrphan}, only: onLibvirt, plant: func(_ *Fleet, v *vm, _ int) { v.orphan = true }},
	{Name: "its record has another tenant's network", Share: 1, Kinds: kinds{reconcile.ScopeContradiction, reconcile.NetworkIsolation}, plant: func(f *Fleet, v *vm, _ int) {
		v.on, v.want.NICs[0].Network = f.owner(v.n+1).vlan, f.owner(v.n+1).network()
	}},
	{Name: "its label names a project that is not there", Share: 1, Kinds: kinds{reconcile.ScopeUnresolved, reconcile.VMUnknown}, plant: func(_ *Fleet, v *vm, _ int) {
		v.want = nil
		v.got.Placement.VM, v.got.Placement.Project = "", fmt.Sprintf("closed%d", v.n)
		v.got.NICs = nil
	}},
	{Name: "its project has a quota of less", Share: 1, Kinds: kinds{reconcile.CapacityQuota, reconcile.CapacityQuota}, plant: func(_ *Fleet, v *vm, _ int) {
		one := 1
		v.project = &sentral.Project{Tenant: v.want.Tenant, ID: fmt.Sprintf("small%d", v.n), Environments: []string{"prod"}, Quota: &sentral.Quota{VCPUs: &one}}
		v.want.Project, v.got.Placement.Project = v.project.ID, v.project.ID
		v.want.NICs, v.got.NICs = nil, nil
	}},
	{Name: "its twin is on the same host", Share: 1, Kinds: kinds{reconcile.CapacityAffinity, reconcile.CapacityAffinity, reconcile.CapacityAffinity}, plant: func(f *Fleet, v *vm, host int) {
		other := f.another(v, host)
		v.want.AntiAffinity, other.want.AntiAffinity = fmt.Sprintf("twins%d", v.n), fmt.Sprintf("twins%d", v.n)
	}},
	{Name: "its record names an image that is not there", Share: 1, Kinds: kinds{reconcile.InventoryInvalid}, plant: func(_ *Fleet, v *vm, _ int) {
		v.want.Image, v.got.Image = &sentral.ImageRef{ID: "windows", Version: "11"}, nil
	}},
}

// stop has the VM stopped, which leaves it no tap.
func (v *vm) stop() {
	v.got.State, v.got.RawState = inventory.StateStopped, "shut off"
	v.got.NICs[0].Link = ""
}

// another makes a second VM of the same owner on the same host.
func (f *Fleet) another(v *vm, host int) *vm {
	v.beside = []vm{f.plain(v.n|spare, host, f.owner(v.n))}
	return &v.beside[0]
}

// attach gives the VM a second disk.
func (v *vm) attach(f *Fleet, host int) {
	more := v.disk("vdb", "data")
	if f.Platform(host) == onIncus {
		more = inventory.Disk{Target: "data", Bus: "scsi", Device: "disk", SourceType: "volume", Source: "default/custom/" + v.got.Name, Capacity: &root}
	}
	v.got.Disks = append(v.got.Disks, more)
}
