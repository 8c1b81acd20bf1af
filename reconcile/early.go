package reconcile

// early finds the units of what a book is told before it is settled for the first
// time, when nothing is taken out again: what has a mark in common is joined as it
// comes in, and no mark needs to be looked up once more.
type early struct {
	// above leads from a thing's number to another one of its unit, and ends at
	// one that leads to itself.
	above []uint32
	junk  []uint64 // marks that many have, which count where a record has them
}

// enter takes in a thing that shares nothing yet.
func (e *early) enter(t *thing) {
	for len(e.above) <= int(t.number) {
		e.above = append(e.above, uint32(len(e.above)))
	}
}

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

// earlyUnits gives the units of the things, in their order.
func (b *Book) earlyUnits(things []*thing) []*vmUnit {
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
