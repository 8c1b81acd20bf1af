package reconcile

import (
	"cmp"
	"container/heap"
	"reflect"
	"slices"
	"time"
)

// hostQueue are hosts that the next settling judges again, each once.
type hostQueue struct {
	bit     dirt // of those that are in it
	waiting []*hostPair
}

// dirt says in which queues a host is.
type dirt uint8

const (
	dirtyHost dirt = 1 << iota
	dirtyPools
	dirtyLoads
	dirtyStrays
)

func (q *hostQueue) add(hp *hostPair) {
	if hp.dirty&q.bit == 0 {
		hp.dirty |= q.bit
		q.waiting = append(q.waiting, hp)
	}
}

// take empties it. Some of them may be none any more.
func (q *hostQueue) take() []*hostPair {
	hosts := q.waiting
	q.waiting = nil
	for _, hp := range hosts {
		hp.dirty &^= q.bit
	}
	return hosts
}

// readArrived takes in the documents that arrived.
func (b *Book) readArrived() {
	vms := 0
	for _, arrived := range b.arrived {
		for _, doc := range arrived {
			if doc != nil {
				vms += len(doc.VMs)
			}
		}
	}
	if b.early != nil { // most are new
		b.things.reserve(vms, 0)
	}
	for id, arrived := range b.arrived {
		h := b.hosts[id]
		if h == nil {
			h = b.newHost(id)
		}
		for name, doc := range arrived {
			at, has := slices.BinarySearchFunc(h.docs, name, func(s *source, name string) int { return cmp.Compare(s.Source, name) })
			var old *source
			if has {
				old = h.docs[at]
			}
			switch {
			case doc == nil && has:
				b.replace(h, old, nil)
				h.docs = slices.Delete(h.docs, at, at+1)
			case doc == nil:
			case has && doc.Observation == old.Observation:
				old.Received, h.retimed = doc.Received, true
			default:
				next := b.newSource(h, *doc, old)
				b.replace(h, old, next)
				if has {
					h.docs[at] = next
				} else {
					h.docs = slices.Insert(h.docs, at, next)
				}
			}
		}
		b.reread(h)
		h.heard = false
	}
	b.arrived = emptied(b.arrived)
	for _, h := range b.heard {
		if h.heard && len(h.docs) > 0 {
			b.reread(h)
		}
		h.heard = false
	}
	b.heard = b.heard[:0]
}

// reread notes what has changed of a host as a whole.
func (b *Book) reread(h *hostView) {
	if len(h.docs) == 0 {
		b.removeHost(h)
		return
	}
	before := h.ObservedHost
	old := slices.Clone(h.Sources)
	h.read(&b.in)
	for i := range h.Sources {
		if h.Stale != before.Stale || i >= len(old) || old[i].Old != h.Sources[i].Old {
			h.changed = true
		}
	}
	switch {
	case !h.node.marked:
		h.changed = true
		b.markHost(h.node)
	case before.Site != h.Site || !reflect.DeepEqual(before.Identity, h.Identity):
		b.unmarkHost(h.node)
		b.markHost(h.node)
	case before.Stale != h.Stale, h.node.group != nil && h.node.group.views > 1 && !before.LastHeard.Equal(h.LastHeard):
		b.dirtyNode(h.node)
	}
	if h.pair != nil {
		b.dirtyHosts.add(h.pair)
	}
	b.countDisks(h)
	b.schedule(h)
}

// lastSaid is when the host was last heard, of which LastHeard may lag behind: it
// matters only when it has become too long ago.
func (h *hostView) lastSaid() time.Time {
	if h.spoke {
		return h.said
	}
	return h.LastHeard
}

// removeHost takes out a host of which no document is left.
func (b *Book) removeHost(h *hostView) {
	b.unmarkHost(h.node)
	h.node.gone = true
	h.Sources, h.network = nil, nil
	b.touchSpeakers(h)
	b.countDisks(h)
	h.due = time.Time{}
	delete(b.hosts, h.ID)
	if h.spoke { // it may come back, and is no less heard
		again := b.newHost(h.ID)
		again.said, again.spoke = h.said, true
	}
}

