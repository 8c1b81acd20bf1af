package engine

import (
	"cmp"
	"fmt"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Acknowledge notes on a finding who has taken it up; nil takes that back. The
// next step tells of it and has it stored. It gives the finding as it is then.
func (e *Engine) Acknowledge(id string, ack *reconcile.Acknowledgement, now time.Time) (*reconcile.Finding, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if why := e.waiting(now); why != "" || !e.stepped {
		return nil, &NotReadyError{Waiting: cmp.Or(why, "the first pass is about to begin")}
	}
	n := e.lives.all[id]
	if n == nil {
		return nil, fmt.Errorf("acknowledge %q: %w", id, reconcile.ErrNotKnown)
	}
	f := n.at(e.at)
	switch {
	case f.State == reconcile.Resolved:
		return nil, fmt.Errorf("finding %s is resolved since %s", id, f.Since.UTC().Format(time.RFC3339))
	case ack == nil && f.Acknowledged == nil:
		return nil, fmt.Errorf("finding %s is not acknowledged", id)
	case ack != nil && !now.Before(ack.Until):
		return nil, fmt.Errorf("acknowledge %s: until %s is over already", id, ack.Until.UTC().Format(time.RFC3339))
	}
	f.Acknowledged = ack
	changed := *n
	changed.Finding = f
	e.lives.set(&changed)
	e.lives.dirty[id], e.dirty = true, true
	if f.State != reconcile.Pending {
		e.told = append(e.told, reconcile.Event{Change: reconcile.Changed, Finding: f})
	}
	return &f, nil
}
