package evaluate

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// Measure counts over everything that was reconciled, sorted by platform,
// runtime, version and host. The documents are those that the result was made
// from, and now is when it was made.
//
// A VM that two runtimes on a host show counts with each for observability, as
// each shows it in its own way, and for reconcilability with the one that leads.
func Measure(documents []reconcile.Document, result *reconcile.Result, now time.Time, by By) []Numbers {
	m := &measure{by: by, now: now, numbers: map[group]*Numbers{}, hosts: map[uuid.UUID]*reconcile.HostMatch{}, former: map[uuid.UUID]bool{},
		runtimes: map[sourceOf]*inventory.Runtime{}, intended: map[string]*reconcile.HostMatch{}}
	for i := range result.Hosts {
		h := &result.Hosts[i]
		if h.Observed != nil {
			m.hosts[h.Observed.ID] = h
		}
		if h.Intended != nil {
			m.intended[h.Intended.ID] = h
		}
		for _, id := range h.Former {
			m.former[id] = true
		}
	}
	for _, doc := range documents {
		m.observe(doc)
	}
	for i := range result.VMs {
		if result.VMs[i].Observed != nil {
			m.reconcile(&result.VMs[i])
		}
	}
	for i := range result.VMs { // last, when it is known what runs where
		if result.VMs[i].Observed == nil {
			m.absent(&result.VMs[i])
		}
	}
	return m.finish()
}

// group is what one entry of the numbers is made for.
type group struct{ platform, kind, runtime, version, host string }

type sourceOf struct {
	host   uuid.UUID
	source string
}

type measure struct {
	by       By
	now      time.Time
	numbers  map[group]*Numbers
	hosts    map[uuid.UUID]*reconcile.HostMatch
	intended map[string]*reconcile.HostMatch // by Sentral's key
	former   map[uuid.UUID]bool              // earlier identities: their hosts say it all again
	runtimes map[sourceOf]*inventory.Runtime
}

// of gives the numbers of a platform's guests of one type on a host.
func (m *measure) of(platform, kind string, runtime *inventory.Runtime, h *reconcile.HostMatch) *Numbers {
	g := group{platform: platform, kind: kind}
	if runtime != nil {
		g.runtime, g.version = runtime.Name, runtime.Version
	}
	site := ""
	if h != nil {
		g.host, site = nameOf(h)
	}
	switch m.by {
	case ByPlatform:
		g.version, g.host = "", ""
	case ByVersion:
		g.host = ""
	}
	n := m.numbers[g]
	if n == nil {
		n = &Numbers{Platform: g.platform, Type: g.kind, Runtime: g.runtime, Version: g.version, Host: g.host, Fields: make([]FieldShare, len(askedFields))}
		for i, a := range askedFields {
			n.Fields[i] = FieldShare{Field: a.field, Needed: a.needed}
		}
		m.numbers[g] = n
	}
	if m.by == ByHost {
		n.Site = site
	}
	return n
}

// nameOf is Sentral's key of a host where it has one, else its hostname or ID.
func nameOf(h *reconcile.HostMatch) (name, site string) {
	if h.Intended != nil {
		return h.Intended.ID, h.Intended.Site
	}
	if h.Observed.Identity != nil && h.Observed.Identity.Hostname != "" {
		return h.Observed.Identity.Hostname, h.Observed.Site
	}
	return h.Observed.ID.String(), h.Observed.Site
}

// observe counts what a document of a runtime shows.
func (m *measure) observe(doc reconcile.Document) {
	if doc.Runtime == nil || m.former[doc.Host] {
		return
	}
	h := m.hosts[doc.Host]
	if h == nil { // it came after the result was made
		return
	}
	m.runtimes[sourceOf{doc.Host, doc.Source}] = doc.Runtime
	silent := m.silence(h, doc)
	seen := newObserver(doc, m.now, silent)
	counted := map[*Numbers]bool{}
	host := func(n *Numbers) {
		if !counted[n] {
			counted[n] = true
			n.Hosts.add(Share{Have: boolInt(doc.Complete && silent == ""), Of: 1})
			if h.Match != nil {
				n.HostIdentity.add(Share{Have: boolInt(!h.Match.Weak), Of: 1})
			}
		}
	}
	for i := range doc.VMs {
		vm := &doc.VMs[i]
		n := m.of(platformOf(vm, doc.Runtime), vm.Type, doc.Runtime, h)
		host(n)
		seen.count(vm, n)
	}
	if len(counted) == 0 && doc.Outcome != inventory.OutcomeAbsent {
		host(m.of(doc.Runtime.Platform, "", doc.Runtime, h))
	}
}

// silence says why what a document shows doesn't count as seen now.
func (m *measure) silence(h *reconcile.HostMatch, doc reconcile.Document) string {
	name, _ := nameOf(h)
	if h.Observed.Stale {
		return fmt.Sprintf("%s is silent since %s", name, h.Observed.LastHeard.UTC().Format(time.RFC3339))
	}
	for _, s := range h.Observed.Sources {
		if s.Source == doc.Source && s.Old {
			return fmt.Sprintf("%s of %s was last reported at %s", doc.Source, name, doc.Received.UTC().Format(time.RFC3339))
		}
	}
	return ""
}

