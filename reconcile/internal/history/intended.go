package history

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// hostKeys are Sentral's.
var hostKeys = []string{"hv1", "hv2", "hv3", "hv4"}

// intend gives an inventory of which one record differs, or all of one kind. What is
// the same in both it shares with the one before, or not.
func (w *World) intend() Change {
	inv := *w.Inventory
	switch n := w.pick(24); {
	case n < 10:
		inv.VMs = w.edited(inv.VMs)
	case n < 14:
		inv.Hosts = change(w, inv.Hosts, 5, func(h *sentral.Host) string { return h.ID }, w.hostRecord)
	case n < 16:
		inv.Projects = change(w, inv.Projects, 3, func(p *sentral.Project) string { return p.Tenant + "/" + p.ID }, w.projectRecord)
	case n < 17:
		inv.FailureDomains = few(w, 3, func() sentral.FailureDomain {
			return sentral.FailureDomain{ID: one(w, "rack1", "rack2"), Site: one(w, "osl1", "trd1")}
		})
	case n < 19:
		inv.Networks = change(w, inv.Networks, 3, func(n *sentral.Network) string { return n.ID }, w.network)
	case n < 21:
		inv.Images = change(w, inv.Images, 3, func(i *sentral.Image) string { return i.ID + i.Version }, w.image)
	case n < 22:
		inv.LeftOut = few(w, 2, w.leftOut)
		inv.Problems = few(w, 2, func() sentral.Problem {
			return sentral.Problem{Where: one(w, "a.yaml:1:1", "a.yaml:2:1"), Record: one(w, "", "vm x", "vm "+one(w, vmIDs...).String(), "network n1"), Key: one(w, "", "name", "project"), Error: one(w, "is missing", "is twice"), Duplicate: w.pick(2) == 0}
		})
	case n < 23:
		w.everything(&inv)
	default:
		inv.Incomplete = w.pick(4) == 0
	}
	if w.pick(4) == 0 { // all of it is read anew
		inv.VMs, inv.Hosts, inv.Projects, inv.FailureDomains = slices.Clone(inv.VMs), slices.Clone(inv.Hosts), slices.Clone(inv.Projects), slices.Clone(inv.FailureDomains)
		inv.Networks, inv.Images, inv.LeftOut = slices.Clone(inv.Networks), slices.Clone(inv.Images), slices.Clone(inv.LeftOut)
	}
	inv.ReadAt = w.Now
	w.Inventory = &inv
	return Change{Intended: &inv}
}

// everything makes all records of one kind anew.
func (w *World) everything(inv *sentral.Inventory) {
	switch w.pick(5) {
	case 0:
		inv.VMs = few(w, 9, w.vmRecord)
	case 1:
		inv.Hosts = few(w, 5, w.hostRecord)
	case 2:
		inv.Projects = few(w, 3, w.projectRecord)
	case 3:
		inv.Networks = few(w, 3, w.network)
	default:
		inv.Images = few(w, 3, w.image)
	}
}

func (w *World) projectRecord() sentral.Project {
	p := sentral.Project{Tenant: w.tenant(), ID: w.project(), Environments: one(w, nil, []string{"test"})}
	if w.pick(3) > 0 {
		p.Quota = &sentral.Quota{VCPUs: some(w, 1+w.pick(4)), Memory: some(w, 2*inventory.GiB), Storage: some(w, 20*inventory.GiB)}
	}
	return p
}

func (w *World) edited(vms []sentral.VM) []sentral.VM {
	return change(w, vms, 9, func(vm *sentral.VM) string { return vm.ID }, w.vmRecord)
}

// change adds, takes out or replaces one of up to most records. Now and then it
// shuffles them, or lets two have one ID.
func change[T any](w *World, all []T, most int, id func(*T) string, make func() T) []T {
	all = slices.Clone(all)
	switch n := w.pick(10); {
	case n < 2 && len(all) > 0 || len(all) >= most:
		at := w.pick(len(all))
		return slices.Delete(all, at, at+1)
	case n < 3 && len(all) > 1:
		at := w.pick(len(all) - 1)
		all[at], all[at+1] = all[at+1], all[at]
		return all
	}
	record := make()
	if at := slices.IndexFunc(all, func(other T) bool { return id(&other) == id(&record) }); at >= 0 && w.pick(12) > 0 {
		all[at] = record
		return all
	}
	return append(all, record)
}

