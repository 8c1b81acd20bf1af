package netbox

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

func (c *converter) convertVMs() {
	nics, disks := map[int][]*networkInterface{}, map[int][]*virtualDisk{}
	for i := range c.vmNICs {
		if nic := &c.vmNICs[i]; nic.VirtualMachine != nil && (nic.Enabled == nil || *nic.Enabled) {
			nics[nic.VirtualMachine.ID] = append(nics[nic.VirtualMachine.ID], nic)
		}
	}
	for i := range c.disks {
		if d := &c.disks[i]; d.VirtualMachine != nil {
			disks[d.VirtualMachine.ID] = append(disks[d.VirtualMachine.ID], d)
		}
	}
	for i := range c.vms {
		v := &c.vms[i]
		slices.SortStableFunc(nics[v.ID], byName)
		slices.SortStableFunc(disks[v.ID], func(a, b *virtualDisk) int { return cmp.Or(natural(a.Name, b.Name), cmp.Compare(a.ID, b.ID)) })
		c.vm(v, nics[v.ID], disks[v.ID])
	}
}

func (c *converter) vm(v *virtualMachine, nics []*networkInterface, disks []*virtualDisk) {
	r := c.of("virtualization/virtual-machines", &v.object)
	f := &c.m.Fields
	vm := &sentral.VM{
		ID: cmp.Or(v.CustomFields.text(f.VMID), fmt.Sprintf("netbox-vm-%d", v.ID)), RuntimeID: r.uuid("runtimeID", v.CustomFields.text(f.RuntimeID)),
		Name: strings.TrimSpace(v.Name), Tenant: c.tenant(v.Tenant), Site: c.vmSite(v),
		Environment:  cmp.Or(v.CustomFields.text(f.Environment), c.m.Defaults.Environment),
		AntiAffinity: v.CustomFields.text(f.AntiAffinity), Machine: v.CustomFields.text(f.Machine),
		Memory: r.size("memory", v.Memory, unit(c.m.MemoryUnit)),
	}
	if vm.Tenant == "" {
		r.fault("tenant", "it has no tenant in NetBox, and the mapping has no default")
	}
	if vm.Site == "" {
		r.fault("site", "neither it nor its cluster has a site in NetBox")
	}
	vm.Project = c.project(r, vm.Tenant, v.CustomFields)
	if v.Device != nil {
		vm.Host = cmp.Or(c.hostOf[v.Device.ID], v.Device.Name)
	}
	if v.VCPUs != nil {
		n := float64(*v.VCPUs)
		if n != math.Trunc(n) || math.Abs(n) > math.MaxInt32 {
			r.fault("vcpus", "%v is no whole number of vCPUs", n)
		} else {
			vm.VCPUs = new(int(n))
		}
	}
	c.image(r, vm, v)
	for j, nic := range nics {
		vm.NICs = append(vm.NICs, c.nic(r, vm, nic, j))
	}
	for j, d := range disks {
		vm.Disks = append(vm.Disks, sentral.Disk{
			Name: strings.TrimSpace(d.Name), Serial: d.CustomFields.text(f.DiskSerial), WWN: d.CustomFields.text(f.DiskWWN),
			Size: r.size(fmt.Sprintf("disks[%d].size", j), d.Size, c.diskUnit()),
		})
	}
	switch state, known := c.m.States[v.Status.Value]; {
	case !known:
		r.fault("state", "NetBox's status %q is none that the mapping knows", v.Status.Value)
	case state == unjudged:
		out := sentral.Identify(vm)
		r.faults = nil
		c.add(r, &out)
		return
	default:
		vm.State = sentral.VMState(state)
	}
	c.add(r, vm)
}

func unit(word string) inventory.Bytes {
	if word == "MiB" {
		return inventory.MiB
	}
	return 1_000_000
}

// diskUnit is what a disk's size counts: gigabytes in NetBox 4.0, megabytes since.
func (c *converter) diskUnit() inventory.Bytes {
	if c.version == "4.0" {
		if c.m.DiskUnit == "MiB" {
			return inventory.GiB
		}
		return 1_000_000_000
	}
	return unit(c.m.DiskUnit)
}

// vmSite is the VM's own, its cluster's, or what its cluster's scope is.
func (c *converter) vmSite(v *virtualMachine) string {
	if v.Site != nil {
		return cmp.Or(c.siteOf[v.Site.ID], v.Site.Slug)
	}
	if v.Cluster == nil || c.clusterOf[v.Cluster.ID] == nil {
		return ""
	}
	switch in := c.clusterOf[v.Cluster.ID]; {
	case in.Site != nil:
		return cmp.Or(c.siteOf[in.Site.ID], in.Site.Slug)
	case in.ScopeType == "dcim.site":
		return c.siteOf[in.ScopeID]
	}
	return ""
}

// image makes a record of the version too, as NetBox has none.
func (c *converter) image(r *made, vm *sentral.VM, v *virtualMachine) {
	id, version := v.CustomFields.text(c.m.Fields.Image), v.CustomFields.text(c.m.Fields.ImageVersion)
	if id == "" || version == "" {
		return // an image of any version would have to be one that is known
	}
	vm.Image = &sentral.ImageRef{ID: id, Version: version}
	if key := "image " + id + "/" + version; !c.once[key] {
		c.once[key] = true
		c.add(&made{place: r.place}, &sentral.Image{ID: id, Version: version})
	}
}

// nic is on the network of its untagged VLAN. One without is on a network that
// has no VLAN, so that where it really is, is held against nothing.
func (c *converter) nic(r *made, vm *sentral.VM, nic *networkInterface, index int) sentral.NIC {
	out := sentral.NIC{MAC: r.mac(fmt.Sprintf("nics[%d].mac", index), nic.mac())}
	if nic.UntaggedVLAN != nil {
		out.Network = c.networkOf[nic.UntaggedVLAN.ID]
	}
	if out.Network == "" {
		out.Network = strings.Join([]string{noVLAN, vm.Tenant, vm.Project}, "-")
		if key := "network " + out.Network; !c.once[key] && vm.Tenant != "" && vm.Project != "" {
			c.once[key] = true
			c.add(&made{place: r.place}, &sentral.Network{ID: out.Network, Tenant: vm.Tenant, Project: vm.Project})
		}
	}
	return out
}
