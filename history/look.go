package history

import (
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Presence is whether a thing is there, as a value of the path [Here].
type Presence string

// What a side may say of that.
const (
	There      Presence = "there"
	NotThere   Presence = "not there"
	OutOfSight Presence = "out of sight" // nothing can be concluded
)

// Here is the path of a thing's presence.
const Here = ""

// look is what both sides say of a thing at one moment.
type look struct {
	values map[Side]Values
	fields map[string]inventory.Field // by path, of what is compared
	// from says which document a path of the observed side was read in, where that
	// is another than lead; record is the intended side's own record.
	from   map[string]docKey
	lead   docKey
	record sentral.RecordID
}

// origin is what said the value at a path.
func (l *look) origin(b *Books, side Side, path string) (Cause, bool) {
	if side == Observed {
		key, has := l.from[path]
		if !has {
			key = l.lead
		}
		e, has := b.documents[key]
		return e.Cause, has
	}
	id := l.record
	if nic, is := strings.CutSuffix(path, ".vlan"); is { // the network has it
		if network, has := l.values[Intended][nic+".network"].(string); has {
			id = sentral.RecordID{Type: "network", ID: network}
		}
	}
	e, has := b.records[id]
	return e.Cause, has
}

// see takes apart what the core came to about a thing, and what the books have of
// it besides.
func (b *Books) see(t *Thing, result *reconcile.Result) look {
	l := look{values: map[Side]Values{Intended: {}, Observed: {}}, fields: map[string]inventory.Field{}, from: map[string]docKey{}}
	vm, host := t.explain(result)
	switch {
	case vm != nil:
		l.vm(vm, b)
	case host != nil:
		l.host(host, b)
	default:
		l.here(Intended, NotThere)
		l.here(Observed, NotThere)
	}
	return l
}

func (l *look) here(side Side, p Presence) { l.values[side][Here] = string(p) }

func (l *look) vm(m *reconcile.VMMatch, b *Books) {
	l.here(Intended, NotThere)
	if m.Intended != nil {
		l.here(Intended, There)
		l.record = sentral.RecordID{Type: "vm", ID: m.Intended.ID}
		l.values[Intended].wanted(m.Intended, b)
	}
	switch {
	case m.Observed != nil && m.Observed.Fresh:
		l.here(Observed, There)
	case m.Observed != nil || len(m.Uncovered) > 0:
		l.here(Observed, OutOfSight)
	default:
		l.here(Observed, NotThere)
	}
	if m.Observed != nil {
		seen := l.values[Observed]
		l.lead = docKey{m.Observed.HostID, m.Observed.Source}
		seen.flatten("", &m.Observed.VM)
		for path, value := range seen { // the two sides' names of one field
			if disk, is := strings.CutSuffix(path, "].capacity"); is && strings.HasPrefix(path, "disks[") {
				delete(seen, path)
				seen[disk+"].size"] = value
			}
		}
		seen["host"] = m.Observed.Host
		for i := range m.Paths {
			l.path(&m.Paths[i])
		}
	}
	l.compared(m.Comparisons)
}

// wanted puts what a VM's record says, and the records that it names.
func (v Values) wanted(vm *sentral.VM, b *Books) {
	v.flatten("", vm)
	if vm.State == "" {
		v["state"] = string(sentral.VMRunning)
	}
	v["placement.tenant"], v["placement.project"], v["placement.environment"] = vm.Tenant, vm.Project, vm.Environment
	delete(v, "tenant")
	delete(v, "project")
	delete(v, "environment")
	for i := range vm.NICs {
		network, is := b.records[sentral.RecordID{Type: "network", ID: vm.NICs[i].Network}].Record.(*sentral.Network)
		if !is {
			continue
		}
		if vlan, has := network.VLANs[vm.Site]; has {
			v["nics["+vm.NICs[i].MAC.String()+"].vlan"] = plain(vlan)
		}
	}
}

// path notes where a NIC really is. What the runtime's configuration asks for
// is a wish.
func (l *look) path(p *reconcile.NICPath) {
	at, seen := "nics["+p.MAC.String()+"]", l.values[Observed]
	delete(seen, at+".vlan")
	if p.VLAN != nil {
		seen[at+".vlan"] = plain(*p.VLAN)
		if p.From != "" && p.From != "nic.vlan" { // read of the host's links, of whatever VM
			l.from[at+".vlan"] = docKey{l.lead.host, "network"}
		}
	}
	if len(p.Hops) > 0 {
		seen[at+".path"] = reconcile.PathText(p.Hops)
	}
}

// compared notes under which names fields were held side by side, and where the
// host's value was read.
func (l *look) compared(comparisons []reconcile.Comparison) {
	for i := range comparisons {
		c := &comparisons[i]
		l.fields[c.Path] = c.Field
		if v := c.Provenance; v != nil {
			l.from[c.Path] = docKey{v.Host, v.Collector}
		}
	}
}

func (l *look) host(m *reconcile.HostMatch, b *Books) {
	l.here(Intended, NotThere)
	if m.Intended != nil {
		l.here(Intended, There)
		l.record = sentral.RecordID{Type: "host", ID: m.Intended.ID}
		l.values[Intended].flatten("", m.Intended)
	}
	l.compared(m.Comparisons)
	if m.Observed == nil {
		l.here(Observed, NotThere)
		return
	}
	l.here(Observed, There)
	if m.Observed.Stale {
		l.here(Observed, OutOfSight)
	}
	seen := l.values[Observed]
	for _, e := range b.Observed() {
		if e.Host == m.Observed.ID {
			own := Values{}
			own.document(e.Document)
			for path, value := range own {
				seen[path], l.from[path] = value, docKey{e.Host, e.Source}
			}
		}
	}
}

// document puts what a host's source shows. VMs are named with their state: what
// more there is of each is the VM's own history.
func (v Values) document(o *inventory.Observation) {
	v["sources["+o.Source+"].outcome"] = string(o.Outcome)
	if o.BootID != "" {
		v["bootID"] = o.BootID
	}
	body := o.Body
	body.VMs = nil
	if body.Identity != nil {
		v.flatten("", body.Identity)
		body.Identity = nil
	}
	if body.Runtime != nil {
		v.flatten("sources["+o.Source+"].runtime", body.Runtime)
		body.Runtime = nil
	}
	v.flatten("", &body)
	for i := range o.VMs {
		vm := &o.VMs[i]
		at := "vms[" + vm.Key() + "]"
		if vm.Name != "" {
			v[at+".name"] = vm.Name
		}
		v[at+".state"] = string(vm.State)
	}
}
