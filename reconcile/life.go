package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Life gives findings theirs, one at a time: what becomes of one depends on
// itself, on policy, on Maskin's tasks, and on what could be seen, and on no other
// finding. It reads and never writes what it is given.
type Life struct {
	policy *Policy
	tasks  tasks
	now    time.Time
	holds  func(*Finding) (held bool, cause string)
}

// NewLife makes the life of the findings of one moment. Holds says whether what a
// finding is about can't be judged then, and the finding that says why.
func NewLife(policy *Policy, all []Task, holds func(*Finding) (held bool, cause string), now time.Time) *Life {
	return &Life{policy: policy, tasks: indexTasks(all), now: now, holds: holds}
}

// Step says what a finding is now. Was is the finding before, nil if there was
// none; found is what comparing gave, nil if nothing. Change is "" where a reader
// of events would not want to hear of it; without keep, the finding is forgotten.
func (l *Life) Step(was, found *Finding) (next Finding, keep bool, change Change) {
	if found == nil {
		return l.fade(*was)
	}
	f := l.carry(*found, was)
	news := l.expire(&f)
	f.Suppression = l.suppression(&f, was)
	switch f.State {
	case Suppressed:
		if f.suppressed() {
			return f, true, ""
		}
		if was.suppressed() { // what it is now, nobody has accepted
			f.Since = l.now
		}
		if l.graced(&f) {
			f.State, f.Since, change = Open, l.now, Opened
		}
	case Pending:
		if !l.graced(&f) {
			return f, true, ""
		}
		f.State, f.Since, change = Open, l.now, Opened
		if f.suppressed() {
			f.State, change = Suppressed, Changed
		}
	case Open:
		if f.suppressed() {
			f.State, f.Since = Suppressed, l.now
			change = Changed
		} else if news || l.changed(&f, was) {
			change = Changed
		}
	}
	return f, true, change
}

// suppression is what policy says of the finding. Until one that was suppressed is
// open again, it says why it was, although the entry be gone.
func (l *Life) suppression(f, was *Finding) *Suppressing {
	s := l.policy.suppression(f, l.now)
	if s != nil || was == nil || was.Suppression == nil || was.State != Suppressed {
		return s
	}
	gone := *was.Suppression
	gone.Lapsed = "it was taken out of the policy"
	return &gone
}

func (f *Finding) suppressed() bool { return f.Suppression != nil && f.Suppression.Lapsed == "" }

// carry takes over from the finding's earlier life what it keeps.
func (l *Life) carry(f Finding, was *Finding) Finding {
	f.LastSeen = l.now
	if was == nil {
		f.State, f.FirstSeen, f.Since = Pending, l.now, l.now
		return f
	}
	f.State, f.FirstSeen, f.Since, f.Flaps = was.State, was.FirstSeen, was.Since, was.Flaps
	f.Returns, f.Acknowledged = was.Returns, was.Acknowledged
	switch {
	case was.State == Resolved:
		f.State, f.Since = Pending, l.now
		l.returned(&f)
	case was.State == Pending && was.Verdict == Undecided:
		// It was out of sight. What a reboot does by itself may be under way still.
		f.Since = l.now
	case !was.Gone.IsZero(): // it flapped, and flaps again
		l.returned(&f)
	}
	if l.flaps(&f) {
		f.Message += " (it comes and goes)"
		f.Evidence = append(slices.Clone(f.Evidence), fmt.Sprintf("it came back %d times within %s: it stays open until it was gone for %s",
			l.policy.Flapping.Times, l.policy.Flapping.Within, l.policy.Flapping.Calm))
	}
	return f
}

// returned notes that the finding came back.
func (l *Life) returned(f *Finding) {
	f.Flaps++
	f.Returns = append(slices.Clone(f.Returns), l.now)
	if over := len(f.Returns) - max(l.policy.Flapping.Times, 1); over > 0 {
		f.Returns = f.Returns[over:]
	}
}

// flaps says whether it came back so often of late that it stays open.
func (l *Life) flaps(f *Finding) bool {
	n := l.policy.Flapping.Times
	return n > 0 && len(f.Returns) >= n && l.now.Sub(f.Returns[len(f.Returns)-n]) <= l.policy.Flapping.Within
}

// expire ends an acknowledgement that is past its time, and says whether it did.
func (l *Life) expire(f *Finding) (news bool) {
	if f.Acknowledged == nil || l.now.Before(f.Acknowledged.Until) {
		return false
	}
	f.Acknowledged = nil
	return true
}

