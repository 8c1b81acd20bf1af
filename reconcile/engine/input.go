package engine

import (
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Input gives what a step would judge now, for whoever wants to judge it
// elsewhere.
func (e *Engine) Input(now time.Time) (reconcile.Input, error) {
	in, _, err := e.input(now)
	in.Now = now
	return in, err
}
