package reconcile

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/dataverket/avstem/sentral"
)

// site is what is known of a site as a whole.
type site struct {
	hosts map[*hostPair]bool
	// silent counts those that should speak and have, by platform and together.
	silent  map[string]silent
	spoken  int     // hosts that speak, or did
	covered int     // hosts seen whole
	forgets pairSet // those of them on which nothing is left of a VM that stops
	unseen  pairSet // the others
	// alone are the records that no VM was matched with.
	alone []*thing
	// unread are units with VMs that are there, and whose marks could not be read.
	unread  map[*vmUnit]bool
	sight   sight
	again   bool // which is another one, so that all that are alone are judged again
	silence unit
	lost    lostVMs
	pools   sitePools
}

// siteFacts are what a site is told of one of its hosts.
type siteFacts struct {
	known, covered, forgets, stale, spoke, awaited bool
	site, platform, unseen                         string
	// hides says why not every VM of it is there with all of its disks.
	hides string
}

func factsOf(hp *hostPair) siteFacts {
	facts := siteFacts{known: true, site: hp.site(), covered: hp.covered(), forgets: hp.forgets(), hides: unseenVMs(hp)}
	if !facts.covered {
		facts.unseen = hp.unseen()
	}
	facts.spoke, facts.awaited = hp.Observed != nil, hp.awaited()
	facts.stale = facts.spoke && hp.Observed.Stale
	if hp.Intended != nil {
		facts.platform = hp.Intended.Platform
	}
	if hp.Observed == nil && !hp.awaited() {
		facts.hides = "" // nothing is expected there
	}
	return facts
}

func (b *Book) site(name string) *site {
	s := b.sites[name]
	if s == nil {
		s = &site{hosts: map[*hostPair]bool{}, silent: map[string]silent{}, unread: map[*vmUnit]bool{}, silence: unit{stage: stageSilence, key: name},
			lost: lostVMs{unit: unit{stage: stageEmptied, key: name}}}
		b.sites[name] = s
	}
	return s
}

// tellSite tells a host's site what is known of it now.
func (b *Book) tellSite(hp *hostPair, facts siteFacts) {
	was := hp.inSite
	if was == facts {
		return
	}
	hp.inSite = facts
	if was.known {
		s := b.site(was.site)
		if was.stale {
			b.counts.silent--
		}
		if was.spoke {
			b.speak(s, -1)
		}
		delete(s.hosts, hp)
		s.count(was, -1)
		if was.covered {
			s.covered--
			s.forgets = s.forgets.remove(hp)
		} else {
			s.unseen = s.unseen.remove(hp)
		}
		b.leavePools(s, hp)
		b.hide(s, hp, false)
		b.dirtySites[was.site] = true
	}
	if facts.known {
		s := b.site(facts.site)
		if facts.stale {
			b.counts.silent++
		}
		if facts.spoke {
			b.speak(s, 1)
		}
		s.hosts[hp] = true
		s.count(facts, 1)
		if facts.covered {
			s.covered++
			if facts.forgets {
				s.forgets = s.forgets.insert(hp)
			}
		} else {
			s.unseen = s.unseen.insert(hp)
		}
		b.hide(s, hp, facts.hides != "")
		b.dirtySites[facts.site] = true
	}
}

// speak counts the hosts that speak. What is elsewhere, quotas rest on.
func (b *Book) speak(s *site, by int) {
	before, all := s.spoken, b.spoken
	s.spoken += by
	b.spoken += by
	if (before > 0) != (s.spoken > 0) || (all > 0) != (b.spoken > 0) {
		for _, g := range b.projects {
			b.dirtyGroups[g] = true
		}
	}
}

// silent is how many hosts don't speak, of how many that should and have.
type silent struct{ stale, of int }

func (s *site) count(facts siteFacts, by int) {
	if !facts.spoke || !facts.awaited {
		return
	}
	add := func(platform string) {
		n := s.silent[platform]
		if n.of += by; facts.stale {
			n.stale += by
		}
		s.silent[platform] = n
	}
	if add(""); facts.platform != "" {
		add(facts.platform)
	}
}

// sight is how well a site is seen: what nothing may be concluded from.
type sight struct {
	covered bool     // some host of it is seen whole
	dark    []string // why of the hosts that aren't, the first of them
	forgets string   // a host of it on which nothing is left of a VM that stops
	hidden  int      // how many they are
	unread  []string // VMs that are there, and whose marks could not be read
}

func (s *sight) equal(other *sight) bool {
	return s.covered == other.covered && s.forgets == other.forgets && s.hidden == other.hidden &&
		slices.Equal(s.dark, other.dark) && slices.Equal(s.unread, other.unread)
}

