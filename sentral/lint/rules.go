package lint

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// vms looks at each VM beside its host, its networks and its neighbours.
func (c *checker) vms() {
	hosts, networks := map[string]*sentral.Host{}, map[string]*sentral.Network{}
	for i := range c.inv.Hosts {
		hosts[c.inv.Hosts[i].ID] = &c.inv.Hosts[i]
	}
	for i := range c.inv.Networks {
		networks[c.inv.Networks[i].ID] = &c.inv.Networks[i]
	}
	names, groups := map[string]*sentral.VM{}, map[string]*sentral.VM{}
	for i := range c.inv.VMs {
		vm := &c.inv.VMs[i]
		if vm.State == sentral.VMAbsent {
			continue
		}
		c.identity(vm)
		c.tiny(vm, "memory", vm.Memory)
		for j := range vm.Disks {
			c.tiny(vm, fmt.Sprintf("disks[%d].size", j), vm.Disks[j].Size)
		}
		if first := taken(names, strings.Join([]string{vm.Tenant, vm.Project, vm.Site, vm.Name}, "/"), vm); first != nil {
			c.note(Warning, "name-taken", vm, "name", "give one of them another name: without a UUID or a MAC that the runtime has too, they can't be told apart", "%s has this name too, in the same project and site", first.ID)
		}
		if host := hosts[vm.Host]; host != nil && (host.State == sentral.HostPlanned || host.State == sentral.HostRetired) {
			c.note(Warning, "host-not-active", vm, "host", "name another host, or correct the host's state", "host %s is %s, and a VM is to be on it", host.ID, host.State)
		}
		for j := range vm.NICs {
			c.nic(vm, j, networks[vm.NICs[j].Network], c.hasSite(vm.Site))
		}
		c.affinity(groups, vm, hosts[vm.Host])
	}
}

// taken gives who has the key already, and gives it to vm otherwise.
func taken(by map[string]*sentral.VM, key string, vm *sentral.VM) *sentral.VM {
	if first := by[key]; first != nil {
		return first
	}
	by[key] = vm
	return nil
}

func (c *checker) identity(vm *sentral.VM) {
	if vm.UUID() == uuid.Nil {
		c.note(Hint, "no-uuid", vm, "id", "make the ID the runtime's UUID, or add runtimeID", "its ID is no UUID, and there is no runtimeID: it can be recognised by Sentral's ID in the runtime's metadata alone, or weakly")
	}
	for j := range vm.NICs {
		if (vm.NICs[j].MAC == inventory.MAC{}) {
			c.note(Hint, "no-mac", vm, fmt.Sprintf("nics[%d]", j), "add mac", "it has no MAC: it is compared by its place in the order")
		}
	}
}

// tiny finds a size whose unit was forgotten: no memory and no disk is that small.
func (c *checker) tiny(value any, key string, size *inventory.Bytes) {
	if size != nil && *size < inventory.MiB {
		c.note(Warning, "size-tiny", value, key, fmt.Sprintf("give it a unit, as in %dGiB or %[1]dMiB: a bare number is bytes", uint64(*size)), "it is %s", *size)
	}
}

func (c *checker) hasSite(id string) bool {
	return slices.ContainsFunc(c.inv.Sites, func(s sentral.Site) bool { return s.ID == id })
}

func (c *checker) nic(vm *sentral.VM, j int, network *sentral.Network, siteIsKnown bool) {
	if network == nil {
		return // said already
	}
	key := fmt.Sprintf("nics[%d].network", j)
	if len(network.VLANs) > 0 && siteIsKnown {
		if _, has := network.VLANs[vm.Site]; !has {
			c.note(Warning, "network-elsewhere", vm, key, "add the VLAN that the network has there, or name another network", "network %s has no VLAN in %s", network.ID, vm.Site)
		}
	}
	if network.Tenant != vm.Tenant || network.Project != vm.Project {
		c.note(Warning, "foreign-network", vm, key, "name a network of its own project, if that isn't meant: it makes a finding otherwise", "network %s is %s/%s's, and the VM %s/%s's", network.ID, network.Tenant, network.Project, vm.Tenant, vm.Project)
	}
}

