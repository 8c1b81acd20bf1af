package reconcile

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Holds says whether what a finding is about can't be judged as both books stand,
// and the finding that says why where there is one.
func (b *Book) Holds(f *Finding) (held bool, cause string) {
	held, cause = b.holder().holds(f)
	b.closeHosts()
	return held, cause
}

func (b *Book) holder() *holder {
	return &holder{
		vm:        b.vmOf,
		host:      b.hostOf,
		named:     b.hostsNamed,
		dark:      b.darkIn,
		unread:    b.intended.unread,
		contested: func(at siteVLAN) bool { return b.intended.contested[at] },
	}
}

// vmOf gives what a result has of the VM that findings' subjects call so.
func (b *Book) vmOf(id string) *VMMatch {
	var found []*pair
	for _, vp := range b.pairsOf(b.unitsOf(id)) {
		if vp.subjectID() == id {
			found = append(found, vp)
		}
	}
	slices.SortFunc(found, comparePairs)
	var m *VMMatch
	for _, vp := range found {
		if m == nil || vp.Intended != nil {
			m = &vp.VMMatch
		}
	}
	return m
}

// unitsOf finds the units of what a finding's subject may mean: a record, a VM by
// its UUID, or one by its place.
func (b *Book) unitsOf(id string) []*vmUnit {
	var units []*vmUnit
	add := func(t *thing) {
		if u := b.unitOf(t); u != nil && !slices.ContainsFunc(units, u.isSame) {
			units = append(units, u)
		}
	}
	b.marked(b.marker.label(id), func(t *thing) {
		if t.want != nil && t.want.ID == id {
			add(t)
		}
	})
	if parsed, err := uuid.Parse(id); err == nil {
		b.marker.marks = b.marker.marks[:0]
		b.marker.uuid(parsed)
		for _, mark := range b.marker.marks {
			b.marked(mark, func(t *thing) {
				if t.want == nil && t.vm().UUID == parsed {
					add(t)
				}
			})
		}
	}
	host, rest, nested := strings.Cut(id, "/")
	parsed, err := uuid.Parse(host)
	if h := b.hosts[parsed]; nested && err == nil && h != nil {
		for _, doc := range h.docs {
			if name, of := strings.CutPrefix(rest, doc.Source+"/"); of {
				for _, t := range doc.things {
					if vm := t.vm(); vm.UUID == uuid.Nil && orElse(vm.NativeID, vm.Name) == name {
						add(t)
					}
				}
			}
		}
	}
	return units
}

// pairsOf judges units again, for what they don't keep.
func (b *Book) pairsOf(units []*vmUnit) []*pair {
	p := b.scratch()
	p.whole = true
	var all []*pair
	for _, u := range units {
		pairs := p.judge(u.things)
		for _, vp := range pairs {
			if vp.record != nil && vp.record.alone > 0 {
				p.checkAbsence(vp)
			}
		}
		all = append(all, pairs...)
	}
	return all
}

func (b *Book) hostOf(id string) *HostMatch {
	of := b.byID[id]
	if len(of) == 0 {
		return nil
	}
	m := of[len(of)-1].match()
	return &m
}

func (b *Book) hostsNamed(name string) []*HostMatch {
	var all []*HostMatch
	for _, hp := range b.named[name] {
		all = append(all, &hp.HostMatch)
	}
	return all
}

// darkIn says whether a host of the site isn't seen whole, and the first finding
// that says why of one.
func (b *Book) darkIn(name string) (cause string, dark bool) {
	s := b.sites[name]
	if s == nil {
		return "", false
	}
	for _, hp := range s.unseen {
		if hp.Observed != nil || hp.awaited() {
			if dark = true; hp.Blind != "" {
				return hp.Blind, true
			}
		}
	}
	return "", dark
}

// Await has the findings that a settling names hold this one, too, whenever what it
// is about may be judged otherwise, until Forget. It is for findings that stand
// although nothing gives them any more.
func (b *Book) Await(f *Finding) {
	deps := awaitedBy(f)
	b.awaited[f.ID] = deps
	for _, dep := range deps {
		if b.awaiting[dep] == nil {
			b.awaiting[dep] = map[string]bool{}
		}
		b.awaiting[dep][f.ID] = true
	}
}

// Forget ends Await.
func (b *Book) Forget(id string) {
	for _, dep := range b.awaited[id] {
		if delete(b.awaiting[dep], id); len(b.awaiting[dep]) == 0 {
			delete(b.awaiting, dep)
		}
	}
	delete(b.awaited, id)
}

// dependency is what a finding is held by: a VM or host by its subject's ID, a
// host by its name, or a site.
type dependency struct{ what, name string }

func awaitedBy(f *Finding) []dependency {
	deps := []dependency{{"site", f.Subject.Site}}
	switch f.Subject.Type {
	case "vm":
		deps = append(deps, dependency{"vm", f.Subject.ID}, dependency{"host", f.Subject.Host})
	case "host":
		deps = append(deps, dependency{"host", f.Subject.ID})
	case "runtime":
		deps = append(deps, dependency{"host", f.Subject.ID[:max(strings.LastIndexByte(f.Subject.ID, '/'), 0)]})
	}
	for _, name := range f.Hosts {
		deps = append(deps, dependency{"host", name})
	}
	return deps
}

// wake names the findings that wait for something in what this settling changes,
// and has the tasks judged again that were judged by it.
func (b *Book) wake(what, name string) {
	if len(b.awaiting) > 0 {
		for id := range b.awaiting[dependency{what, name}] {
			b.changed[id] = true
		}
	}
	if len(b.readers) > 0 {
		if what == "vm" {
			name = strings.ToLower(name)
		}
		b.wakeTasks(what, name)
	}
}

