package engine

import (
	"slices"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Judge takes another policy: everything is judged by it from the next step on.
func (e *Engine) Judge(p reconcile.Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policy, e.dirty = p, true
	e.book.Judge(p)
	e.watchAll()
	e.lives.whole = true
}

// RefusePolicy says why there is no newer policy than the one in use, which stays.
func (e *Engine) RefusePolicy(problems []sentral.Problem) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policy.Problems, e.dirty = slices.Clone(problems), true
}
