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
	if f.State == Resolved {
		return f, now.Sub(f.Since) < policy.KeepResolved, false
	}
	if hold, cause := held.holds(&f); hold {
		f.Verdict = Undecided
		if f.CausedBy == "" {
			f.CausedBy = cause
		}
		return f, true, false
	}
	if f.State == Pending { // it never was a finding
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
	vms   map[string]*VMMatch
	hosts map[string]*HostMatch
	blind map[string]string // by site, the finding that says why one of its hosts is not seen
}

func newHolder(result *Result) *holder {
	h := &holder{
		vms:   make(map[string]*VMMatch, len(result.VMs)),
		hosts: make(map[string]*HostMatch, len(result.Hosts)),
		blind: map[string]string{},
	}
	for i := range result.Hosts {
		m := &result.Hosts[i]
		h.hosts[m.key()] = m
		if !m.covered() {
			h.blind[m.site()] = m.Blind
		}
	}
	for i := range result.VMs {
		h.vms[result.VMs[i].subjectID()] = &result.VMs[i]
	}
	return h
}

// holds says whether the result had no sight of what the finding is about, and
// the finding that says why where there is one.
func (h *holder) holds(f *Finding) (held bool, cause string) {
	host := h.hosts[f.Subject.Host]
	switch f.Subject.Type {
	case "vm":
		if vm := h.vms[f.Subject.ID]; vm != nil {
			for i := range vm.Comparisons {
				if vm.Comparisons[i].Path == f.Field {
					return vm.Comparisons[i].Class == Unknown, ""
				}
			}
			if len(vm.Uncovered) > 0 {
				return true, blindness(host)
			}
			if vm.Observed != nil && vm.Observed.Fresh {
				return false, ""
			}
		}
		if f.Subject.Host == "" {
			cause, dark := h.blind[f.Subject.Site]
			return dark, cause
		}
		return host != nil && !host.covered(), blindness(host)
	case "host", "runtime":
		return host != nil && host.Observed != nil && host.Observed.Stale && f.Kind != HostStale, blindness(host)
	}
	return false, ""
}

func blindness(host *HostMatch) string {
	if host == nil {
		return ""
	}
	return host.Blind
}