// affinity finds VMs of one group that are bound to one failure domain or host.
func (c *checker) affinity(groups map[string]*sentral.VM, vm *sentral.VM, host *sentral.Host) {
	if vm.AntiAffinity == "" {
		return
	}
	domain := vm.FailureDomain
	if domain == "" && host != nil {
		domain = host.FailureDomain
	}
	group := strings.Join([]string{vm.Tenant, vm.Project, vm.AntiAffinity}, "/")
	for _, place := range []string{"host " + vm.Host, "failure domain " + domain} {
		if strings.HasSuffix(place, " ") {
			continue
		}
		if first := taken(groups, group+" "+place, vm); first != nil {
			c.note(Warning, "affinity-impossible", vm, "antiAffinity", "bind one of them elsewhere, or to nothing", "%s of the same group is bound to %s too", first.Name, place)
			return
		}
	}
}

// networks finds those that can't be told apart on the wire.
func (c *checker) networks() {
	type tag struct {
		site string
		vlan inventory.VLAN
	}
	owners := map[tag]*sentral.Network{}
	for i := range c.inv.Networks {
		n := &c.inv.Networks[i]
		for _, site := range slices.Sorted(maps.Keys(n.VLANs)) {
			t := tag{site, n.VLANs[site]}
			first := owners[t]
			switch {
			case first == nil:
				owners[t] = n
			case first.Shared && n.Shared:
			case first.Tenant != n.Tenant:
				c.note(Error, "vlan-claimed", n, "vlans."+site, "give each its own VLAN, or say shared: true in each, if they are meant to share it: whether a NIC is inside another tenant's network can't be judged", "VLAN %d in %s is network %s's too, which is %s/%s's", t.vlan, site, first.ID, first.Tenant, first.Project)
			default:
				c.note(Warning, "vlan-shared", n, "vlans."+site, "give each its own VLAN: their VMs reach each other, and whose network a NIC is on can't be told", "VLAN %d in %s is network %s's too", t.vlan, site, first.ID)
			}
		}
	}
}

// hosts finds those that are recognised by less than they could be, and those
// that more is bound to than they have.
func (c *checker) hosts() {
	for i := range c.inv.Hosts {
		h := &c.inv.Hosts[i]
		if h.HostID == uuid.Nil && (h.State == "" || h.State == sentral.HostActive) {
			c.note(Hint, "no-host-id", h, "", "add hostID, as avstem-agent identity show says it on the host", "it has no hostID: it is recognised by serial, system UUID, MACs or, weakly, by its name")
		}
		for j := range h.Disks {
			c.tiny(h, fmt.Sprintf("disks[%d].size", j), h.Disks[j].Size)
		}
		if h.Capacity == nil {
			continue
		}
		c.tiny(h, "capacity.memory", h.Capacity.Memory)
		c.tiny(h, "capacity.storage", h.Capacity.Storage)
		s := sumOf(c.inv.VMs, func(vm *sentral.VM) bool { return vm.Host == h.ID })
		for _, over := range s.over(h.Capacity) {
			c.note(Warning, "capacity-exceeded", h, "capacity."+over.key, "bind some of them to another host, or to none", "the VMs that are bound to it have %s, it has %s", over.have, over.limit)
		}
	}
}

// quotas finds projects whose VMs don't fit in.
func (c *checker) quotas() {
	for i := range c.inv.Projects {
		p := &c.inv.Projects[i]
		if p.Quota == nil {
			continue
		}
		mine := func(vm *sentral.VM) bool { return vm.Tenant == p.Tenant && vm.Project == p.ID }
		s := sumOf(c.inv.VMs, mine)
		for _, over := range s.over(p.Quota) {
			c.note(Warning, "quota-exceeded", p, "quota."+over.key, "raise the quota, or make the VMs smaller or fewer", "its VMs have %s, the quota is %s", over.have, over.limit)
		}
		if s.uncounted > 0 {
			c.note(Hint, "quota-uncounted", p, "quota", "give the VMs vcpus, memory and the size of each disk", "%d of its VMs don't say how large they are, and count for nothing", s.uncounted)
		}
	}
}