func (w *World) vmRecord() sentral.VM {
	id := one(w, vmIDs...).String()
	switch w.pick(8) {
	case 0:
		id = one(w, "web-record", "Web-Record")
	case 1:
		id = strings.ToUpper(id)
	}
	vm := sentral.VM{
		ID: id, Name: w.name(), Tenant: w.tenant(), Project: w.project(), Environment: "prod", Site: one(w, "osl1", "osl1", "trd1"),
		FailureDomain: one(w, "", "rack1"), Host: one(w, append(hostKeys, "", "gone")...),
		State: one(w, "", "", sentral.VMRunning, sentral.VMStopped, sentral.VMAbsent),
		VCPUs: some(w, 1+w.pick(2)), Memory: some(w, inventory.GiB), Machine: one(w, "", "q35"),
		NICs: few(w, 2, func() sentral.NIC {
			return sentral.NIC{MAC: w.mac(), Network: one(w, "n1", "n2", "n9"), Model: one(w, "", "virtio")}
		}),
		Disks: few(w, 2, func() sentral.Disk {
			return sentral.Disk{Name: one(w, "root", "data"), Size: some(w, 10*inventory.GiB), Serial: w.serial(), WWN: w.wwn(), Source: one(w, "", w.path()), Shared: w.pick(6) == 0}
		}),
	}
	vm.AntiAffinity = one(w, "", "", "a", "b")
	if w.pick(4) == 0 {
		vm.RuntimeID = w.vmID()
	}
	if w.pick(3) == 0 {
		vm.Image = &sentral.ImageRef{ID: "debian", Version: one(w, "", "12", "13")}
	}
	return vm
}

func (w *World) hostRecord() sentral.Host {
	h := sentral.Host{ID: one(w, hostKeys...), Name: w.hostname(), Site: one(w, "osl1", "osl1", "trd1"), FailureDomain: one(w, "rack1", "rack2"),
		Platform: one(w, "", "libvirt-qemu", "qemu"), State: one(w, "", "", sentral.HostActive, sentral.HostMaintenance, sentral.HostPlanned, sentral.HostRetired),
		Serial: w.serial(), SystemUUID: w.machine(), Capacity: one(w, nil, &sentral.Quota{VCPUs: some(w, 1), Memory: some(w, inventory.GiB), Storage: some(w, 10*inventory.GiB)}),
		Links: few(w, 1, func() sentral.HostLink { return sentral.HostLink{Name: one(w, "eno1", "eno2"), MAC: w.mac()} }),
		Disks: few(w, 1, func() sentral.HostDisk { return sentral.HostDisk{Serial: w.serial(), WWN: w.wwn()} }),
	}
	if w.pick(3) > 0 {
		h.HostID = w.host()
	}
	return h
}

func (w *World) network() sentral.Network {
	return sentral.Network{ID: one(w, "n1", "n2"), Tenant: w.tenant(), Project: one(w, "", w.project()),
		VLANs: map[string]inventory.VLAN{"osl1": inventory.VLAN(110 + 10*w.pick(3)), one(w, "trd1", "osl1"): 120}, Shared: w.pick(3) == 0}
}

func (w *World) image() sentral.Image {
	return sentral.Image{ID: one(w, "debian", "alma"), Version: one(w, "12", "13"), Digest: one(w, "", "sha256:aa", "sha256:bb"), Source: one(w, "", w.path())}
}

func (w *World) leftOut() sentral.LeftOut {
	record := sentral.LeftOut{Type: one(w, "vm", "vm", "host", "network", "project", "project"), ID: one(w, "", one(w, vmIDs...).String(), "acme/web", "umbrella/db"), Name: w.hostname(), Serial: w.serial()}
	if w.pick(2) == 0 {
		record.UUID = one(w, append(vmIDs, append(hosts, uuid.Nil)...)...)
	}
	if w.pick(2) == 0 {
		record.MACs = []inventory.MAC{w.mac()}
	}
	return record
}

// path is where a disk, a volume or an image may be.
func (w *World) path() string {
	return one(w, "/pool/a", "/pool/b", "/pool/c", "/nfs/a", "/nfs/d", "/dev/vg/lv1")
}