// look makes a site's sight. Planned and retired hosts that don't speak aren't
// expected to hold VMs.
func (s *site) look() sight {
	sight := sight{covered: s.covered > 0}
	if len(s.forgets) > 0 {
		sight.forgets = s.forgets[0].key()
	}
	for _, hp := range s.unseen {
		if hp.Observed == nil && (hp.Intended.State == sentral.HostPlanned || hp.Intended.State == sentral.HostRetired) {
			continue
		}
		if sight.hidden++; sight.hidden <= maxListed {
			sight.dark = append(sight.dark, hp.unseen())
		}
	}
	if more := sight.hidden - len(sight.dark); more > 0 {
		sight.dark = append(sight.dark, fmt.Sprintf("and %d more %s", more, plural(more, "host")))
	}
	return sight
}

// unreadVM is a VM whose marks could not be read, with why.
type unreadVM struct {
	lead *thing
	site string
	why  string
}

// settleSites looks again at the sites that were touched, and judges the records
// that no VM was matched with where that may come to something else.
func (b *Book) settleSites() {
	var again []*site
	for name := range b.dirtySites {
		s := b.sites[name]
		if s == nil {
			continue
		}
		now := s.look()
		var unread []unreadVM
		for u := range s.unread {
			for _, vm := range u.told.unread {
				if vm.site == name {
					unread = append(unread, vm)
				}
			}
		}
		slices.SortFunc(unread, func(a, b unreadVM) int { return compareThings(a.lead, b.lead) })
		for _, vm := range unread[:min(len(unread), maxListed)] {
			now.unread = append(now.unread, vm.why)
		}
		b.settleSilence(s)
		if now.equal(&s.sight) {
			continue
		}
		s.sight, s.again = now, true
		again = append(again, s)
	}
	clear(b.dirtySites)
	b.settleAbsences(again)
}

// settleAbsences judges the records that were touched and are, or were, alone, and
// all that are in some sites.
func (b *Book) settleAbsences(all []*site) {
	touched := b.dirtyAbsences
	b.dirtyAbsences = nil
	if len(all) > 0 {
		touched = slices.DeleteFunc(touched, func(t *thing) bool { return t.alone > 0 && b.site(t.want.Site).again })
	}
	for _, s := range all {
		touched = append(touched, s.alone...)
		s.again = false
	}
	p := b.scratch()
	for _, t := range touched {
		b.wake("vm", t.want.ID)
		b.touchLoad(t) // of which many may be missing
		p.begin()
		if t.alone > 0 {
			p.room.reset()
			vp := p.pair()
			vp.Intended, vp.tied = t.want, t.tied
			p.checkAbsence(vp)
		}
		if len(p.findings) > 0 && t.aside == nil {
			t.aside = &aside{absent: &unit{stage: stageAbsence, key: t.want.ID + "\x00" + string('0'+t.at)}}
		}
		if t.aside != nil {
			b.put(t.aside.absent, p.findings)
		}
		b.lose(t, len(p.findings) > 0)
		if len(p.findings) == 0 {
			t.aside = nil
		}
	}
}

// settleSilence judges whether many of a site's hosts fell silent at once.
func (b *Book) settleSilence(s *site) {
	p := b.scratch()
	p.begin()
	many := false
	for _, n := range s.silent {
		many = many || b.in.Policy.Mass.isMass(n.stale, n.of, b.in.Policy.Mass.Hosts)
	}
	if !many {
		b.put(&s.silence, nil)
		b.ledger.blame(&s.silence, nil)
		return
	}
	p.checkSilence(slices.SortedFunc(maps.Keys(s.hosts), comparePairedHosts))
	b.put(&s.silence, p.findings)
	b.ledger.blame(&s.silence, p.blames)
}

// isMatched notes whether a VM was matched with a record.
func (b *Book) isMatched(t *thing, matched bool) {
	if t.matched != matched {
		t.matched = matched
		b.rematched = append(b.rematched, t)
	}
}

// Rematched gives the IDs of the records that a VM was matched with, or is no
// longer, since it was last called.
func (b *Book) Rematched() iter.Seq[string] {
	records := b.rematched
	b.rematched = nil
	return func(yield func(string) bool) {
		for _, t := range records {
			if !yield(t.want.ID) {
				return
			}
		}
	}
}

// isAlone notes that no VM was matched with a record, or that one was.
func (b *Book) isAlone(t *thing, alone, tied bool) {
	was := t.alone > 0
	if alone || was {
		b.dirtyAbsences = append(b.dirtyAbsences, t)
	}
	t.tied = tied
	if alone == was {
		return
	}
	s := b.site(t.want.Site)
	if alone {
		s.alone = append(s.alone, t)
		t.alone = int32(len(s.alone))
	} else {
		last := s.alone[len(s.alone)-1]
		s.alone[t.alone-1], last.alone = last, t.alone
		s.alone[len(s.alone)-1] = nil
		s.alone, t.alone = s.alone[:len(s.alone)-1], 0
	}
}
