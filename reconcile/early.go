package reconcile

import (
	"hash/maphash"
	"runtime"
)

// early finds the units of what a book is told before it is settled for the first
// time, when nothing is taken out again: what has a mark in common is joined as the
// marks are noted, many things' side by side, and no mark needs to be looked up once
// more.
type early struct {
	// above leads from a thing's number to another one of its unit, and ends at
	// one that leads to itself.
	above  []uint32
	junk   []uint64 // marks that many have, which count where a record has them
	marked int      // the number from which on things have no marks yet
	// records are the numbers up to which all are records that came together, so that
	// those of one ID are still to be told apart.
	records uint32
	workers []earlyWorker
}

// earlyWorker is what one of those has that note marks side by side. Each makes the
// marks of some things, and then notes all that go into its own pieces of the index.
type earlyWorker struct {
	marker marker
	made   [][]made // for each worker's pieces
	joins  []joined
	junk   []uint64
}

// made is a mark that a thing has.
type made struct {
	mark  uint64
	thing uint32
}

// joined are two things of one mark, the later one first.
type joined struct{ thing, other uint32 }

func (e *early) top(of uint32) uint32 {
	for e.above[of] != of {
		e.above[of] = e.above[e.above[of]]
		of = e.above[of]
	}
	return of
}

// join makes one unit of two. The one that was there before stays above, so that
// ways are short: what has one mark is joined with the first that had it.
func (e *early) join(t, other uint32) {
	if a, b := e.top(t), e.top(other); a != b {
		e.above[max(a, b)] = min(a, b)
	}
}

// earlyBlock is how many things' marks are made before they are noted: few enough
// that they are still at hand then.
const earlyBlock = 8192

// markEarly notes the marks of the things that have come in since it last did.
func (b *Book) markEarly() {
	e := b.early
	if e == nil || e.marked == len(b.things.things) {
		return
	}
	for n := uint32(len(e.above)); int(n) < len(b.things.things); n++ {
		e.above = append(e.above, n)
	}
	e.marked = max(e.marked, 1)
	for e.marked < len(b.things.things) {
		block := b.things.things[e.marked:min(e.marked+earlyBlock, len(b.things.things))]
		workers := e.workersFor(len(block), b.marker.seed)
		atOnce(len(workers), func(n int) { workers[n].mark(block[len(block)*n/len(workers) : len(block)*(n+1)/len(workers)]) })
		atOnce(len(workers), func(n int) { workers[n].note(&b.things, workers, n) })
		for i := range workers {
			b.joinEarly(&workers[i])
		}
		e.marked += len(block)
	}
}

func (b *Book) joinEarly(w *earlyWorker) {
	e := b.early
	e.junk = append(e.junk, w.junk...)
	for i, j := range w.joins {
		if i > 0 && j == w.joins[i-1] { // by another mark
			continue
		}
		e.join(j.thing, j.other)
		if j.thing <= e.records {
			b.countSame(b.things.things[j.thing])
		}
	}
}

// countSame counts the records before this one that have its ID.
func (b *Book) countSame(t *thing) {
	t.at = 0
	b.things.each(b.marker.label(t.want.ID), func(other *thing) {
		if other.want != nil && other.want.ID == t.want.ID && other.number < t.number {
			t.at++
		}
	})
	if t.at > 0 {
		b.repeated[t.want.ID] = true
	}
}

// workersFor gives as many as there are cores, or one for what is soon done.
func (e *early) workersFor(things int, seed maphash.Seed) []earlyWorker {
	n := runtime.GOMAXPROCS(0)
	if things < many {
		n = 1
	}
	if len(e.workers) != n {
		e.workers = make([]earlyWorker, n)
		for i := range e.workers {
			e.workers[i] = earlyWorker{marker: marker{seed: seed}, made: make([][]made, n)}
		}
	}
	return e.workers
}

// mark makes things' marks.
func (w *earlyWorker) mark(things []*thing) {
	for i := range w.made {
		w.made[i] = w.made[i][:0]
	}
	for _, t := range things {
		for _, mark := range w.marker.ofVM(t) {
			whose := int(mark>>56) * len(w.made) / pieces
			w.made[whose] = append(w.made[whose], made{mark, t.number})
		}
	}
}

// note puts the marks that all have made for its own pieces into the index, in the
// things' order.
func (w *earlyWorker) note(x *index, all []earlyWorker, own int) {
	w.joins, w.junk = w.joins[:0], w.junk[:0]
	for i := range all {
		for _, m := range all[i].made[own] {
			switch other := x.add(m.mark, m.thing); {
			case other == 0:
			case m.mark&junk == 0:
				w.joins = append(w.joins, joined{m.thing, other})
			default:
				w.junk = append(w.junk, m.mark)
			}
		}
	}
}

// earlyUnits gives the units of the things, in their order.
func (b *Book) earlyUnits(things []*thing) []*vmUnit {
	b.markEarly()
	e := b.early
	for _, mark := range e.junk {
		if !b.isRecorded(mark) {
			continue
		}
		first := uint32(0)
		b.things.each(mark, func(t *thing) {
			if first == 0 {
				first = t.number
			}
			e.join(t.number, first)
		})
	}
	units := make([]*vmUnit, 0, len(things)/2)
	for _, t := range things {
		t.dirty = false
		top := b.things.things[e.top(t.number)]
		if top.unit == nil {
			top.unit = &vmUnit{things: make([]*thing, 0, 2)}
			units = append(units, top.unit)
		}
		t.unit = top.unit
		t.unit.things = append(t.unit.things, t)
	}
	return units
}