func (b *Book) wakeThing(t *thing) {
	switch {
	case len(b.awaiting)+len(b.readers) == 0:
	case t.want != nil:
		b.wake("vm", t.want.ID)
	case t.vm().UUID != uuid.Nil:
		b.wake("vm", t.vm().UUID.String())
	default:
		b.wake("vm", t.doc.host.ID.String()+"/"+t.doc.Source+"/"+orElse(t.vm().NativeID, t.vm().Name))
	}
}

func (b *Book) wakeHost(hp *hostPair) {
	b.wake("host", hp.id())
	b.wake("host", hp.key())
	b.wake("site", hp.site())
}

// Host is what a reader sees of the host with an ID as findings' subjects; nil if
// there is none.
func (b *Book) Host(id string) *HostMatch { return b.hostOf(id) }

// Recorded says whether the host that speaks under an ID, or did, has a record.
func (b *Book) Recorded(id uuid.UUID) bool {
	hp := b.pairOf(id)
	return hp != nil && hp.Intended != nil
}

// Silent says whether nothing is concluded from what a host said.
func (b *Book) Silent(id uuid.UUID) bool {
	h := b.hosts[id]
	return h != nil && len(h.docs) > 0 && h.Stale
}

// Document gives the document that is held of a host and source.
func (b *Book) Document(host uuid.UUID, source string) (Document, bool) {
	if doc, has := b.arrived[host][source]; has {
		if doc == nil {
			return Document{}, false
		}
		return *doc, true
	}
	if h := b.hosts[host]; h != nil {
		if doc := h.source(source); doc != nil {
			defer h.close()
			return doc.whole(), true
		}
	}
	return Document{}, false
}

// Input is what the last settling judged, as [Reconcile] takes it.
func (b *Book) Input() Input {
	in := b.in
	in.Heard = map[uuid.UUID]time.Time{}
	for id, h := range b.hosts {
		for _, doc := range h.docs {
			in.Observed = append(in.Observed, doc.whole())
		}
		h.close()
		if h.spoke {
			in.Heard[id] = h.said
		}
	}
	slices.SortFunc(in.Observed, func(a, b Document) int { return cmp.Or(compareIDs(a.Host, b.Host), cmp.Compare(a.Source, b.Source)) })
	return in
}

// Numbers are how much there is on both sides.
type Numbers struct {
	Hosts, Silent int // on either side or both
	VMs           int // on either side or both, without containers that nobody wants
	Matched       int // VMs on both
}

// Numbers gives them, as of the last settling.
func (b *Book) Numbers() Numbers {
	return Numbers{len(b.hostPairs), b.counts.silent, b.counts.vms, b.counts.matched}
}

// Matched says whether a VM was found for the record of that ID.
func (b *Book) Matched(id string) (matched bool) {
	b.marked(b.marker.label(id), func(t *thing) {
		matched = matched || t.want != nil && t.want.ID == id && t.matched
	})
	return matched
}

// Ask gives a result of which [Explain] finds what answers to a query, or what a
// finding is about: every host, and the VMs that may be meant.
func (b *Book) Ask(query string, about *Finding) *Result {
	r := &Result{Findings: []Finding{}, Tasks: b.Tasks(), intended: b.intended}
	for _, hp := range slices.SortedFunc(maps.Keys(b.hostPairs), comparePairedHosts) {
		r.Hosts = append(r.Hosts, hp.match())
	}
	var units []*vmUnit
	if about != nil {
		units = b.unitsOf(about.Subject.ID)
	} else {
		asked, seen := newAsked(query), map[*thing]bool{}
		b.eachThing(func(t *thing) {
			if u := b.unitOf(t); u != nil && !seen[u.things[0]] && asked.mayMean(t) {
				seen[u.things[0]] = true
				units = append(units, u)
			}
		})
	}
	pairs := b.pairsOf(units)
	slices.SortFunc(pairs, comparePairs)
	for _, vp := range pairs {
		r.VMs = append(r.VMs, vp.VMMatch)
	}
	b.closeHosts()
	return r
}

// mayMean says whether some pair that the thing is in could answer.
func (q asked) mayMean(t *thing) bool {
	m := VMMatch{Intended: t.want}
	if t.want == nil {
		m.Observed = &ObservedVM{VM: *t.vm(), HostID: t.doc.host.ID, Source: t.doc.Source}
	}
	return q.byID(&m, nil) || q.byName(&m, nil)
}

func (b *Book) eachThing(do func(*thing)) {
	for _, h := range b.homes {
		for _, t := range h.things {
			do(t)
		}
	}
	for _, h := range b.hosts {
		for _, doc := range h.docs {
			doc.VMs()
			for _, t := range doc.things {
				do(t)
			}
		}
		h.close()
	}
}

// Names gives every name and ID that people may ask for, more than once maybe.
func (b *Book) Names(do func(string)) {
	b.eachThing(func(t *thing) {
		if t.want != nil {
			do(t.want.Name)
			do(t.want.ID)
			return
		}
		do(t.vm().Name)
		do(t.vm().Key())
	})
	for hp := range b.hostPairs {
		if hp.Intended != nil {
			do(hp.Intended.ID)
			do(hp.Intended.Name)
		}
		if hp.Observed != nil && hp.Observed.Identity != nil {
			do(hp.Observed.Identity.Hostname)
		}
	}
}
