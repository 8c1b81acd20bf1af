package history

import (
	"fmt"
	"slices"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// document gives a newer document of some host and source: the one before said
// again, one VM changed, or all of it anew.
func (w *World) document() Change {
	host := w.host()
	source := one(w, "runtime-libvirt", "runtime-libvirt", "runtime-libvirt", "runtime-libvirt", "runtime-qemu", "network", "storage", "identity")
	key := Key{host, source}
	held, has := w.Documents[key]
	o := inventory.Observation{Schema: inventory.Schema, Host: host, Site: one(w, "osl1", w.site()), Source: source, Epoch: 1, Outcome: inventory.OutcomeComplete, Complete: true}
	how := w.pick(10)
	switch {
	case has && how < 2: // said again
		o = *held.Observation
	case has && how < 7 && len(held.VMs) > 0:
		o = *held.Observation
		o.VMs = w.changed(o.VMs)
	default:
		w.fill(&o)
	}
	w.gens[key]++
	o.Gen, o.ObservedAt = w.gens[key], w.Now.Add(-time.Duration(w.pick(3))*time.Second)
	o.Digest = fmt.Sprint(host, source, o.Gen)
	w.Documents[key] = reconcile.Document{Observation: &o, Received: w.Now}
	if _, speaks := w.Heard[host]; !speaks || w.pick(4) > 0 {
		w.Heard[host] = w.Now
	}
	return Change{Document: &o}
}

func (w *World) changed(vms []inventory.VM) []inventory.VM {
	vms = slices.Clone(vms)
	at := w.pick(len(vms))
	switch w.pick(6) {
	case 0:
		return slices.Delete(vms, at, at+1)
	case 1:
		return slices.Insert(vms, at, w.vm())
	case 2:
		vms[at].State = one(w, inventory.StateRunning, inventory.StateStopped, inventory.StatePaused, inventory.StateCrashed)
	case 3:
		vms[at].NICs = few(w, 2, w.nic)
	case 4: // a copy beside its original
		vms = append(vms, vms[at])
		vms[len(vms)-1].UUID = w.vmID()
	default:
		vms[at] = w.vm()
	}
	return vms
}

func (w *World) fill(o *inventory.Observation) {
	switch one(w, inventory.OutcomeComplete, inventory.OutcomeComplete, inventory.OutcomeComplete, inventory.OutcomeComplete, inventory.OutcomePartial, inventory.OutcomeFailed, inventory.OutcomeAbsent) {
	case inventory.OutcomeFailed:
		o.Outcome, o.Complete = inventory.OutcomeFailed, false
		o.Problems = []inventory.Problem{{Call: "connect", Why: inventory.WhyRefused, Error: "no"}}
		return
	case inventory.OutcomeAbsent:
		o.Outcome, o.Complete = inventory.OutcomeAbsent, false
		return
	case inventory.OutcomePartial:
		o.Outcome, o.Complete = inventory.OutcomePartial, w.pick(2) == 0
	}
	switch o.Source {
	case "identity":
		o.Identity = &inventory.Host{Hostname: w.hostname(), SystemUUID: w.machine(), Serial: w.serial(), BoardSerial: w.serial(), MACs: few(w, 2, w.mac), CPUs: some(w, 1), Memory: some(w, 2*inventory.GiB)}
	case "network":
		w.fillNetwork(o)
	case "storage":
		w.fillStorage(o)
	default:
		w.fillRuntime(o)
	}
}

func (w *World) fillRuntime(o *inventory.Observation) {
	o.Runtime = &inventory.Runtime{Name: "libvirt-qemu", Platform: one(w, "libvirt", "openstack")}
	o.VMs = few(w, 4, w.vm)
	o.StoragePools = few(w, 1, w.pool)
	for _, field := range []inventory.Field{"vm.uuid", "vm.state", "nic.mac", "disk.source"} {
		o.Capabilities = append(o.Capabilities, inventory.Capability{Field: field, From: "call " + string(field), Known: inventory.KnownDirect})
	}
	if o.Source == "runtime-qemu" {
		o.Capabilities = append(o.Capabilities, inventory.Capability{Field: "vm.placement", Known: inventory.KnownAbsent})
		if w.pick(2) == 0 {
			o.Capabilities = append(o.Capabilities, inventory.Capability{Field: "runtime.runningOnly", Known: inventory.KnownDirect})
		}
	}
	for range w.pick(2) {
		problem := inventory.Problem{Field: one(w, inventory.Field(""), "placement.vm", "vm.nics", "vm.disks", "vm.state", "vm.pending", "storagePool.volumes"), Call: "read", Why: inventory.WhyBroken, Error: "garbled"}
		if len(o.VMs) > 0 && w.pick(3) > 0 {
			problem.Entity = o.VMs[w.pick(len(o.VMs))].Entity()
		}
		o.Problems = append(o.Problems, problem)
	}
}

func (w *World) vm() inventory.VM {
	vm := inventory.VM{
		UUID: w.vmID(), NativeID: one(w, "", "1", "2"), Name: w.name(),
		State: one(w, inventory.StateRunning, inventory.StateRunning, inventory.StateRunning, inventory.StateStopped, inventory.StatePaused, inventory.StateUnknown),
		VCPUs: some(w, 1+w.pick(2)), Memory: some(w, inventory.GiB), Machine: one(w, "", "q35", "pc"),
		NICs: few(w, 2, w.nic), Disks: few(w, 2, w.disk),
	}
	switch w.pick(4) {
	case 0:
		vm.SMBIOSUUID = w.vmID()
	case 1:
		vm.SMBIOSUUID = vm.UUID
	}
	if w.pick(12) == 0 {
		vm.Type = inventory.TypeContainer
	}
	if w.pick(3) > 0 {
		vm.Placement = &inventory.Placement{Tenant: w.tenant(), Project: one(w, "", w.project()), Environment: "prod"}
		if w.pick(3) > 0 {
			vm.Placement.VM = one(w, one(w, vmIDs...).String(), "web-record")
		}
	}
	if w.pick(4) == 0 {
		vm.Image = &inventory.Image{ID: "debian", Version: one(w, "", "12"), Source: one(w, "", w.path())}
	}
	if w.pick(8) == 0 {
		vm.AsOf = &Begin
	}
	vm.Persistent = some(w, w.pick(3) > 0)
	vm.Pending = few(w, 1, func() inventory.Pending {
		return one(w, inventory.Pending{Path: "vcpus", Live: "1", Defined: "2"}, inventory.Pending{Path: "memory", Live: "1", Defined: "1073741824"})
	})
	return vm
}

func (w *World) nic() inventory.NIC {
	return inventory.NIC{MAC: w.mac(), Model: one(w, "", "virtio"), Attachment: one(w, "bridge", "ovs", "user"),
		Link: one(w, "", "vnet0", "vnet1", "vnet2"), VLAN: some(w, inventory.VLAN(110+10*w.pick(2))), LinkUp: some(w, w.pick(4) > 0), MTU: some(w, one(w, 1500, 9000))}
}

func (w *World) disk() inventory.Disk {
	d := inventory.Disk{Target: one(w, "vda", "vdb"), Serial: w.serial(), WWN: w.wwn(), Source: one(w, w.path(), "pool/a"), Format: one(w, "", "qcow2"),
		SourceType: one(w, "file", "file", "network", "volume"), Capacity: some(w, 10*inventory.GiB), ReadOnly: w.pick(8) == 0, Shareable: w.pick(8) == 0, Fault: one(w, "", "", "", "not there")}
	if w.pick(3) == 0 {
		d.Backing = []inventory.BackingFile{{Source: w.path()}}
	}
	return d
}

func (w *World) pool() inventory.StoragePool {
	kind := one(w, "dir", "netfs", "logical", "zfs")
	return inventory.StoragePool{Name: one(w, "default", "pool"), Type: kind, State: one(w, "running", "running", "inactive"), Target: one(w, "/pool", "/nfs"),
		Volumes: few(w, 3, func() inventory.StorageVolume {
			v := inventory.StorageVolume{Name: one(w, "a", "b"), Path: w.path(), Format: one(w, "qcow2", "raw"), Capacity: some(w, 10*inventory.GiB)}
			if w.pick(3) == 0 {
				v.Backing = &inventory.BackingFile{Source: w.path()}
			}
			return v
		})}
}

func (w *World) fillNetwork(o *inventory.Observation) {
	yes := true
	mtu := one(w, 1500, 9000)
	o.Links = []inventory.Link{
		{Name: "eno1", Kind: "physical", MAC: w.mac(), PermanentMAC: w.mac(), Master: one(w, "br0", "bond0", ""), MTU: &mtu, OperState: one(w, "up", "down")},
		{Name: "br0", Kind: "bridge", VLANFiltering: &yes},
	}
	for i := range w.pick(4) {
		tap := inventory.Link{Name: fmt.Sprintf("vnet%d", i), Kind: "tun", Master: one(w, "br0", "ovs-system", "")}
		for _, vlan := range few(w, 2, func() inventory.VLAN { return inventory.VLAN(110 + 10*w.pick(3)) }) {
			tap.PortVLANs = append(tap.PortVLANs, inventory.PortVLAN{ID: vlan, PVID: len(tap.PortVLANs) == 0, Untagged: len(tap.PortVLANs) == 0})
		}
		o.Links = append(o.Links, tap)
	}
	o.Links[0].PortVLANs = []inventory.PortVLAN{{ID: 110, Last: inventory.VLAN(110 + 10*w.pick(3))}}
	if w.pick(2) == 0 {
		bridge := inventory.OVSBridge{Name: "ovs0"}
		for i := range w.pick(3) {
			name := fmt.Sprintf("vnet%d", i)
			bridge.Ports = append(bridge.Ports, inventory.OVSPort{Name: name, Tag: some(w, inventory.VLAN(110+10*w.pick(3))), Interfaces: []inventory.OVSInterface{{Name: name}}})
		}
		bridge.Ports = append(bridge.Ports, inventory.OVSPort{Name: "eno1", Interfaces: []inventory.OVSInterface{{Name: "eno1"}}})
		o.OVSBridges = []inventory.OVSBridge{bridge}
	}
}

func (w *World) fillStorage(o *inventory.Observation) {
	for _, name := range []string{"sda", "sdb"}[:w.pick(3)] {
		o.BlockDevices = append(o.BlockDevices, inventory.BlockDevice{Name: name, Kind: "disk", Size: some(w, 960*inventory.GiB), Serial: w.serial(), WWN: one(w, "", "5002538e00000001", "5002538e00000002")})
	}
	o.FileSystems = []inventory.FileSystem{{Mount: "/pool", Device: "/dev/sda", Type: "ext4", Number: "8:0", BlockDevice: "sda"}}
	if w.pick(2) == 0 {
		o.FileSystems = append(o.FileSystems, inventory.FileSystem{Mount: "/nfs", Device: "filer:/nfs", Type: "nfs4", Number: "0:42"})
	}
	o.ImageFiles = few(w, 1, func() inventory.ImageFile {
		return inventory.ImageFile{Path: w.path(), Digest: one(w, "", "sha256:aa"), Undigested: "not yet"}
	})
}
