package engine

import (
	"cmp"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Books passes over everything that the last step judged, and gives what that
// comes to, the documents it was made from, and when it was. It takes as long as a
// full pass and is for what needs every comparison.
func (e *Engine) Books(now time.Time) (*reconcile.Result, []reconcile.Document, time.Time, error) {
	in, at, err := e.input(now)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	return reconcile.Reconcile(in), in.Observed, at, nil
}

// input is what the last step judged.
func (e *Engine) input(now time.Time) (reconcile.Input, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stepped {
		return reconcile.Input{}, time.Time{}, &NotReadyError{Waiting: cmp.Or(e.waiting(now), "the first pass is about to begin")}
	}
	return e.book.Input(), e.at, nil
}
