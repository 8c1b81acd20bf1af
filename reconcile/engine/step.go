package engine

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// lastSeenStep is how far the kept LastSeen of a finding may lag behind: it
// moves with each step, and is no reason to write the finding each time.
const lastSeenStep = 5 * time.Minute

// Outcome is what a step came to.
type Outcome struct {
	// Waiting says why nothing was judged; "" if it was.
	Waiting string
	// Changed are the findings to be stored, Gone the IDs of those to be removed.
	Changed []reconcile.Finding
	Gone    []string
	Events  []reconcile.Event
	Status  Status
}

// Due says whether a step would come to something else than the last one: there
// is news, or enough time has passed.
func (e *Engine) Due(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dirty || (!e.deadline.IsZero() && !now.Before(e.deadline)) {
		return true
	}
	due := e.book.Due()
	return e.stepped && (!due.IsZero() && !now.Before(due) || e.hearsNews(now))
}

// Step judges what has changed since the last one, or does by the time alone. What
// it returns is told once: the caller keeps it until it is stored.
func (e *Engine) Step(now time.Time) Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if why := e.waiting(now); why != "" {
		e.deadline = now.Add(time.Second)
		e.dirty = false
		return Outcome{Waiting: why, Status: e.status(now, why)}
	}
	e.dirty = false
	e.tell(now)
	changed := e.book.Settle(now)
	s := &step{lives: e.lives, life: e.book.Life(), now: now, before: e.at,
		look: e.look, await: e.book.Await, forget: e.book.Forget}
	out := Outcome{Events: e.told}
	e.told = nil
	events, store, gone := s.advance(changed, &e.policy)
	out.Events, out.Changed, out.Gone = append(out.Events, events...), store, gone
	e.settleTasks()
	e.at, e.stepped = now, true
	e.sweep(now)
	e.deadline = e.nextDeadline(now)
	out.Status = e.status(now, "")
	return out
}

// Stand keeps both books as current as a step does, for who doesn't lead: whoever
// takes over judges only what has changed since, and hosts that are in nobody's book
// are dropped here too. Findings have no life meanwhile: [Engine.Restore] begins it.
func (e *Engine) Stand(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dirty = false
	e.deadline = now.Add(time.Second)
	if e.waiting(now) != "" {
		return
	}
	e.tell(now)
	e.book.Settle(now)
	e.settleTasks()
	e.at = now
	e.sweep(now)
	if due := e.book.Due(); !due.IsZero() && due.Before(e.sweepAt) {
		e.deadline = due
	} else {
		e.deadline = e.sweepAt
	}
}

// tell tells the book what it doesn't know yet.
func (e *Engine) tell(now time.Time) {
	e.book.Intend(e.present())
	e.hearing(now)
	if e.refusals {
		e.refusals = false
		var all []reconcile.Refusal
		for _, key := range slices.SortedFunc(maps.Keys(e.refused), refusalKey.compare) {
			all = append(all, e.refused[key])
		}
		e.book.Refuse(append(all, e.withheld()...))
	}
	speakers := map[uuid.UUID][]reconcile.Speaker{}
	for id := range e.crowded {
		h := e.hosts[id]
		if h == nil || len(h.speakers) < 2 {
			delete(e.crowded, id)
		} else if several := h.several(); len(several) > 0 {
			speakers[id] = several
		}
	}
	e.book.Speak(speakers)
	e.book.Follow(e.tasks)
}

// settleTasks notes which tasks the runtime was seen to agree with.
func (e *Engine) settleTasks() {
	agreed := e.book.Agreed()
	if len(agreed) == 0 {
		return
	}
	before := e.tasks
	e.tasks = reconcile.SettleTasks(before, agreed)
	for i := range before { // findings say so too, of whatever unit
		if before[i].Settled != e.tasks[i].Settled {
			e.lives.touchVM(before[i].VM)
		}
	}
}

// look gives a finding as comparing gives it, but for what was known better before.
func (e *Engine) look(id string, was *reconcile.Finding) (reconcile.Finding, bool) {
	f, found := e.book.Finding(id)
	if found && f.Kind == reconcile.HostStale && was != nil && was.State != reconcile.Resolved && e.unheardOf(f.Subject.ID) {
		// Since when it is silent was known better before the restart.
		f.Message, f.Evidence = was.Message, was.Evidence
	}
	return f, found
}

// unheardOf says whether a host, by Sentral's key, never spoke since the start.
func (e *Engine) unheardOf(id string) bool {
	m := e.book.Host(id)
	if m == nil || m.Intended == nil || m.Observed == nil {
		return false
	}
	h := e.hosts[m.Observed.ID]
	return h != nil && h.heard.IsZero()
}

// waiting says what must come before anything can be judged.
func (e *Engine) waiting(now time.Time) string {
	switch {
	case !e.delivered:
		return "the hosts' last documents are being read"
	case e.intended == nil && len(e.unread) > 0:
		return "the inventory can't be read: " + e.unread[0].String()
	case e.intended == nil:
		return "the inventory is being read"
	case e.listening.IsZero():
		return "NATS is away"
	}
	left := e.policy.StaleAfter - now.Sub(e.listening)
	if e.bare && !e.stepped && left >= 0 {
		return fmt.Sprintf("the hosts' last documents are lost; hosts are asked for them, and waited for %s more", left.Round(time.Second))
	}
	if n := e.unheard(now); n > 0 {
		return fmt.Sprintf("hosts not heard again yet: %d of %d; they are waited for %s more", n, len(e.hosts), max(left, 0).Round(time.Second))
	}
	return ""
}

// sweep drops hosts that are in nobody's book, and old refusals. It looks at the
// hosts once an hour, or when the inventory has changed.
func (e *Engine) sweep(now time.Time) {
	for key, r := range e.refused {
		if now.Sub(r.At) > e.policy.DocumentAge {
			delete(e.refused, key)
			e.refusals, e.dirty = true, true
		}
	}
	if now.Before(e.sweepAt) {
		return
	}
	e.sweepAt = now.Add(time.Hour)
	for id, h := range e.hosts {
		if e.book.Recorded(id) {
			continue
		}
		if forget := e.lastHeard(h).Add(ForgetAfter + past); now.Before(forget) {
			if forget.Before(e.sweepAt) {
				e.sweepAt = forget
			}
			continue
		}
		e.forgetHost(id)
		e.refusals, e.dirty = true, true
	}
}

// past makes a limit one that is passed: too old is older than the limit, not as
// old.
const past = time.Nanosecond

// nextDeadline is when time alone changes something besides what the book says of
// hosts: the life of a finding, or a refusal that becomes too old.
func (e *Engine) nextDeadline(now time.Time) time.Time {
	next := e.sweepAt
	by := func(t time.Time) {
		if t.After(now) && t.Before(next) {
			next = t
		}
	}
	if len(e.lives.due) > 0 {
		by(e.lives.due[0].at)
	}
	for _, r := range e.refused {
		by(r.At.Add(e.policy.DocumentAge + past))
	}
	for i := range e.policy.Suppressions {
		by(e.policy.Suppressions[i].Expires)
	}
	return next
}
