package reconcile

import (
	"slices"
	"time"
)

// Change is what happened to a finding, for the stream of drift events.
type Change string

// The changes of a finding.
const (
	Opened  Change = "opened"
	Changed Change = "changed"
	Closed  Change = "resolved"
)

// Event is one change of one finding.
type Event struct {
	Change  Change
	Finding Finding
}

// Advance gives the findings of a result their life. Previous is what it gave
// last time, in any order; the answer holds every finding that is pending, open
// or kept after it was resolved, sorted, with the changes that a reader of events
// should hear of (never of pending ones).
//
// A finding is new as pending, opens when its kind's grace has passed, and
// resolves when the result compared again and found both sides agreeing. One that
// can no longer be judged, because its host went silent or blind, is held as it
// was with the verdict unknown: losing sight of drift does not end it.
func Advance(previous []Finding, result *Result, policy Policy, now time.Time) ([]Finding, []Event) {
	held := newHolder(result)
	before := make(map[string]*Finding, len(previous))
	for i := range previous {
		before[previous[i].ID] = &previous[i]
	}
	next := make([]Finding, 0, len(result.Findings))
	var events []Event
	for _, f := range result.Findings {
		was := before[f.ID]
		delete(before, f.ID)
		f = carry(f, was, now)
		if f.State == Pending && !now.Before(f.Since.Add(policy.grace(f.Kind))) {
			f.State, f.Since = Open, now
			events = append(events, Event{Opened, f})
		} else if f.State == Open && was != nil && changed(&f, was) {
			events = append(events, Event{Changed, f})
		}
		next = append(next, f)
	}
	for _, was := range before {
		f, keep, ended := fade(*was, held, policy, now)
		if ended {
			events = append(events, Event{Closed, f})
		}
		if keep {
			next = append(next, f)
		}
	}
	SortFindings(next)
	slices.SortFunc(events, func(a, b Event) int { return compareFindings(&a.Finding, &b.Finding) })
	return next, events
}

// carry takes over from the finding's earlier life what it keeps.
func carry(f Finding, was *Finding, now time.Time) Finding {
	f.LastSeen = now
	switch {
	case was == nil:
		f.State, f.FirstSeen, f.Since = Pending, now, now
	case was.State == Resolved:
		f.State, f.FirstSeen, f.Since, f.Flaps = Pending, was.FirstSeen, now, was.Flaps+1
	default:
		f.State, f.FirstSeen, f.Since, f.Flaps = was.State, was.FirstSeen, was.Since, was.Flaps
	}
	return f
}

// fade is what becomes of a finding that the result doesn't give any more.
func fade(f Finding, held *holder, policy Policy, now time.Time) (next Finding, keep, ended bool) {
	switch {
	case f.State == Resolved:
		return f, now.Sub(f.Since) < policy.KeepResolved, false
	case held.holds(&f):
		f.Verdict = Undecided
		return f, true, false
	case f.State == Pending: // it never was a finding
		return f, false, false
	}
	f.State, f.Since = Resolved, now
	return f, true, true
}

// changed says whether a reader would want to hear of it again.
func changed(f, was *Finding) bool {
	return f.Severity != was.Severity || f.Verdict != was.Verdict || f.Message != was.Message
}

// holder knows what a result could not judge.
type holder struct {
	unseen   map[string]bool // hosts from which nothing is concluded
	unseenIn map[string]bool // sites that have such a host
	unknown  map[[2]string]bool
}

func newHolder(result *Result) *holder {
	h := &holder{unseen: map[string]bool{}, unseenIn: map[string]bool{}, unknown: map[[2]string]bool{}}
	for i := range result.Hosts {
		m := &result.Hosts[i]
		if m.covered() {
			continue
		}
		key, site := m.key(), m.site()
		h.unseen[key], h.unseenIn[site] = true, true
	}
	for i := range result.VMs {
		vm := &result.VMs[i]
		for _, c := range vm.Comparisons {
			if c.Class == Unknown {
				h.unknown[[2]string{vm.subjectID(), c.Path}] = true
			}
		}
		if len(vm.Uncovered) > 0 {
			h.unknown[[2]string{vm.subjectID(), ""}] = true
		}
	}
	return h
}

// holds says whether the result had no sight of what the finding is about.
func (h *holder) holds(f *Finding) bool {
	switch f.Subject.Type {
	case "vm":
		if h.unknown[[2]string{f.Subject.ID, f.Field}] || h.unknown[[2]string{f.Subject.ID, ""}] {
			return true
		}
		return f.Subject.Host != "" && h.unseen[f.Subject.Host]
	case "network":
		return h.unseenIn[f.Subject.Site]
	}
	return false
}