// sum is what VMs have together. Those that are to be absent have nothing.
type sum struct {
	vcpus           int
	memory, storage inventory.Bytes
	uncounted       int
}

func sumOf(vms []sentral.VM, counts func(*sentral.VM) bool) sum {
	var s sum
	for i := range vms {
		vm := &vms[i]
		if vm.State == sentral.VMAbsent || !counts(vm) {
			continue
		}
		unsaid := vm.VCPUs == nil || vm.Memory == nil
		if vm.VCPUs != nil {
			s.vcpus += *vm.VCPUs
		}
		if vm.Memory != nil {
			s.memory = plus(s.memory, *vm.Memory)
		}
		for j := range vm.Disks {
			if size := vm.Disks[j].Size; size != nil {
				s.storage = plus(s.storage, *size)
			} else {
				unsaid = true
			}
		}
		if unsaid {
			s.uncounted++
		}
	}
	return s
}

// plus stays at the most there can be.
func plus(a, b inventory.Bytes) inventory.Bytes {
	if a+b < a {
		return math.MaxUint64
	}
	return a + b
}

// excess is a resource of which there is too little.
type excess struct{ key, have, limit string }

func (s *sum) over(q *sentral.Quota) []excess {
	var all []excess
	if q.VCPUs != nil && s.vcpus > *q.VCPUs {
		all = append(all, excess{"vcpus", fmt.Sprintf("%d vCPUs", s.vcpus), fmt.Sprint(*q.VCPUs)})
	}
	if q.Memory != nil && s.memory > *q.Memory {
		all = append(all, excess{"memory", s.memory.String() + " of memory", q.Memory.String()})
	}
	if q.Storage != nil && s.storage > *q.Storage {
		all = append(all, excess{"storage", s.storage.String() + " of storage", q.Storage.String()})
	}
	return all
}

// unused finds what nothing refers to. Sites are used by being there.
func (c *checker) unused() {
	used := map[string]bool{}
	for i := range c.inv.VMs {
		vm := &c.inv.VMs[i]
		used["failureDomain "+vm.FailureDomain], used["project "+vm.Tenant+"/"+vm.Project] = true, true
		for _, nic := range vm.NICs {
			used["network "+nic.Network] = true
		}
		if vm.Image != nil {
			used["image "+vm.Image.ID+"/"+vm.Image.Version], used["image "+vm.Image.ID] = true, true
		}
	}
	for i := range c.inv.Hosts {
		used["failureDomain "+c.inv.Hosts[i].FailureDomain] = true
	}
	for i := range c.inv.Networks {
		n := &c.inv.Networks[i]
		used["project "+n.Tenant+"/"+n.Project] = true
		if !used["network "+n.ID] {
			c.note(Hint, "unused", n, "", "remove it, if it isn't kept for later", "no VM is on it")
		}
		if len(n.VLANs) == 0 {
			c.note(Hint, "no-vlan", n, "", "add vlans: {SITE: VLAN}, if it has one", "it has no VLAN: that NICs are on it can't be seen")
		}
	}
	for i := range c.inv.FailureDomains {
		if d := &c.inv.FailureDomains[i]; !used["failureDomain "+d.ID] {
			c.note(Hint, "unused", d, "", "remove it, or say which hosts are in it", "no host and no VM is in it")
		}
	}
	for i := range c.inv.Projects {
		if p := &c.inv.Projects[i]; !used["project "+p.Tenant+"/"+p.ID] {
			c.note(Hint, "unused", p, "", "remove it, if it isn't kept for later", "no VM and no network is its")
		}
	}
	for i := range c.inv.Images {
		im := &c.inv.Images[i]
		if !used["image "+im.ID] {
			c.note(Hint, "unused", im, "", "remove it, if it isn't kept for later", "no VM is made from any version of it")
		}
		if im.Digest == "" && im.Source == "" {
			c.note(Hint, "image-unverifiable", im, "", "add digest, or source", "it has neither digest nor source: that a VM was made from it can only be taken from labels")
		}
	}
}
