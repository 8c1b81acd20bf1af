package engine

import (
	"time"

	"github.com/google/uuid"
)

// Next is when time alone makes a step due at the latest; zero is never. It is for
// who has no clock to look at and asks what comes next, as a replay does:
// [Engine.Due] says whether a step is due then.
func (e *Engine) Next() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := e.deadline
	if due := e.book.Due(); e.stepped && !due.IsZero() && (next.IsZero() || due.Before(next)) {
		next = due
	}
	return next
}

// HostID is under which ID the host of a record speaks, by what findings about it
// call it; false where none does.
func (e *Engine) HostID(key string) (uuid.UUID, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.book.Host(key)
	if m == nil || m.Observed == nil {
		return uuid.Nil, false
	}
	return m.Observed.ID, true
}
