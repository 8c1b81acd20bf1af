package engine

import (
	"cmp"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Input gives what a step would judge now, for whoever wants to judge it
// elsewhere.
func (e *Engine) Input(now time.Time) (reconcile.Input, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.result == nil {
		return reconcile.Input{}, &NotReadyError{Waiting: cmp.Or(e.waiting(now), "the first pass is about to begin")}
	}
	return e.input(now), nil
}
