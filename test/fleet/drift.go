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
		other := (v.n/f.VMs + f.Sites) % f.Hosts
		for f.hostDrift(other) != nil {
			other = (other + f.Sites) % f.Hosts
		}
		v.want.Host = HostKey(other)
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
	{"placement metadata is lost", []reconcile.Kind{reconcile.VMPlacement}, func(_ *Fleet, v *vm) { v.got.Placement, v.got.Manager = nil, nil }},
	{"the UUID is another one", []reconcile.Kind{reconcile.IdentityChanged, reconcile.VMPlacement}, func(_ *Fleet, v *vm) {
		v.got.UUID, v.got.Placement, v.got.Manager = numbered('x', v.n), nil, nil
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

// drift is what a VM has, nil for none. Where the whole host drifts, its VMs don't
// besides.
func (f *Fleet) drift(vm int) *Drift {
	if f.DriftEvery == 0 || vm%f.DriftEvery != f.DriftEvery/2 || f.hostDrift(vm/f.VMs) != nil {
		return nil
	}
	return &Drifts[vm/f.DriftEvery%len(Drifts)]
}

// HostDrift is one way in which a host can differ.
type HostDrift struct {
	Name  string
	Kinds []reconcile.Kind // of the host itself
	// silent says that it never reported, unknown that Sentral has neither it nor
	// its VMs, blind that its runtime can't be seen.
	silent, unknown, blind bool
}

// HostDrifts are those that hosts get in turn.
var HostDrifts = []HostDrift{
	{Name: "it never reported", Kinds: []reconcile.Kind{reconcile.HostMissing}, silent: true},
	{Name: "nobody knows it", Kinds: []reconcile.Kind{reconcile.HostUnknown}, unknown: true},
	{Name: "its runtime fails", Kinds: []reconcile.Kind{reconcile.ObserveBlind}, blind: true},
}

func (f *Fleet) hostDrift(host int) *HostDrift {
	if f.DriftEvery == 0 || host%f.DriftEvery != f.DriftEvery-1 {
		return nil
	}
	return &HostDrifts[host/f.DriftEvery%len(HostDrifts)]
}

// Expected counts the findings that the planted drift must give, by kind.
func (f *Fleet) Expected() map[reconcile.Kind]int {
	kinds := map[reconcile.Kind]int{}
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift != nil {
			for _, kind := range drift.Kinds {
				kinds[kind]++
			}
			if drift.unknown {
				kinds[reconcile.VMUnknown] += f.VMs
			}
		}
		for nth := range f.VMs {
			if drift := f.drift(h*f.VMs + nth); drift != nil {
				for _, kind := range drift.Kinds {
					kinds[kind]++
				}
			}
		}
	}
	return kinds
}

// Unseen is how many VMs are on hosts that nothing can be said of: a join takes
// them for gone.
func (f *Fleet) Unseen() (vms int) {
	for h := range f.Hosts {
		if drift := f.hostDrift(h); drift != nil && !drift.unknown {
			vms += f.VMs
		}
	}
	return vms
}
