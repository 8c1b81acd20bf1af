package reconcile

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/dataverket/avstem/sentral"
)

// many is from how many on things are judged side by side. Fewer are judged before
// others have begun.
const many = 64

// sideBySide judges n things, on as many cores as there are where they are many.
// Each is judged once, with a pass that no other is judged with meanwhile.
func (b *Book) sideBySide(n int, judge func(p *pass, at int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if n < many || workers == 1 {
		p := b.scratch()
		for at := range n {
			judge(p, at)
		}
		return
	}
	b.closeHosts()
	var next atomic.Int64
	atOnce(workers, func(int) {
		p := b.scratch()
		for at := int(next.Add(1)) - 1; at < n; at = int(next.Add(1)) - 1 {
			judge(p, at)
		}
	})
}

// atOnce does n things at the same time.
func atOnce(n int, do func(nth int)) {
	if n == 1 {
		do(0)
		return
	}
	var working sync.WaitGroup
	for nth := range n {
		working.Go(func() { do(nth) })
	}
	working.Wait()
}

// judgeHosts judges those of the hosts that are still there. Judging one changes
// nothing but what is its own; what it comes to is taken in one after another.
func (b *Book) judgeHosts(hosts []*hostPair, judge, take func(p *pass, hp *hostPair)) {
	there := slices.DeleteFunc(hosts, func(hp *hostPair) bool { return !b.hostPairs[hp] })
	var results sync.Mutex
	b.sideBySide(len(there), func(p *pass, at int) {
		hp := there[at]
		p.begin()
		judge(p, hp)
		b.judged(hp.view, len(there))
		results.Lock()
		defer results.Unlock()
		take(p, hp)
	})
}

// judgeUnits judges units. Judging one changes nothing but its things and the
// indexes of the hosts that they are on, so that units on different hosts are
// judged at the same time where they are many; what each comes to is taken in one
// after another, in whatever order, as the order says nothing.
func (b *Book) judgeUnits(units []*vmUnit) {
	if len(units) < many || runtime.GOMAXPROCS(0) == 1 {
		b.judgeInTurn(units)
		return
	}
	b.closeHosts()
	hosts, others := byHost(units)
	var results sync.Mutex
	b.sideBySide(len(hosts), func(p *pass, at int) {
		h := hosts[at]
		h.opened = true // by this pass, and closed by it
		h.open()
		for _, u := range h.units {
			pairs := b.judgeUnit(p, u)
			results.Lock()
			b.take(p, u, pairs)
			results.Unlock()
		}
		h.units = nil
		h.close()
	})
	b.judgeInTurn(others)
}

func (b *Book) judgeInTurn(units []*vmUnit) {
	p := b.scratch()
	for _, u := range units {
		if len(b.opened) > manyOpened {
			b.closeHosts()
		}
		b.take(p, u, b.judgeUnit(p, u))
	}
}

// byHost gives those with units that are on them alone, and the units that are on
// several or on none.
func byHost(units []*vmUnit) (hosts []*hostView, others []*vmUnit) {
	for _, u := range units {
		h := u.onlyHost()
		if h == nil {
			others = append(others, u)
			continue
		}
		if h.units == nil {
			hosts = append(hosts, h)
		}
		h.units = append(h.units, u)
	}
	return hosts, others
}

// onlyHost is the host that all of the unit's places are on; nil where there is no
// such.
func (u *vmUnit) onlyHost() (only *hostView) {
	for _, t := range u.things {
		switch h := t.host(); {
		case h == nil || h == only:
		case only == nil:
			only = h
		default:
			return nil
		}
	}
	return only
}

// judgeUnit judges a unit. The pairs that it comes to last until the next one.
func (b *Book) judgeUnit(p *pass, u *vmUnit) []*pair {
	slices.SortFunc(u.things, compareThings)
	pairs := p.judge(u.things)
	for _, vp := range pairs {
		if !vp.IsContainer() {
			u.vms++
		}
		if vp.Intended != nil && vp.seen != nil {
			u.matched++
		}
		if vp.seen == nil || vp.Match != nil || !vp.seen.lead.fresh {
			continue
		}
		if why := vp.hidden("placement.vm"); why != "" && !vp.seen.lead.vm.IsContainer() {
			at := &vp.seen.lead
			m := u.tell()
			m.unread = append(m.unread, unreadVM{at.thing, at.host.site(), vp.name() + " on " + at.host.key() + " could not be read: " + why})
		}
	}
	return pairs
}

// take takes in what a unit came to.
func (b *Book) take(p *pass, u *vmUnit, pairs []*pair) {
	if u.told != nil {
		for _, vm := range u.told.unread {
			b.site(vm.site).unread[u] = true
			b.dirtySites[vm.site] = true
		}
	}
	b.counts.vms += int(u.vms)
	b.counts.matched += int(u.matched)
	if len(p.findings) > 0 {
		b.put(&u.tell().unit, p.findings)
	}
	for _, vp := range pairs {
		if vp.record != nil {
			b.isAlone(vp.record, vp.aloneNow(), vp.tied)
			b.isMatched(vp.record, vp.seen != nil)
		}
		b.joinGroups(p, u, vp)
	}
	for _, t := range u.things {
		b.touchLoad(t)
		b.wakeThing(t)
		if h := t.host(); h != nil && h.pair != nil && h.pair.unknown != "" {
			b.dirtyStrays.add(h.pair)
		}
	}
	if b.keep {
		b.pairs = append(b.pairs, pairs...)
	}
	switch first := u.things[0]; {
	case u.told != nil || first.want == nil:
	case len(u.things) == 1:
		first.unit = &b.lone
	case len(u.things) == 2 && u.matched == 1 && u.vms == 1:
		first.unit, u.things[1].unit = &b.paired, &b.paired
	}
}

// aloneNow says whether absence is to be concluded, or not, of the record.
func (vp *pair) aloneNow() bool { return vp.seen == nil && vp.Intended.State != sentral.VMAbsent }
