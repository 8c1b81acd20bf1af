package drift

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Changes is what differs from an earlier time.
type Changes struct {
	Since time.Time `json:"since,omitzero"`
	// From is what it was counted from: the report of that time, or the events since.
	From    string   `json:"from"`
	New     []Change `json:"new"`
	Changed []Change `json:"changed"`
	Gone    []Change `json:"gone"`
	// Passed is how many were opened and resolved in between.
	Passed int `json:"passed"`
}

// What changes are counted from.
const (
	FromReport = "report"
	FromEvents = "events"
)

// Change is one finding that is not as it was.
type Change struct {
	ID       string             `json:"id"`
	Kind     reconcile.Kind     `json:"kind"`
	Severity reconcile.Severity `json:"severity"`
	Subject  reconcile.Subject  `json:"subject"`
	Field    string             `json:"field"`
	Intended any                `json:"intended"`
	Observed any                `json:"observed"`
	Message  string             `json:"message"`
	CausedBy string             `json:"causedBy,omitempty"`
	At       time.Time          `json:"at,omitzero"` // when it opened, changed or was resolved, where that is known
	// WasSeverity and WasMessage are as they were before, of what changed.
	WasSeverity reconcile.Severity `json:"wasSeverity,omitempty"`
	WasMessage  string             `json:"wasMessage,omitempty"`
}

func changeOf(f *reconcile.Finding, at time.Time) Change {
	return Change{ID: f.ID, Kind: f.Kind, Severity: f.Severity, Subject: f.Subject, Field: f.Field,
		Intended: f.Intended, Observed: f.Observed, Message: f.Message, CausedBy: f.CausedBy, At: at}
}

// changes holds a section against the report before, or else against what its
// history says of the time at which that begins.
func (in *Input) changes(s *Section) Changes {
	c := Changes{New: []Change{}, Changed: []Change{}, Gone: []Change{}}
	if in.Before != nil {
		c.Since, c.From = in.Before.At, FromReport
		c.hold(s, sectionOf(in.Before, s.Platform), in.History)
	} else {
		c.Since, c.From = in.History.from, FromEvents
		c.recall(s, in.History)
	}
	for _, list := range [][]Change{c.New, c.Changed, c.Gone} {
		slices.SortFunc(list, func(a, b Change) int {
			return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Kind, b.Kind),
				cmp.Compare(a.Subject.Name, b.Subject.Name), cmp.Compare(a.ID, b.ID))
		})
	}
	return c
}

// sectionOf is a report's section on a platform, an empty one where it has none:
// there was nothing of it then.
func sectionOf(r *Report, platform string) *Section {
	for i := range r.Sections {
		if r.Sections[i].Platform == platform {
			return &r.Sections[i]
		}
	}
	return &Section{}
}

// hold compares with what was open in an earlier section.
func (c *Changes) hold(s, before *Section, h *History) {
	was := make(map[string]*reconcile.Finding, len(before.Findings))
	for i := range before.Findings {
		was[before.Findings[i].ID] = &before.Findings[i]
	}
	open := map[string]bool{}
	for i := range s.Findings {
		f := &s.Findings[i]
		open[f.ID] = true
		old := was[f.ID]
		switch {
		case old == nil:
			c.New = append(c.New, changeOf(f, f.Since))
		case old.Severity != f.Severity || old.Message != f.Message:
			changed := changeOf(f, time.Time{})
			changed.WasSeverity, changed.WasMessage = old.Severity, old.Message
			c.Changed = append(c.Changed, changed)
		}
	}
	for i := range before.Findings {
		f := &before.Findings[i]
		if open[f.ID] {
			continue
		}
		gone := changeOf(f, time.Time{})
		if l := h.lives[f.ID]; l != nil {
			if at, ended := l.ended(); ended {
				gone.At = at
			}
		}
		c.Gone = append(c.Gone, gone)
	}
	for id, l := range h.lives {
		if l.last.Subject.Platform != s.Platform || open[id] || was[id] != nil {
			continue
		}
		if at, ended := l.ended(); ended && at.After(c.Since) {
			c.Passed++
		}
	}
}

// recall takes what changed from the history.
func (c *Changes) recall(s *Section, h *History) {
	open := map[string]bool{}
	for i := range s.Findings {
		f := &s.Findings[i]
		open[f.ID] = true
		l := h.lives[f.ID]
		switch {
		case l == nil:
			if f.Since.After(h.from) { // its event was lost
				c.New = append(c.New, changeOf(f, f.Since))
			}
		case !l.wasOpen(h.from):
			c.New = append(c.New, changeOf(f, f.Since))
		case slices.ContainsFunc(l.moments, func(m moment) bool { return m.change == reconcile.Changed }):
			c.Changed = append(c.Changed, changeOf(f, l.moments[len(l.moments)-1].at))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(h.lives)) {
		l := h.lives[id]
		at, ended := l.ended()
		switch {
		case l.last.Subject.Platform != s.Platform || open[id] || !ended:
		case l.wasOpen(h.from):
			c.Gone = append(c.Gone, changeOf(&l.last, at))
		default:
			c.Passed++
		}
	}
}

// wasOpen says whether it was open just before a time.
func (l *life) wasOpen(at time.Time) bool {
	_, was := l.at(at, false)
	return was
}
