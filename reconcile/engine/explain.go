package engine

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/reconcile"
)

// maxNear is how many names are suggested where none fits.
const maxNear = 5

// NotKnownError says that nothing goes by the name that was asked for, and which
// names are close to it. It wraps [reconcile.ErrNotKnown].
type NotKnownError struct {
	Query string
	Near  []string // the closest first
}

func (e *NotKnownError) Error() string {
	text := fmt.Sprintf("explain %q: %v", e.Query, reconcile.ErrNotKnown)
	if len(e.Near) > 0 {
		text += "; did you mean " + strings.Join(e.Near, " or ") + "?"
	}
	return text
}

func (e *NotKnownError) Unwrap() error { return reconcile.ErrNotKnown }

// NotReadyError says that nothing has been judged yet.
type NotReadyError struct{ Waiting string }

func (e *NotReadyError) Error() string { return "nothing has been reconciled yet: " + e.Waiting }

// Explain gives everything known about a VM, a host or a finding; see
// [reconcile.Explain] for what it goes by.
func (e *Engine) Explain(query string, now time.Time) (*reconcile.Explanation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stepped {
		return nil, &NotReadyError{Waiting: cmp.Or(e.waiting(now), "the first pass is about to begin")}
	}
	query = strings.TrimSpace(query)
	if query == "" { // things without a name would answer to it
		return nil, &NotKnownError{}
	}
	var about *reconcile.Finding
	if n := e.lives.all[query]; n != nil {
		about = &n.Finding
	}
	explanation, err := reconcile.Explain(e.book.Ask(query, about), e.lives.list(e.at), now, query)
	if errors.Is(err, reconcile.ErrNotKnown) {
		return nil, &NotKnownError{Query: query, Near: e.near(query)}
	}
	if err != nil {
		return nil, err
	}
	if m := explanation.Host; m != nil && m.Observed != nil {
		// Steps are made when something changes; heartbeats change nothing else.
		match, observed := *m, *m.Observed
		if h := e.hosts[observed.ID]; h != nil {
			observed.LastHeard = e.lastHeard(h)
			if ahead, known := h.clock.measured(); known {
				observed.ClockAhead = &ahead
			}
		}
		match.Observed, explanation.Host = &observed, &match
	}
	return explanation, nil
}

// near lists the names that may have been meant.
func (e *Engine) near(query string) []string {
	return near.Names(query, func(yield func(string) bool) { e.book.Names(func(name string) { yield(name) }) }, maxNear)
}
