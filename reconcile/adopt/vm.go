package adopt

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// vm writes a VM down, and says whether it is known whose it is.
func (b *book) vm(m *reconcile.VMMatch) bool {
	seen := m.Observed
	vm := sentral.VM{
		Name: seen.Name, Tenant: b.o.Tenant, Project: b.o.Project, Environment: b.o.Environment,
		Site: seen.Site, Host: seen.Host, State: State(seen.State),
		VCPUs: seen.VCPUs, Memory: seen.Memory,
	}
	id := ""
	if p := seen.Placement; p != nil {
		id = p.VM
		vm.Tenant, vm.Project, vm.Environment = cmp.Or(p.Tenant, vm.Tenant), cmp.Or(p.Project, vm.Project), cmp.Or(p.Environment, vm.Environment)
	}
	if vm.Tenant == "" || vm.Project == "" || vm.Environment == "" {
		return false
	}
	if vm.Site == "" || id == "" && seen.UUID == uuid.Nil && seen.NativeID == "" && seen.Name == "" {
		b.skipped = append(b.skipped, cmp.Or(seen.Name, seen.Key(), "a VM on "+seen.Host))
		return true
	}
	if why := b.foreignNIC(&vm, m); why != "" && !b.o.Foreign {
		b.foreign = append(b.foreign, fmt.Sprintf("%s (%s)", cmp.Or(seen.Name, seen.Key()), why))
		return true
	}
	if seen.UUID != uuid.Nil && b.uuids[seen.UUID] {
		b.copies = append(b.copies, cmp.Or(seen.Name, seen.Key()))
		return true
	}
	b.uuids[seen.UUID] = true
	switch {
	case id != "" && !b.taken["vm "+id]:
		b.taken["vm "+id] = true
		vm.ID = id
	case seen.UUID != uuid.Nil:
		vm.ID = b.free("vm", seen.UUID.String())
	default:
		vm.ID = b.free("vm", cmp.Or(seen.NativeID, seen.Name))
	}
	vm.Name = cmp.Or(vm.Name, vm.ID)
	if seen.UUID != uuid.Nil && !hasID(vm.ID, seen.UUID) {
		vm.RuntimeID = seen.UUID
	}
	if seen.Placement == nil {
		b.unlabelled = append(b.unlabelled, vm.Name)
	}
	b.site(vm.Site)
	b.project(vm.Tenant, vm.Project)
	for i := range seen.NICs {
		var path *reconcile.NICPath
		if i < len(m.Paths) {
			path = &m.Paths[i]
		}
		vm.NICs = append(vm.NICs, b.nic(&vm, &seen.NICs[i], path))
	}
	for i := range seen.Disks {
		if d := &seen.Disks[i]; d.IsStorage() {
			vm.Disks = append(vm.Disks, disk(d))
			if d.Capacity == nil && !slices.Contains(b.unsized, vm.Name) {
				b.unsized = append(b.unsized, vm.Name)
			}
		}
	}
	vm.Image = b.image(seen.Image)
	b.out.Records.VMs = append(b.out.Records.VMs, vm)
	return true
}

// State is Sentral's word for a state of a runtime: it has none for paused or
// crashed.
func State(s inventory.State) sentral.VMState {
	if s.Active() {
		return sentral.VMRunning
	}
	return sentral.VMStopped
}

func disk(d *inventory.Disk) sentral.Disk {
	return sentral.Disk{Name: d.Target, Size: d.Capacity, Serial: d.Serial, WWN: d.WWN, Shared: d.Shareable}
}

// nic writes a NIC down with the network whose VLAN it is on, which is made if
// the project has none.
func (b *book) nic(vm *sentral.VM, seen *inventory.NIC, path *reconcile.NICPath) sentral.NIC {
	nic := sentral.NIC{MAC: seen.MAC}
	if path != nil && path.VLAN != nil {
		nic.Network = b.vlan(vm, *path.VLAN)
		return nic
	}
	if known := b.byID[seen.Network]; known != nil && owns(known, vm) {
		nic.Network = known.ID
		return nic
	}
	if !slices.Contains(b.unfollowed, vm.Name) {
		b.unfollowed = append(b.unfollowed, vm.Name)
	}
	nic.Network = b.made(vm, sentral.Network{ID: name(vm, cmp.Or(seen.Network, seen.Bridge, "unknown"))})
	return nic
}

