package reconcile

import (
	"math/bits"
	"slices"
)

// index finds things by their marks. It holds no pointers but one for each thing,
// so that the collector of garbage passes it by, and is cut into pieces of which
// one is made anew when it is full, so that no change pays for all of it.
type index struct {
	pieces [pieces]piece
	things []*thing // by their numbers, of which 0 is none
	free   []uint32 // numbers that nobody has
}

// pieces is how many the first byte of a mark tells apart.
const pieces = 256

// piece holds the marks with the same first byte, at the place that their next four
// bytes say or soon after. Pieces have nothing to do with each other.
type piece struct {
	slots []slot
	used  int
	// more are chains of things with one mark, where they are more than two.
	more []link
	last uint32 // a chain of those that are free
}

// slot is one mark with the things that have it.
type slot struct {
	mark uint32 // its second to fifth byte
	one  uint32 // 0 where the slot is free
	two  uint32 // 0 for none, or a chain's number with the bit chained
}

const chained = 1 << 31

type link struct{ thing, next uint32 }

// locate splits a mark into what finds it. The bit junk is not among that, so that it
// is moved to where it is.
func (x *index) locate(mark uint64) (p *piece, rest uint32) {
	return &x.pieces[mark>>56], uint32(mark>>24)&^junk | uint32(mark&junk)
}

// home is where a mark would be if nothing else were there. It keeps their order,
// so that those of one home are side by side.
func (p *piece) home(rest uint32) int {
	hi, _ := bits.Mul64(uint64(rest)<<32, uint64(len(p.slots)))
	return int(hi)
}

func (p *piece) after(at int) int {
	if at++; at == len(p.slots) {
		return 0
	}
	return at
}

// find gives the slot of a mark; nil if it has none.
func (p *piece) find(rest uint32) *slot {
	if len(p.slots) == 0 {
		return nil
	}
	for at := p.home(rest); p.slots[at].one != 0; at = p.after(at) {
		if p.slots[at].mark == rest {
			return &p.slots[at]
		}
	}
	return nil
}

// grow makes room for one more. A quarter more at a time wastes little, and four of
// five slots may be taken.
func (p *piece) grow() {
	if p.used++; p.used*5 <= len(p.slots)*4 {
		return
	}
	p.resize(len(p.slots) + len(p.slots)/4 + 8)
}

func (p *piece) resize(n int) {
	before := p.slots
	p.slots = make([]slot, n)
	for _, s := range before {
		if s.one != 0 {
			*p.free(s.mark) = s
		}
	}
}

// free gives the slot that a mark that isn't there is to have.
func (p *piece) free(rest uint32) *slot {
	at := p.home(rest)
	for p.slots[at].one != 0 {
		at = p.after(at)
	}
	return &p.slots[at]
}

// drop empties a slot, and moves up those that made room for it.
func (p *piece) drop(s *slot) {
	p.used--
	gap := 0
	for gap = p.home(s.mark); &p.slots[gap] != s; gap = p.after(gap) {
	}
	for at := p.after(gap); p.slots[at].one != 0; at = p.after(at) {
		// It stays if its home lies behind the gap, going round.
		home := p.home(p.slots[at].mark)
		if stays := gap < at && gap < home && home <= at || at < gap && (gap < home || home <= at); stays {
			continue
		}
		p.slots[gap] = p.slots[at]
		gap = at
	}
	p.slots[gap] = slot{}
}

// reserve makes room for many things and marks more, so that tables aren't made anew
// over and over while those are added.
func (x *index) reserve(things, marks int) {
	x.things = slices.Grow(x.things, things)
	for i := range x.pieces {
		p := &x.pieces[i]
		if n := (p.used + marks/len(x.pieces)) * 4 / 3; n > 2*len(p.slots) { // as some get more than others
			p.resize(n)
		}
	}
}

// enter gives a thing its number.
func (x *index) enter(t *thing) {
	if n := len(x.free); n > 0 {
		t.number, x.free = x.free[n-1], x.free[:n-1]
		x.things[t.number] = t
		return
	}
	if len(x.things) == 0 {
		x.things = append(x.things, nil)
	}
	t.number = uint32(len(x.things))
	x.things = append(x.things, t)
}

// leave takes a thing's number, which no mark is to have any more.
func (x *index) leave(t *thing) {
	x.things[t.number] = nil
	x.free = append(x.free, t.number)
	t.number = 0
}

// add gives a mark to the thing of a number, and the number of another one that has
// it, if any.
func (x *index) add(mark uint64, number uint32) uint32 {
	p, rest := x.locate(mark)
	s := p.find(rest)
	switch {
	case s == nil:
		p.grow()
		*p.free(rest) = slot{mark: rest, one: number}
		return 0
	case s.two == 0:
		s.two = number
	default:
		if s.two&chained == 0 {
			s.two = p.chain(s.two, 0)
		}
		s.two = p.chain(number, s.two)
	}
	return s.one
}

// chain makes a link before a chain.
func (p *piece) chain(number, next uint32) uint32 {
	at := p.last
	if at == 0 {
		if len(p.more) == 0 {
			p.more = append(p.more, link{})
		}
		p.more = append(p.more, link{})
		at = uint32(len(p.more)-1) | chained
	} else {
		p.last = p.more[at&^chained].next
	}
	p.more[at&^chained] = link{number, next}
	return at
}

func (p *piece) unchain(at uint32) link {
	l := &p.more[at&^chained]
	was := *l
	*l, p.last = link{next: p.last}, at
	return was
}

func (x *index) remove(mark uint64, t *thing) {
	p, rest := x.locate(mark)
	s := p.find(rest)
	switch {
	case s == nil:
		return
	case s.one == t.number && s.two == 0:
		p.drop(s)
		return
	case s.one == t.number && s.two&chained == 0:
		s.one, s.two = s.two, 0
	case s.one == t.number:
		first := p.unchain(s.two)
		s.one, s.two = first.thing, first.next
	case s.two == t.number:
		s.two = 0
	case s.two&chained != 0:
		for at := &s.two; *at != 0; at = &p.more[*at&^chained].next {
			if p.more[*at&^chained].thing == t.number {
				*at = p.unchain(*at).next
				break
			}
		}
	}
}

// each gives all that have the mark.
func (x *index) each(mark uint64, do func(*thing)) {
	p, rest := x.locate(mark)
	s := p.find(rest)
	if s == nil {
		return
	}
	two := s.two
	do(x.things[s.one])
	if two&chained == 0 {
		if two != 0 {
			do(x.things[two])
		}
		return
	}
	for at := two; at != 0; at = p.more[at&^chained].next {
		do(x.things[p.more[at&^chained].thing])
	}
}