// placeFacts are what a VM's unit reads of the host that the VM is on, besides
// that one's documents.
type placeFacts struct {
	known                      bool
	key, site, domain, unknown string
	former, record, tied, weak bool
}

func (b *Book) noteFacts(h *hostView) {
	facts := placeFacts{known: true, key: h.key(), site: h.site(), former: h.former != nil}
	if hp := h.pair; hp != nil {
		facts.unknown, facts.record, facts.tied = hp.unknown, hp.Intended != nil, hp.tied
		facts.weak = hp.Match != nil && hp.Match.Weak
		if hp.Intended != nil {
			facts.domain = hp.Intended.FailureDomain
		}
	}
	changed := h.changed || facts != h.facts
	if changed && facts.site != h.facts.site {
		b.dirtySites[h.facts.site], b.dirtySites[facts.site] = true, true
	}
	h.facts = facts
	for _, doc := range h.docs {
		for _, t := range doc.things {
			if changed || h.retimed && t.unit != nil && t.unit.isTold() {
				b.touch(t)
			}
		}
	}
	h.changed, h.retimed = false, false
}

// settleHosts judges the hosts that were touched, and notes what others read of
// them.
func (b *Book) settleHosts() {
	b.judgeHosts(b.dirtyHosts.take(), (*pass).seeHost, func(p *pass, hp *hostPair) {
		b.wakeHost(hp)
		b.put(&hp.ofHost, p.findings)
		b.tellSite(hp, factsOf(hp))
		if hp.Intended != nil {
			b.touchHome(hp.Intended.ID)
		}
		if hp.view != nil {
			b.dirtyStrays.add(hp)
			b.touchSpeakers(hp.view)
			b.schedule(hp.view)
			b.noteFacts(hp.view)
			for _, former := range hp.view.earlier {
				b.touchSpeakers(former)
				b.noteFacts(former)
			}
		}
		b.dirtyPools.add(hp)
		b.dirtyLoads.add(hp)
	})
}

// touchSpeakers has the speakers' unit judged again if it is about the host.
func (b *Book) touchSpeakers(h *hostView) {
	b.dirtySpeakers = b.dirtySpeakers || len(b.in.Speakers[h.ID]) > 0 || b.hearing(h.ID) ||
		slices.ContainsFunc(b.in.Refused, func(r Refusal) bool { return r.Host == h.ID })
}

// home is a host as records name it: those that are bound to it, and the strays
// that run what it should.
type home struct {
	things []*thing
	strays map[*hostPair]bool
	facts  homeFacts
	dirty  bool
}

// homeFacts are what the units of records read of the host that they are bound to.
type homeFacts struct {
	known, tied, covered, forgets, speaks bool
	key, unseen, domain                   string
	seen                                  Provenance
	old                                   string
}

func (b *Book) home(id string) *home {
	h := b.homes[id]
	if h == nil {
		h = &home{}
		b.homes[id] = h
	}
	return h
}

// touchHome has the units of a host's records judged again, as far as they read
// what has changed.
func (b *Book) touchHome(id string) { b.home(id).dirty = true; b.dirtyHomes = append(b.dirtyHomes, id) }

func (b *Book) settleHomes() {
	for _, id := range b.dirtyHomes {
		h := b.homes[id]
		if !h.dirty {
			continue
		}
		h.dirty = false
		facts := homeFacts{}
		if hp := b.hostRecord[id]; hp != nil {
			facts = homeFacts{known: true, tied: hp.tied, covered: hp.covered(), forgets: hp.forgets(), key: hp.key(),
				domain: hp.Intended.FailureDomain, speaks: hp.Observed != nil && !hp.Observed.Stale, old: hp.oldID().String()}
			if !facts.covered {
				facts.unseen = hp.unseen()
			}
			if pr := hp.runtimeProvenance(); pr != nil {
				facts.seen = *pr
			}
		}
		if facts == h.facts {
			continue
		}
		other := facts.known != h.facts.known || facts.tied != h.facts.tied || facts.domain != h.facts.domain
		h.facts = facts
		for _, t := range h.things {
			if b.early != nil { // all are to be judged as it is
				break
			}
			if other {
				b.touch(t)
			} else if t.alone > 0 {
				b.dirtyAbsences = append(b.dirtyAbsences, t)
			}
		}
		for hp := range h.strays {
			b.dirtyStrays.add(hp)
		}
	}
	b.dirtyHomes = b.dirtyHomes[:0]
}

