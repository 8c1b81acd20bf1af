package history

import (
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Event is one thing that happened to a finding.
type Event struct {
	At       time.Time         `json:"at"`
	Action   string            `json:"action"` // opened, changed, resolved …
	Sequence uint64            `json:"sequence,omitempty"`
	Finding  reconcile.Finding `json:"finding"` // as it was then
}

// About says whether a finding is about the thing.
func (t *Thing) About(f *reconcile.Finding) bool {
	s := &f.Subject
	switch {
	case s.ID == "":
		return false
	case t.Type == "host":
		return (s.Type == "host" || s.Type == "runtime") && (hostOf(s) == t.Record || hostOf(s) == t.ID.String())
	case s.Type != "vm":
		return false
	}
	return s.ID == t.Record || t.Native == "" && s.ID == t.ID.String()
}

// hostOf is the host of a finding about it or about one of its sources, which are
// called HOST/SOURCE.
func hostOf(s *reconcile.Subject) string {
	if s.Type != "runtime" {
		return s.ID
	}
	for i := len(s.ID) - 1; i >= 0; i-- {
		if s.ID[i] == '/' {
			return s.ID[:i]
		}
	}
	return s.ID
}