func platformOf(vm *inventory.VM, runtime *inventory.Runtime) string {
	if vm.Manager != nil && vm.Manager.Name != "" {
		return vm.Manager.Name
	}
	return runtime.Platform
}

// reconcile counts how one VM was recognised and compared.
func (m *measure) reconcile(vm *reconcile.VMMatch) {
	h := m.hosts[vm.Observed.HostID]
	if h == nil {
		return
	}
	n := m.of(vm.Observed.Platform, vm.Observed.Type, m.runtimes[sourceOf{vm.Observed.HostID, vm.Observed.Source}], h)
	if vm.Observed.State.Active() {
		for i := range vm.Paths {
			p := &vm.Paths[i]
			n.Paths.add(Share{Have: boolInt(p.VLAN != nil && !p.Derived), Of: 1})
		}
	}
	if vm.Intended == nil || vm.Match == nil {
		n.Identity.Unknown++
		return
	}
	if n.Identity.By == nil {
		n.Identity.By = map[string]int{}
	}
	n.Identity.By[vm.Match.By]++
	n.Identity.Durable.add(Share{Have: boolInt(!vm.Match.Weak), Of: 1})
	for i := range vm.Comparisons {
		n.compared(&vm.Comparisons[i])
	}
}

// absent counts a VM that only Sentral has, for the platform that its record's
// host has there.
func (m *measure) absent(vm *reconcile.VMMatch) {
	if vm.Intended == nil || vm.Intended.Host == "" {
		return
	}
	h := m.intended[vm.Intended.Host]
	if h == nil || h.Intended.Platform == "" {
		return
	}
	n := m.of(h.Intended.Platform, "", m.runtimeOn(h), h)
	if len(vm.Uncovered) > 0 {
		n.Identity.Unseen++
	} else {
		n.Identity.Missing++
	}
}

// runtimeOn is the runtime of the platform that a host has in Sentral: what the
// host shows of it, else what the rest of the fleet has for it.
func (m *measure) runtimeOn(h *reconcile.HostMatch) *inventory.Runtime {
	if h.Observed != nil {
		for _, s := range h.Observed.Sources {
			if s.Runtime != nil && s.Runtime.Platform == h.Intended.Platform {
				return s.Runtime
			}
		}
	}
	var least *group
	for g := range m.numbers {
		if g.platform == h.Intended.Platform && g.kind == "" && g.runtime != "" &&
			(least == nil || cmp.Or(cmp.Compare(g.runtime, least.runtime), cmp.Compare(g.version, least.version)) < 0) {
			least = &g
		}
	}
	if least == nil {
		return nil
	}
	return &inventory.Runtime{Name: least.runtime, Version: least.version}
}

// compared counts one field held side by side. What Sentral doesn't state was
// not asked for.
func (n *Numbers) compared(c *reconcile.Comparison) {
	if c.Intended == nil {
		return
	}
	i, found := slices.BinarySearchFunc(n.Compared, c, func(f FieldShare, c *reconcile.Comparison) int { return cmp.Compare(f.Field, c.Field) })
	if !found {
		n.Compared = slices.Insert(n.Compared, i, FieldShare{Field: c.Field})
	}
	f := &n.Compared[i]
	f.Of++
	if c.Class == reconcile.Unknown {
		f.lack(Gap{Why: NotCompared, Count: 1, Note: c.Reason})
		return
	}
	f.Have++
}

func (m *measure) finish() []Numbers {
	all := make([]Numbers, 0, len(m.numbers))
	for _, n := range m.numbers {
		n.head()
		all = append(all, *n)
	}
	sortNumbers(all)
	return all
}

// head works out the headlines, and drops the fields that nothing has.
func (n *Numbers) head() {
	n.Fields = slices.DeleteFunc(append([]FieldShare{}, n.Fields...), func(f FieldShare) bool { return f.Of == 0 })
	n.Compared = append([]FieldShare{}, n.Compared...) // an array in JSON, also without elements
	needed := func(share func(*FieldShare) Share) *float64 {
		return mean(n.Fields, func(f *FieldShare) (Share, bool) { return share(f), f.Needed })
	}
	n.Observability = needed(func(f *FieldShare) Share { return f.Share })
	n.Observable = needed((*FieldShare).Settable)
	n.Reconcilability = mean(n.Compared, func(f *FieldShare) (Share, bool) { return f.Share, true })
	for i := range n.Fields {
		n.Fields[i].sortGaps()
	}
	for i := range n.Compared {
		n.Compared[i].sortGaps()
	}
}

// mean is the mean of the shares that count, nil where none does.
func mean(fields []FieldShare, of func(*FieldShare) (Share, bool)) *float64 {
	sum, count := 0.0, 0
	for i := range fields {
		share, counts := of(&fields[i])
		if ratio, some := share.Ratio(); counts && some {
			sum, count = sum+ratio, count+1
		}
	}
	if count == 0 {
		return nil
	}
	result := sum / float64(count)
	return &result
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
