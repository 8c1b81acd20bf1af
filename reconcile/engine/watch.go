package engine

import (
	"time"

	"github.com/google/uuid"
)

// watched are the few hosts of which something may be to be told or waited for,
// so that no step has to look at all of them.
type watched struct {
	late map[uuid.UUID]bool // they may still be about to speak
	odd  map[uuid.UUID]bool // what they say of documents or of the time isn't as it should be
	mute map[uuid.UUID]bool // their agents publish nothing, and say why
}

func newWatched() watched {
	return watched{late: map[uuid.UUID]bool{}, odd: map[uuid.UUID]bool{}, mute: map[uuid.UUID]bool{}}
}

// watch notes what is to be looked at of a host from now on.
func (e *Engine) watch(id uuid.UUID, h *host) {
	note(e.watched.late, id, e.awaited(h))
	note(e.watched.odd, id, h.odd(e.policy.ClockSkew))
	note(e.watched.mute, id, h.problem.text != "")
}

func note(in map[uuid.UUID]bool, id uuid.UUID, is bool) {
	if is {
		in[id] = true
	} else {
		delete(in, id)
	}
}

// watchAll does so of every host: what it goes by has changed.
func (e *Engine) watchAll() {
	for id, h := range e.hosts {
		e.watch(id, h)
	}
}

func (e *Engine) forgetHost(id uuid.UUID) {
	delete(e.hosts, id)
	delete(e.watched.late, id)
	delete(e.watched.odd, id)
	delete(e.watched.mute, id)
	e.book.Drop(id)
}

// odd says whether there is, or was when it was told last, a document that didn't
// arrive, a source that it speaks of no more, or a clock that is near being off.
func (h *host) odd(skew time.Duration) bool {
	if h.gapsTold > 0 || h.clockTold != 0 || len(h.unsaid) > 0 || h.clock.nearly(skew) {
		return true
	}
	for _, s := range h.said {
		if !s.differs.IsZero() {
			return true
		}
	}
	return false
}

// unheard counts the hosts that may still be about to speak. After StaleAfter
// nobody is waited for.
func (e *Engine) unheard(now time.Time) int {
	if now.Sub(e.listening) > e.policy.StaleAfter {
		return 0
	}
	return len(e.watched.late)
}
