package bundle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Narrow leaves out of the core's input what a VM's findings don't rest on: other
// VMs of its hosts, but for those that share a mark with it (an ID, a MAC, a disk),
// and the records of what isn't left. It says in sentences what went. A host's
// findings rest on all that is on it, and nothing of that is left out.
func Narrow(in *reconcile.Input, t *history.Thing, e *reconcile.Explanation) (*reconcile.Input, []string) {
	n := &narrowing{thing: t, hosts: map[string]bool{}, marks: history.Marks{}, unseen: e.VM != nil && e.VM.Observed == nil}
	out := *in
	if t.Type == "vm" {
		n.mark(in, e)
		out.Observed = n.documents(in.Observed)
	} else {
		for _, d := range in.Observed {
			n.marks.Add(d.Observation)
		}
	}
	n.host(e)
	out.Intended = n.records(in.Intended)
	out.Tasks = slices.DeleteFunc(slices.Clone(in.Tasks), func(task reconcile.Task) bool {
		return !slices.ContainsFunc(out.Intended.VMs, func(vm sentral.VM) bool { return vm.ID == task.VM })
	})
	return &out, n.said()
}

type narrowing struct {
	thing    *history.Thing
	marks    history.Marks
	hosts    map[string]bool // Sentral's keys of those concerned
	paths    map[string]bool // of disks and what they are made of
	unseen   bool            // nobody shows it: every host could
	vms      int             // that were left out
	things   int             // other things of hosts that were
	withheld int             // records
}

// mark gathers what tells the VM from others, on both sides.
func (n *narrowing) mark(in *reconcile.Input, e *reconcile.Explanation) {
	n.paths = map[string]bool{}
	if e.VM == nil {
		return
	}
	if want := e.VM.Intended; want != nil {
		o := &inventory.Observation{Body: inventory.Body{VMs: []inventory.VM{asObserved(want)}}}
		n.marks.Add(o)
	}
	for _, seen := range append(slices.Clone(e.VM.Copies), observedOf(e)...) {
		n.marks.Add(&inventory.Observation{Body: inventory.Body{VMs: []inventory.VM{seen.VM}}})
		n.addPaths(&seen.VM)
	}
}

func observedOf(e *reconcile.Explanation) []reconcile.ObservedVM {
	if e.VM.Observed == nil {
		return nil
	}
	return []reconcile.ObservedVM{*e.VM.Observed}
}

// asObserved has a record's marks as a runtime would show them.
func asObserved(want *sentral.VM) inventory.VM {
	vm := inventory.VM{UUID: want.UUID(), Name: want.Name, Placement: &inventory.Placement{VM: want.ID}}
	for i := range want.NICs {
		vm.NICs = append(vm.NICs, inventory.NIC{MAC: want.NICs[i].MAC})
	}
	for i := range want.Disks {
		vm.Disks = append(vm.Disks, inventory.Disk{Serial: want.Disks[i].Serial, WWN: want.Disks[i].WWN, Source: want.Disks[i].Source})
	}
	return vm
}

func (n *narrowing) addPaths(vm *inventory.VM) {
	for i := range vm.Disks {
		n.paths[vm.Disks[i].Source] = true
		for _, below := range vm.Disks[i].Backing {
			n.paths[below.Source] = true
		}
	}
}

func (n *narrowing) documents(all []reconcile.Document) []reconcile.Document {
	narrow := make([]reconcile.Document, 0, len(all))
	for _, d := range all {
		o := *d.Observation
		kept := map[string]bool{}
		o.VMs = nil
		for i := range d.VMs {
			vm := &d.VMs[i]
			if !n.shares(vm) {
				n.vms++
				continue
			}
			o.VMs = append(o.VMs, *vm)
			kept[vm.Entity()] = true
		}
		o.Problems = slices.DeleteFunc(slices.Clone(d.Problems), func(p inventory.Problem) bool {
			return strings.HasPrefix(p.Entity, "vm:") && !kept[p.Entity]
		})
		if n.unseen { // that it isn't there is all that there is to know
			o.Links, o.OVSBridges, o.BlockDevices, o.FileSystems, o.StoragePools, o.ImageFiles = nil, nil, nil, nil, nil, nil
		}
		n.volumes(&o)
		n.ports(&o)
		narrow = append(narrow, reconcile.Document{Observation: &o, Received: d.Received})
	}
	return narrow
}

// shares says whether a VM has a mark of the one that it is about.
func (n *narrowing) shares(vm *inventory.VM) bool {
	own := history.Marks{}
	own.Add(&inventory.Observation{Body: inventory.Body{VMs: []inventory.VM{*vm}}})
	for mark := range own {
		if n.marks[mark] {
			return true
		}
	}
	return false
}