// countDisks notes which disks a host sees.
func (b *Book) countDisks(h *hostView) {
	var now []string
	for _, doc := range h.docs {
		for _, wwn := range doc.wwns {
			if !slices.Contains(now, wwn) {
				now = append(now, wwn)
			}
		}
	}
	if slices.Equal(now, h.wwns) {
		return
	}
	for _, wwn := range h.wwns {
		left := slices.DeleteFunc(b.disks[wwn], func(other *hostView) bool { return other == h })
		if b.disks[wwn] = left; len(left) == 0 {
			delete(b.disks, wwn)
		}
		b.touchPools(left)
	}
	h.wwns = now
	for _, wwn := range now {
		b.disks[wwn] = append(b.disks[wwn], h)
		b.touchPools(b.disks[wwn])
	}
}

func (b *Book) touchPools(hosts []*hostView) {
	for _, h := range hosts {
		if h.pair != nil {
			b.dirtyPools.add(h.pair)
		}
	}
}

// dueOf is when time alone changes what is said of a host; zero is never.
func (b *Book) dueOf(h *hostView) (due time.Time) {
	if len(h.docs) == 0 {
		return due
	}
	by := func(t time.Time) {
		if t.After(b.in.Now) && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	const past = time.Nanosecond // too old is older than the limit
	policy := &b.in.Policy
	if !h.Stale {
		by(h.lastSaid().Add(policy.StaleAfter + past))
	} else if policy.StaleAfter > 0 { // how long it has been silent is said in steps
		silent := b.in.Now.Sub(h.LastHeard)
		if step := policyStep(silent, policy.StaleAfter); step < 1<<61 {
			by(h.LastHeard.Add(2 * step))
		}
	}
	for _, doc := range h.docs {
		by(doc.Received.Add(policy.DocumentAge + past))
	}
	return due
}

// schedule notes when that is.
func (b *Book) schedule(h *hostView) {
	due := b.dueOf(h)
	if due.IsZero() || !h.due.IsZero() && !due.Before(h.due) && h.due.After(b.in.Now) {
		return // it is looked at before anyway
	}
	h.due = due
	heap.Push(&b.timers, timer{due, h})
}

// passTime looks at the hosts of which time alone may have changed something.
func (b *Book) passTime() {
	for len(b.timers) > 0 && !b.timers[0].at.After(b.in.Now) {
		t := heap.Pop(&b.timers).(timer)
		if !t.at.Equal(t.host.due) {
			continue
		}
		h := t.host
		h.due = time.Time{}
		switch {
		case len(h.docs) == 0:
		case h.Stale, b.in.Now.Sub(h.lastSaid()) > b.in.Policy.StaleAfter, slices.ContainsFunc(h.docs, func(s *source) bool { return !h.fresh(s, &b.in) }):
			b.reread(h)
		default: // it was heard in the meantime
			b.schedule(h)
		}
	}
}

// Due is when time alone makes the next settling find something else, at the
// earliest; zero is never.
func (b *Book) Due() time.Time {
	for len(b.timers) > 0 {
		t := b.timers[0]
		due := b.dueOf(t.host)
		if t.at.Equal(t.host.due) && !due.After(t.at) && !due.IsZero() {
			return t.at
		}
		heap.Pop(&b.timers)
		if t.at.Equal(t.host.due) { // it was heard in the meantime
			t.host.due = time.Time{}
			b.schedule(t.host)
		}
	}
	return time.Time{}
}

// timers are a heap of times at which to look at hosts.
type timers []timer

type timer struct {
	at   time.Time
	host *hostView
}

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