// foreignNIC says which NIC of a VM is on a VLAN that is somebody else's, and whose;
// "" where none is.
func (b *book) foreignNIC(vm *sentral.VM, m *reconcile.VMMatch) string {
	for i := range m.Observed.NICs {
		if i >= len(m.Paths) || m.Paths[i].VLAN == nil {
			continue
		}
		others := b.networks[siteVLAN{vm.Site, *m.Paths[i].VLAN}]
		if len(others) > 0 && !slices.ContainsFunc(others, func(n *sentral.Network) bool { return owns(n, vm) }) {
			return fmt.Sprintf("NIC %s is on VLAN %d, which is %s", nicName(&m.Observed.NICs[i], i), *m.Paths[i].VLAN, whose(others[0]))
		}
	}
	return ""
}

func nicName(nic *inventory.NIC, index int) string {
	if nic.MAC != (inventory.MAC{}) {
		return nic.MAC.String()
	}
	return fmt.Sprintf("#%d", index+1)
}

func whose(n *sentral.Network) string {
	return fmt.Sprintf("%s/%s's network %s", n.Tenant, n.Project, n.ID)
}

func owns(n *sentral.Network, vm *sentral.VM) bool {
	return n.Tenant == vm.Tenant && n.Project == vm.Project
}

// vlan is the project's network on a VLAN.
func (b *book) vlan(vm *sentral.VM, vlan inventory.VLAN) string {
	at := siteVLAN{vm.Site, vlan}
	for _, n := range b.networks[at] {
		if owns(n, vm) {
			return n.ID
		}
	}
	if others := b.networks[at]; len(others) > 0 {
		return others[0].ID // it is on another's network, and a person said to write that down
	}
	return b.made(vm, sentral.Network{ID: name(vm, fmt.Sprintf("%s-vlan%d", vm.Site, vlan)), VLANs: map[string]inventory.VLAN{vm.Site: vlan}})
}

func name(vm *sentral.VM, what string) string {
	return strings.Join([]string{vm.Tenant, vm.Project, what}, "-")
}

// made is the network of the name, which is added if the project has none.
func (b *book) made(vm *sentral.VM, n sentral.Network) string {
	n.Tenant, n.Project = vm.Tenant, vm.Project
	if known := b.byID[n.ID]; known != nil && owns(known, vm) && len(n.VLANs) == 0 {
		return known.ID
	}
	n.ID = b.free("network", n.ID)
	b.out.Records.Networks = append(b.out.Records.Networks, n)
	kept := n
	b.know(&kept)
	return n.ID
}

// image is what the VM was made from, where the runtime names a version of it;
// the record is added if there is none. Where what the disk is made of and what
// it is labelled as are two images, neither is written down.
func (b *book) image(seen *inventory.Image) *sentral.ImageRef {
	if seen == nil {
		return nil
	}
	for i := range b.images {
		im := &b.images[i]
		if bySource := seen.Source != "" && im.Source == seen.Source; bySource || seen.Digest != "" && strings.EqualFold(im.Digest, seen.Digest) {
			if seen.ID != "" && (seen.ID != im.ID || seen.Version != "" && seen.Version != im.Version) {
				return nil
			}
			return &sentral.ImageRef{ID: im.ID, Version: im.Version}
		}
	}
	if seen.ID == "" || seen.Version == "" {
		return nil
	}
	im := sentral.Image{ID: seen.ID, Version: seen.Version}
	if label := sentral.Identify(&im).Label(); !b.taken[label] {
		b.taken[label] = true
		if seen.Known == inventory.ImageByFingerprint {
			im.Digest = seen.Digest
		}
		if seen.Known == inventory.ImageByChain {
			im.Source = seen.Source
		}
		b.out.Records.Images = append(b.out.Records.Images, im)
		b.images = append(b.images, im)
	}
	return &sentral.ImageRef{ID: im.ID, Version: im.Version}
}
