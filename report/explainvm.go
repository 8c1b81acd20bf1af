package report

import (
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// vm shows a VM on either side or on both.
func (p *page) vm(c *Case, findings []reconcile.Finding) {
	m := c.VM
	p.vmHead(m)
	p.tasks(c.Tasks)
	p.findings(c, findings)
	p.vmFacts(m)
	for _, reason := range m.Uncovered {
		p.para(2, pad("not judged", factWidth), sgrYellow, printable(reason))
	}
	p.evidence(m.Match, m.Evidence)
	p.comparisons(m.Comparisons, severities(findings))
	p.paths(m.Paths)
	p.diskPaths(m.DiskPaths)
}

func (p *page) vmHead(m *reconcile.VMMatch) {
	var name string
	var owner []string
	if want := m.Intended; want != nil {
		name, owner = want.Name, []string{want.Tenant, want.Project, want.Environment}
	} else if m.Observed != nil {
		name = m.Observed.Name
		if pl := m.Observed.Placement; pl != nil {
			owner = []string{pl.Tenant, pl.Project, pl.Environment}
		}
	}
	title := "VM " + printable(name)
	if m.IsContainer() {
		title = "Container " + printable(name)
	}
	if scope := strings.Trim(strings.Join(owner, "/"), "/"); scope != "" {
		title += " · " + printable(scope)
	}
	p.head(title)
	if m.Observed != nil {
		p.seen(m.Observed)
		return
	}
	if len(m.Uncovered) == 0 { // else it may well be where nobody could look
		p.fact("seen", "nowhere")
	}
}

// vmFacts say which VM it is on either side.
func (p *page) vmFacts(m *reconcile.VMMatch) {
	p.head("Which VM this is")
	if want := m.Intended; want != nil {
		p.fact("Sentral ID", want.ID)
		if id := want.UUID(); id != uuid.Nil && !strings.EqualFold(id.String(), want.ID) {
			p.fact("UUID there", id.String())
		}
		state := string(want.State)
		if state == "" {
			state = "running"
		}
		where := want.Site
		if want.Host != "" {
			where = want.Host + " in " + want.Site
		}
		p.fact("intended", state+", on "+orWords(where, "no site"))
	} else if m.IsContainer() {
		p.fact("intended", "a container: Sentral has records of VMs only")
	} else if m.Record != nil {
		p.unusable(m.Record)
	} else {
		p.fact("intended", "Sentral has no such VM")
	}
	if m.Observed != nil {
		p.thereAs(m.Observed)
	}
	for i := range m.Copies {
		p.fact("also seen", p.sighting(&m.Copies[i]))
		p.thereAs(&m.Copies[i])
	}
}

// seen says where a VM was seen, by what and how long ago.
func (p *page) seen(vm *reconcile.ObservedVM) { p.fact("seen", p.sighting(vm)) }

func (p *page) sighting(vm *reconcile.ObservedVM) string {
	words := string(vm.State)
	switch {
	case strings.EqualFold(vm.RawState, words):
	case strings.HasPrefix(vm.RawState, words):
		words = vm.RawState
	case vm.RawState != "":
		words += " (" + vm.RawState + ")"
	}
	words += " on " + vm.Host
	if vm.Site != "" {
		words += " in " + vm.Site
	}
	words += ", by " + vm.Source
	if len(vm.Also) > 0 {
		words += " and " + strings.Join(vm.Also, ", ")
	}
	if at := ago(vm.ObservedAt, p.now); at != "" {
		words += ", " + at
	}
	if vm.Fresh && !vm.ObservedAt.IsZero() && p.now.Sub(vm.ObservedAt) >= time.Minute { // documents are sent when something changed
		words += " and nothing has changed since"
	}
	if !vm.Fresh {
		words += ": too old to conclude anything from"
	}
	return words
}

// thereAs says what its runtime has it as.
func (p *page) thereAs(vm *reconcile.ObservedVM) {
	name := vm.Name
	if key := vm.Key(); key != name {
		name = strings.TrimSpace(name + " " + key)
	}
	p.fact("there as", name)
	if n := len(vm.Snapshots); n > 0 {
		last := &vm.Snapshots[n-1]
		p.fact("snapshots", strings.TrimSpace(count(n)+", the last is "+last.Name+" "+ago(last.Created, p.now)))
	}
	if mgr := vm.Manager; mgr != nil {
		p.fact("managed by", strings.TrimSpace(mgr.Name+" "+mgr.Version))
	}
}

func orWords(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// unusable says where the record is that is left out, and why.
func (p *page) unusable(r *reconcile.UnusableRecord) {
	p.fact("intended", "a record that is left out until it is mended: "+printable(r.Label))
	for _, fault := range r.Faults {
		p.fact("", printable(fault))
	}
}
