package reconcile

import (
	"slices"
	"strings"
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
// last time, in any order; the answer holds every finding that is pending, open,
// suppressed or kept after it was resolved, sorted, with the changes that a reader
// of events should hear of (never of pending ones).
//
// A finding is new as pending, opens when its kind's grace has passed and no task
// of Maskin's explains it, and resolves when the result compared again and found
// both sides agreeing. One that can no longer be judged, because its host went
// silent or blind, is held as it was with the verdict unknown: losing sight of
// drift does not end it. Nor does one that comes and goes end each time.
func Advance(previous []Finding, result *Result, policy Policy, now time.Time) ([]Finding, []Event) {
	tasks := make([]Task, len(result.Tasks))
	for i := range tasks {
		tasks[i] = result.Tasks[i].Task
	}
	life := NewLife(&policy, tasks, newHolder(result).holds, now)
	before := make(map[string]*Finding, len(previous))
	for i := range previous {
		before[previous[i].ID] = &previous[i]
	}
	next := make([]Finding, 0, len(result.Findings))
	var events []Event
	covered := map[string]int{} // how many findings each suppression speaks of
	step := func(was, found *Finding) {
		f, keep, change := life.Step(was, found)
		if change != "" {
			events = append(events, Event{change, f})
		}
		if !keep {
			return
		}
		if f.Suppression != nil && f.State != Resolved {
			covered[f.Suppression.ID]++
		}
		next = append(next, f)
	}
	pass := func(found []Finding, ours func(Kind) bool) {
		for i := range found {
			step(before[found[i].ID], &found[i])
			delete(before, found[i].ID)
		}
		for id, was := range before {
			if ours(was.Kind) {
				step(was, nil)
				delete(before, id)
			}
		}
	}
	pass(result.Findings, func(k Kind) bool { return !k.OfPolicy() })
	pass(policy.Findings(covered, now), Kind.OfPolicy)
	dropDangling(next, events)
	SortFindings(next)
	slices.SortFunc(events, func(a, b Event) int { return CompareFindings(&a.Finding, &b.Finding) })
	return next, events
}

// OfPolicy says whether the kind's findings are about the policy itself.
func (k Kind) OfPolicy() bool { return strings.HasPrefix(string(k), "policy.") }

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
