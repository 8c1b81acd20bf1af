package engine

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

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
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	limit := max(1, min(3, len(query)/3))
	wanted := strings.ToLower(query)
	seen := map[string]bool{}
	consider := func(name string) {
		if name == "" || seen[name] || wanted == "" {
			return
		}
		seen[name] = true
		lower := strings.ToLower(name)
		distance := slips(wanted, lower, limit)
		if distance > limit && len(wanted) >= 3 && strings.Contains(lower, wanted) {
			distance = limit + 1 // a part of it was typed
		} else if distance > limit {
			return
		}
		found = append(found, candidate{name, distance})
	}
	e.book.Names(consider)
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, c := range found[:min(len(found), maxNear)] {
		names = append(names, c.name)
	}
	return names
}

// slips is the Damerau-Levenshtein distance (optimal string alignment), or more
// than limit where it is more than that.
func slips(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > 64 {
		return limit + 1
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