// volumes leaves out those that no VM that stays is made of.
func (n *narrowing) volumes(o *inventory.Observation) {
	pools := slices.Clone(o.StoragePools)
	for i := range pools {
		before := len(pools[i].Volumes)
		pools[i].Volumes = slices.DeleteFunc(slices.Clone(pools[i].Volumes), func(v inventory.StorageVolume) bool {
			return !n.paths[v.Path] && !n.paths[pools[i].Name+"/"+v.Name]
		})
		n.things += before - len(pools[i].Volumes)
	}
	o.StoragePools = pools
}

// ports takes off what a switch's ports say of VMs that don't stay.
func (n *narrowing) ports(o *inventory.Observation) {
	bridges := slices.Clone(o.OVSBridges)
	for i := range bridges {
		bridges[i].Ports = slices.Clone(bridges[i].Ports)
		for j := range bridges[i].Ports {
			port := &bridges[i].Ports[j]
			port.Interfaces = slices.Clone(port.Interfaces)
			for k := range port.Interfaces {
				ids := port.Interfaces[k].ExternalIDs
				if ids["vm-id"] == "" && ids["attached-mac"] == "" || n.marks[strings.ToLower(ids["vm-id"])] || n.marks[strings.ToLower(ids["attached-mac"])] {
					continue
				}
				port.Interfaces[k].ExternalIDs = nil
				n.things++
			}
		}
	}
	o.OVSBridges = bridges
}

// host notes the hosts whose records are needed.
func (n *narrowing) host(e *reconcile.Explanation) {
	switch {
	case e.Host != nil && e.Host.Intended != nil:
		n.hosts[e.Host.Intended.ID] = true
	case e.VM == nil:
		return
	}
	if e.VM == nil {
		return
	}
	if e.VM.Intended != nil && e.VM.Intended.Host != "" {
		n.hosts[e.VM.Intended.Host] = true
	}
	for _, seen := range append(slices.Clone(e.VM.Copies), observedOf(e)...) {
		n.hosts[seen.Host] = true
	}
}

// records leaves out those of VMs and hosts that aren't concerned, and the quotas
// of tenants that aren't.
func (n *narrowing) records(inv *sentral.Inventory) *sentral.Inventory {
	narrow := &sentral.Inventory{
		Source: inv.Source, Version: inv.Version, ReadAt: inv.ReadAt, Incomplete: inv.Incomplete, Stale: inv.Stale,
		Sites: inv.Sites, FailureDomains: inv.FailureDomains, Images: inv.Images,
	}
	tenants := map[string]bool{}
	for i := range inv.VMs {
		vm := &inv.VMs[i]
		// Of a host all that belongs there is concerned.
		if vm.ID == n.thing.Record || n.marks.Concerns(vm, n.onHosts()) {
			narrow.VMs = append(narrow.VMs, *vm)
			tenants[vm.Tenant] = true
			continue
		}
		n.withheld++
	}
	for i := range inv.Hosts {
		h := &inv.Hosts[i]
		if n.hosts[h.ID] || n.hosts[h.Name] || h.ID == n.thing.Record || n.unseen {
			narrow.Hosts = append(narrow.Hosts, *h)
			continue
		}
		n.withheld++
	}
	// Whose something is can only be asked of all that there are.
	for _, project := range inv.Projects {
		if !tenants[project.Tenant] {
			project.Quota = nil
		}
		narrow.Projects = append(narrow.Projects, project)
	}
	// Which VLAN is whose: a NIC may be on anybody's.
	narrow.Networks = inv.Networks
	narrow.LeftOut, narrow.Problems = n.unusable(inv)
	return narrow
}

// onHosts are the hosts on which a VM counts for belonging there.
func (n *narrowing) onHosts() map[string]bool {
	if n.thing.Type == "host" {
		return n.hosts
	}
	return nil
}

// unusable keeps what is known of records that can't be used and concern it.
func (n *narrowing) unusable(inv *sentral.Inventory) (left []sentral.LeftOut, problems []sentral.Problem) {
	kept := map[string]bool{}
	for _, l := range inv.LeftOut {
		mine := l.Type != "vm" && l.Type != "project" || n.marks[strings.ToLower(l.ID)] || l.UUID != uuid.Nil && n.marks[l.UUID.String()] ||
			slices.ContainsFunc(l.MACs, func(m inventory.MAC) bool { return n.marks[m.String()] })
		if mine {
			left = append(left, l)
			kept[l.Type+" "+l.ID] = true
		}
	}
	for _, p := range inv.Problems {
		if p.Record == "" || kept[p.Record] {
			problems = append(problems, p)
		}
	}
	return left, problems
}

// said writes what was left out.
func (n *narrowing) said() (sentences []string) {
	for _, part := range []struct {
		n    int
		what string
	}{
		{n.vms, "sightings of other VMs on its hosts"},
		{n.things, "volumes and switch ports' marks of other VMs on its hosts"},
		{n.withheld, "records of VMs and hosts that it doesn't rest on"},
	} {
		if part.n > 0 {
			sentences = append(sentences, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return sentences
}
