package reconcile

// room is what units are judged in. A pass that keeps nothing gives every unit the
// same, one after another.
type room struct {
	pairs []pair
	seen  []sighted
	paths []NICPath
}

func (r *room) reset() {
	clear(r.pairs)
	clear(r.seen)
	clear(r.paths)
	r.pairs, r.seen, r.paths = r.pairs[:0], r.seen[:0], r.paths[:0]
}

// carve gives n of what a room has, empty. What was given before stays where it is.
func carve[T any](from *[]T, n int) []T {
	if len(*from)+n > cap(*from) {
		*from = make([]T, 0, max(n, 2*cap(*from), 4))
	}
	at := len(*from)
	*from = (*from)[:at+n]
	return (*from)[at : at+n : at+n]
}

// pair makes a pair that lasts as long as the unit is judged, or is kept.
func (p *pass) pair() *pair {
	if p.whole {
		return new(pair)
	}
	return &carve(&p.room.pairs, 1)[0]
}

func (p *pass) sight(at place) *sighted {
	if p.whole {
		return &sighted{lead: at}
	}
	s := &carve(&p.room.seen, 1)[0]
	s.lead = at
	return s
}

func (p *pass) paths(n int) []NICPath {
	if p.whole {
		return make([]NICPath, n)
	}
	return carve(&p.room.paths, n)
}
