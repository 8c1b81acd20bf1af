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

// settleEmptied judges whether many VMs of a site are missing at once. How many it
// should have is counted only where many are.
func (b *Book) settleEmptied() {
	var of map[string]map[string]int
	for name, s := range b.sites {
		lost := &s.lost
		if !lost.dirty && (lost.by == b.intended || len(lost.things)+len(lost.unit.found) == 0) {
			continue
		}
		lost.dirty, lost.by = false, b.intended
		p := b.scratch()
		p.begin()
		if len(lost.things) >= max(b.in.Policy.Mass.Records, 1) {
			if of == nil {
				of = b.expected()
			}
			p.checkEmptiedSite(name, lost.things, of[name])
		}
		b.put(&lost.unit, p.findings)
		b.ledger.blame(&lost.unit, p.blames)
		b.wake("site", name)
	}
}

// expected counts the VMs that each site should have, by platform and together.
func (b *Book) expected() map[string]map[string]int {
	of := map[string]map[string]int{}
	for _, t := range b.records {
		if t.want.State == sentral.VMAbsent {
			continue
		}
		site := of[t.want.Site]
		if site == nil {
			site = map[string]int{}
			of[t.want.Site] = site
		}
		site[""]++
		if platform := b.platformOf(t.want); platform != "" {
			site[platform]++
		}
	}
	return of
}

// platformOf is what Sentral believes to run where a VM should be; "" where that isn't
// said.
func (b *Book) platformOf(want *sentral.VM) string {
	if hp := b.hostRecord[want.Host]; want.Host != "" && hp != nil && hp.Intended != nil {
		return hp.Intended.Platform
	}
	return ""
}
