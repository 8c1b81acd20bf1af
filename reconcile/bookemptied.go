package reconcile

import "github.com/dataverket/avstem/sentral"

// lostVMs are the records of a site that no VM was matched with, and that are missing.
type lostVMs struct {
	things map[*thing]bool
	unit   unit
	dirty  bool
	by     *intended // the inventory by which it was judged last
}

// lose notes whether a record's VM is missing, in the site where it should be now.
func (b *Book) lose(t *thing, missing bool) {
	if t.aside != nil && t.aside.lostIn != nil {
		was := t.aside.lostIn
		delete(was.lost.things, t)
		was.lost.dirty, t.aside.lostIn = true, nil
	}
	if missing {
		s := b.site(t.want.Site)
		if s.lost.things == nil {
			s.lost.things = map[*thing]bool{}
		}
		s.lost.things[t] = true
		s.lost.dirty, t.aside.lostIn = true, s
	}
}

// settleEmptied judges whether many VMs of a site are missing at once.
func (b *Book) settleEmptied() {
	for name, s := range b.sites {
		lost := &s.lost
		if !lost.dirty && (lost.by == b.intended || len(lost.things)+len(lost.unit.found) == 0) {
			continue
		}
		lost.dirty, lost.by = false, b.intended
		p := b.scratch()
		p.begin()
		if len(lost.things) >= max(b.in.Policy.Mass.Records, 1) {
			p.checkEmptiedSite(name, lost.things, b.expectedIn(name))
		}
		b.put(&lost.unit, p.findings)
		b.ledger.blame(&lost.unit, p.blames)
		b.wake("site", name)
	}
}

// expected is how many VMs each site should have, by platform and together.
type expected struct {
	by *intended // the inventory that was counted
	of map[string]map[string]int
}

// expectedIn counts an inventory's VMs when they are first asked for, which is where
// many are missing.
func (b *Book) expectedIn(site string) map[string]int {
	if b.expected.by == b.intended {
		return b.expected.of[site]
	}
	of := map[string]map[string]int{}
	n, last := 0, &sentral.VM{}
	count := func() {
		if n == 0 {
			return
		}
		if of[last.Site] == nil {
			of[last.Site] = map[string]int{}
		}
		of[last.Site][""] += n
		if platform := b.platformOf(last); platform != "" {
			of[last.Site][platform] += n
		}
	}
	for _, t := range b.records {
		if t.want.State == sentral.VMAbsent {
			continue
		}
		if t.want.Site != last.Site || t.want.Host != last.Host { // most are on the host of the one before
			count()
			n, last = 0, t.want
		}
		n++
	}
	count()
	b.expected = expected{b.intended, of}
	return of[site]
}

// platformOf is what Sentral believes to run where a VM should be; "" where that isn't
// said.
func (b *Book) platformOf(want *sentral.VM) string {
	if hp := b.hostRecord[want.Host]; want.Host != "" && hp != nil && hp.Intended != nil {
		return hp.Intended.Platform
	}
	return ""
}
