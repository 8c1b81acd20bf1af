package fleet

import (
	"fmt"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Drift is one way in which the books can differ.
type Drift struct {
	Name string
	// Kinds are the findings that follow, sorted by kind.
	Kinds []reconcile.Kind
	plant func(*Fleet, *vm)
}

// Drifts are those that VMs get in turn.
var Drifts = []Drift{
	{"it is gone", []reconcile.Kind{reconcile.VMMissing}, func(_ *Fleet, v *vm) { v.got = nil }},
	{"nobody knows it", []reconcile.Kind{reconcile.VMUnknown}, func(_ *Fleet, v *vm) {
		v.want = nil
	}},
	{"it should be gone", []reconcile.Kind{reconcile.VMLingering}, func(_ *Fleet, v *vm) { v.want.State = sentral.VMAbsent }},
	{"it is on another host", []reconcile.Kind{reconcile.VMMisplaced}, func(f *Fleet, v *vm) {
		v.want.Host = HostKey((v.n/f.VMs + f.Sites) % f.Hosts)
	}},
	{"it is stopped", []reconcile.Kind{reconcile.VMState}, func(_ *Fleet, v *vm) {
		v.got.State, v.got.RawState = inventory.StateStopped, "shut off"
		v.got.NICs[0].Link = ""
	}},
	{"it should be stopped", []reconcile.Kind{reconcile.VMState}, func(_ *Fleet, v *vm) { v.want.State = sentral.VMStopped }},
	{"vCPUs", []reconcile.Kind{reconcile.VMVCPUs}, func(_ *Fleet, v *vm) {
		four := 4
		v.got.VCPUs = &four
	}},
	{"memory", []reconcile.Kind{reconcile.VMMemory}, func(_ *Fleet, v *vm) {
		half := memory / 2
		v.got.Memory = &half
	}},
	{"machine type", []reconcile.Kind{reconcile.VMMachine}, func(_ *Fleet, v *vm) { v.want.Machine = "i440fx" }},
	{"placement metadata is lost", []reconcile.Kind{reconcile.VMPlacement}, func(_ *Fleet, v *vm) { v.got.Placement = nil }},
	{"the UUID is another one", []reconcile.Kind{reconcile.IdentityChanged, reconcile.VMPlacement}, func(_ *Fleet, v *vm) {
		v.got.UUID, v.got.Placement = numbered('x', v.n), nil
	}},
	{"a NIC was not attached", []reconcile.Kind{reconcile.NICMissing}, func(f *Fleet, v *vm) {
		v.want.NICs = append(v.want.NICs, sentral.NIC{MAC: mac(1<<30 + v.n), Network: f.owner(v.n).network()})
	}},
	{"a NIC was attached by hand", []reconcile.Kind{reconcile.NICUnknown}, func(_ *Fleet, v *vm) {
		v.got.NICs = append(v.got.NICs, inventory.NIC{MAC: mac(1<<30 + v.n), Model: "virtio", Attachment: "user", LinkUp: &yes})
	}},
	{"a VLAN that nobody has", []reconcile.Kind{reconcile.NICVLAN}, func(_ *Fleet, v *vm) { v.tag = 999 }},
	{"another tenant's VLAN", []reconcile.Kind{reconcile.NetworkIsolation, reconcile.NICVLAN}, func(f *Fleet, v *vm) { v.tag = f.vlan(v.n + 1) }},
	{"a cable is unplugged", []reconcile.Kind{reconcile.NICLink}, func(_ *Fleet, v *vm) {
		no := false
		v.got.NICs[0].LinkUp = &no
	}},
	{"a NIC's model", []reconcile.Kind{reconcile.NICModel}, func(_ *Fleet, v *vm) { v.want.NICs[0].Model = "e1000" }},
	{"a disk was not attached", []reconcile.Kind{reconcile.DiskMissing}, func(_ *Fleet, v *vm) {
		v.want.Disks = append(v.want.Disks, sentral.Disk{Name: "data", Serial: fmt.Sprintf("data-%06d", v.n), Size: &storage})
	}},
	{"a disk was attached by hand", []reconcile.Kind{reconcile.DiskUnknown}, func(_ *Fleet, v *vm) {
		more := v.got.Disks[0]
		more.Target, more.Serial = "vdb", fmt.Sprintf("data-%06d", v.n)
		more.Source = "/var/lib/libvirt/images/" + more.Serial + ".qcow2"
		v.got.Disks = append(v.got.Disks, more)
	}},
	{"a disk's size", []reconcile.Kind{reconcile.DiskSize}, func(_ *Fleet, v *vm) {
		half := storage / 2
		v.got.Disks[0].Capacity = &half
	}},
	{"a disk's format", []reconcile.Kind{reconcile.DiskFormat}, func(_ *Fleet, v *vm) { v.want.Disks[0].Format = "raw" }},
}

// Expected counts the findings that the planted drift must give, by kind.
func (f *Fleet) Expected() map[reconcile.Kind]int {
	kinds := map[reconcile.Kind]int{}
	for h := range f.Hosts {
		for nth := range f.VMs {
			n := h*f.VMs + nth
			if f.DriftEvery > 0 && n%f.DriftEvery == f.DriftEvery/2 {
				for _, kind := range Drifts[n/f.DriftEvery%len(Drifts)].Kinds {
					kinds[kind]++
				}
			}
		}
	}
	return kinds
}
