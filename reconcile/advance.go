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
	dropDangling(next, events)
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
	case was.State == Pending && was.Verdict == Undecided:
		// It was out of sight. What a reboot does by itself may be under way still.
		f.State, f.FirstSeen, f.Since, f.Flaps = Pending, was.FirstSeen, now, was.Flaps
	default:
		f.State, f.FirstSeen, f.Since, f.Flaps = was.State, was.FirstSeen, was.Since, was.Flaps
	}
	return f
}

// fade is what becomes of a finding that the result doesn't give any more.
func fade(f Finding, held *holder, policy Policy, now time.Time) (next Finding, keep, ended bool) {
	if f.State == Resolved {
		return f, now.Sub(f.Since) < policy.KeepResolved, false
	}
	if hold, cause := held.holds(&f); hold {
		f.Verdict = Undecided
		if cause != "" {
			f.CausedBy = cause
		}
		return f, true, false
	}
	if f.State == Pending && f.Flaps == 0 { // it never was a finding
		return f, false, false
	}
	ended = f.State != Pending
	if !ended { // it was one, and didn't come back for long enough to be one again
		f.Flaps--
	}
	if f.Verdict == Undecided { // what hid it is over, and so is it
		f.Verdict, f.CausedBy = Confirmed, ""
	}
	f.State, f.Since = Resolved, now
	return f, true, ended
}

// dropDangling takes out causes that are no longer among the findings: they were
// of a finding that is kept, and have ended since.
func dropDangling(next []Finding, events []Event) {
	stands := make(map[string]bool, len(next))
	for i := range next {
		stands[next[i].ID] = true
	}
	for i := range next {
		if f := &next[i]; !stands[f.CausedBy] {
			f.CausedBy = ""
		}
	}
	for i := range events {
		if f := &events[i].Finding; !stands[f.CausedBy] {
			f.CausedBy = ""
		}
	}
}

// changed says whether a reader would want to hear of it again. That it is seen
// again after a time out of sight is no news, as losing sight of it was none.
func changed(f, was *Finding) bool {
	return f.Severity != was.Severity || f.Message != was.Message || (f.Verdict != was.Verdict && was.Verdict != Undecided)
}