// graced says whether the finding has been there for long enough, and no task of
// Maskin's explains it.
func (l *Life) graced(f *Finding) bool {
	return !l.opens(f).After(l.now)
}

// never is later than all that can be waited for.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// opens is when a pending finding's grace is over; never while a task runs.
func (l *Life) opens(f *Finding) time.Time {
	grace := l.policy.grace(f.Kind)
	at := f.Since.Add(grace)
	if f.Kind == VMTask {
		return at
	}
	f.Task = nil
	by, over := l.tasks.shield(f, l.now)
	if by == nil {
		return at
	}
	if over.IsZero() {
		f.Task = by
		return never
	}
	if after := over.Add(max(grace, l.policy.TaskGrace)); after.After(at) {
		at = after
		if at.After(l.now) {
			f.Task = by
		}
	}
	return at
}

// changed says whether a reader would want to hear of it again. That it is seen
// again after a time out of sight is no news, as losing sight of it was none; nor
// is what one that flaps does.
func (l *Life) changed(f, was *Finding) bool {
	if f.Severity != was.Severity {
		return true
	}
	if l.flaps(f) {
		return false
	}
	return f.Message != was.Message || (f.Verdict != was.Verdict && was.Verdict != Undecided)
}

// fade is what becomes of a finding that comparing doesn't give any more.
func (l *Life) fade(f Finding) (next Finding, keep bool, change Change) {
	if f.State == Resolved {
		return f, l.now.Sub(f.Since) < l.policy.KeepResolved, ""
	}
	if l.expire(&f) && f.State == Open {
		change = Changed
	}
	if hold, cause := l.holds(&f); hold {
		f.Verdict = Undecided
		if cause != "" {
			f.CausedBy = cause
		}
		return f, true, cmp.Or(l.follow(&f), change)
	}
	if f.State == Pending && f.Flaps == 0 { // it never was a finding
		return f, false, ""
	}
	wasPending := f.State == Pending
	if wasPending { // it was one, and didn't come back for long enough to be one again
		f.Flaps--
		f.Returns = f.Returns[:max(len(f.Returns)-1, 0)]
	} else if l.flaps(&f) || !f.Gone.IsZero() {
		if f.Gone.IsZero() {
			f.Gone = l.now
		}
		if l.now.Sub(f.Gone) < l.policy.Flapping.Calm {
			return f, true, cmp.Or(l.follow(&f), change)
		}
	}
	if f.Verdict == Undecided { // what hid it is over, and so is it
		f.Verdict, f.CausedBy = Confirmed, ""
	}
	f.State, f.Since, f.Gone, f.Task = Resolved, l.now, time.Time{}, nil
	if wasPending {
		return f, true, ""
	}
	return f, true, Closed
}

// follow does what policy says of a finding that stands although it isn't found.
func (l *Life) follow(f *Finding) (change Change) {
	was := *f
	f.Suppression = l.suppression(f, &was)
	switch {
	case f.State == Suppressed && !f.suppressed():
		f.State, f.Since, change = Open, l.now, Opened
	case f.State == Open && f.suppressed():
		f.State, f.Since, change = Suppressed, l.now, Changed
	}
	return change
}

// Due is when time alone makes something else of a finding; zero if never. It is
// to be asked of what Step gave.
func (l *Life) Due(f *Finding) time.Time {
	var due time.Time
	by := func(t time.Time) {
		if t.After(l.now) && t.Before(never) && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if f.State == Resolved {
		by(f.Since.Add(l.policy.KeepResolved))
		return due
	}
	if f.State == Pending || (f.State == Suppressed && !f.suppressed()) {
		waiting := *f
		if at := l.opens(&waiting); at.Before(never) {
			by(at)
		} else {
			by(waiting.Task.expected())
		}
	}
	if f.Acknowledged != nil {
		by(f.Acknowledged.Until)
	}
	if f.suppressed() {
		by(f.Suppression.Expires)
	}
	if !f.Gone.IsZero() {
		by(f.Gone.Add(l.policy.Flapping.Calm))
	} else if n := l.policy.Flapping.Times; l.flaps(f) {
		by(f.Returns[len(f.Returns)-n].Add(l.policy.Flapping.Within + time.Nanosecond))
	}
	return due
}
