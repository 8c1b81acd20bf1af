package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Books gives what the last step came to, when, and the documents that are held,
// so that both can be counted. A document may be newer than the result.
func (e *Engine) Books(now time.Time) (*reconcile.Result, []reconcile.Document, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.result == nil {
		return nil, nil, time.Time{}, &NotReadyError{Waiting: cmp.Or(e.waiting(now), "the first pass is about to begin")}
	}
	var documents []reconcile.Document
	for _, h := range e.hosts {
		for _, doc := range h.docs {
			documents = append(documents, doc)
		}
	}
	slices.SortFunc(documents, func(a, b reconcile.Document) int {
		return cmp.Or(slices.Compare(a.Host[:], b.Host[:]), cmp.Compare(a.Source, b.Source))
	})
	return e.result, documents, e.at, nil
}
