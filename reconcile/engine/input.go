package engine

import (
	"cmp"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
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

// Intended gives the inventory that is judged by; nil where there is none yet.
func (e *Engine) Intended() *sentral.Inventory {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.intended
}
