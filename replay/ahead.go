package replay

import (
	"slices"
	"time"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
)

// happening is something that is known ahead.
type happening struct {
	at time.Time
	do func()
	// quiet says that it is no news by itself: nothing need be judged for it.
	quiet bool
}

// apartVersions is how far apart two records of one version of the inventory may
// have been written. The same version may be written again, when its source can't be
// read.
const apartVersions = 10 * time.Second

// plan sorts everything that is known ahead.
func (r *Replay) plan(s *Start) {
	slices.SortFunc(s.Recorded.times, time.Time.Compare)
	r.planInventory(s.Intended)
	for _, q := range s.Recorded.silences {
		at := q.at
		if q.silent { // it was noticed when it had lasted for so long, and at a tick
			at = at.Add(-r.staleAfterAt(s, at) - tick/2)
		}
		if !at.After(s.At) {
			r.muted = append(r.muted, muted{q.host, at})
			continue
		}
		r.ahead = append(r.ahead, happening{at: at, quiet: true, do: func() { r.silence(q.host, q.silent) }})
	}
	for _, t := range s.Tasks {
		r.ahead = append(r.ahead, happening{at: t.At, do: func() {
			for _, side := range r.sides {
				side.engine.Task(t.Task, t.At, t.At)
			}
		}})
	}
	slices.SortStableFunc(r.ahead, func(a, b happening) int { return a.at.Compare(b.at) })
}

// staleAfterAt is how long a host could be silent at a time before it was told.
func (r *Replay) staleAfterAt(s *Start, at time.Time) time.Duration {
	limit := s.Then.StaleAfter
	for i := range s.Intended {
		if e := &s.Intended[i]; e.Policy != nil && e.At.Before(at) {
			limit = e.Policy.StaleAfter
		}
	}
	return limit
}

// planInventory gathers the versions of the inventory and the policies of then. A
// version was in use when the first of it was written down.
func (r *Replay) planInventory(entries []history.Entry) {
	for len(entries) > 0 {
		e, n := entries[0], 1
		if e.Policy != nil {
			policy := *e.Policy
			r.ahead = append(r.ahead, happening{at: e.At, do: func() { r.judge(policy) }})
		} else {
			for n < len(entries) && entries[n].Policy == nil && entries[n].Version == e.Version && entries[n].At.Sub(entries[n-1].At) <= apartVersions {
				n++
			}
			version := entries[:n]
			r.ahead = append(r.ahead, happening{at: e.At, do: func() { r.intend(version) }})
		}
		entries = entries[n:]
	}
}

// judge has those follow the policy of then that do.
func (r *Replay) judge(p reconcile.Policy) {
	r.then = p
	for _, s := range r.sides {
		if s.ofThen {
			s.judge(p)
		}
	}
}

// intend puts another version of the inventory into use. It was used then, however
// much was gone in it.
func (r *Replay) intend(version []history.Entry) {
	for _, e := range version {
		r.books.Take(e)
	}
	r.use()
}

func (r *Replay) use() {
	inv := r.books.Inventory()
	if inv.ReadAt.IsZero() {
		inv.ReadAt = r.now
	}
	for _, s := range r.sides {
		s.engine.Intend(inv)
		_, _ = s.engine.Confirm("") // an error says that there is nothing to confirm
	}
	r.inventory = inv
}
