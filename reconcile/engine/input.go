package engine

import (
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Input gives what a step would judge now, for whoever wants to judge it
// elsewhere.
func (e *Engine) Input(now time.Time) (reconcile.Input, error) {
	in, _, err := e.input(now)
	in.Now = now
	return in, err
}

// Intended gives the inventory that is judged by; nil where there is none yet.
func (e *Engine) Intended() *sentral.Inventory {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.intended
}
