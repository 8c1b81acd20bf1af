package engine

import (
	"fmt"
	"maps"
	"reflect"
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
	for id, h := range e.hosts {
		if len(h.docs) > 0 && h.stale != e.silent(h, now) || !h.stale && h.hearsNews(id, &e.policy, now) {
			return true
		}
	}
	return false
}

// Step judges both books as they are. What it returns is told once: the caller
// keeps it until it is stored.
func (e *Engine) Step(now time.Time) Outcome {
	e.mu.Lock()
	defer e.mu.Unlock()
	if why := e.waiting(now); why != "" {
		e.deadline = now.Add(time.Second)
		e.dirty = false
		return Outcome{Waiting: why, Status: e.status(now)}
	}
	e.dirty = false
	e.result = reconcile.Reconcile(e.input(now))
	e.localize(e.result)
	e.at = now
	e.tasks = reconcile.SettleTasks(e.tasks, e.result)
	previous := e.findings
	var events []reconcile.Event
	e.findings, events = reconcile.Advance(previous, e.result, e.policy, now)
	out := Outcome{Events: append(e.told, events...)}
	e.told = nil
	out.Changed, out.Gone = e.diff()
	e.settle(now)
	e.deadline = e.nextDeadline(now)
	out.Status = e.status(now)
	return out
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
	if e.bare && e.result == nil && left >= 0 {
		return fmt.Sprintf("the hosts' last documents are lost; hosts are asked for them, and waited for %s more", left.Round(time.Second))
	}
	if n := e.unheard(now); n > 0 {
		return fmt.Sprintf("%d of %d hosts have not spoken again yet, and are waited for %s more", n, len(e.hosts), max(left, 0).Round(time.Second))
	}
	return ""
}

func (e *Engine) input(now time.Time) reconcile.Input {
	in := reconcile.Input{
		Intended: e.present(now),
		Observed: e.documents(),
		Heard:    make(map[uuid.UUID]time.Time, len(e.hosts)),
		Tasks:    e.tasks,
		Policy:   e.policy,
		Now:      now,
	}
	for id, h := range e.hosts {
		in.Heard[id] = e.lastHeard(h)
		if several := h.several(); len(several) > 0 {
			if in.Speakers == nil {
				in.Speakers = map[uuid.UUID][]reconcile.Speaker{}
			}
			in.Speakers[id] = several
		}
	}
	e.hearing(&in, now)
	for _, key := range slices.SortedFunc(maps.Keys(e.refused), refusalKey.compare) {
		in.Refused = append(in.Refused, e.refused[key])
	}
	in.Refused = append(in.Refused, e.withheld()...)
	return in
}

// localize takes out of a result what this engine can't know better than the
// core could say.
func (e *Engine) localize(result *reconcile.Result) {
	was := make(map[string]*reconcile.Finding)
	for i := range e.findings {
		if f := &e.findings[i]; f.Kind == reconcile.HostStale && f.State != reconcile.Resolved {
			was[f.ID] = f
		}
	}
	unheard := map[string]bool{} // Sentral's keys of hosts that never spoke since the start
	for i := range result.Hosts {
		m := &result.Hosts[i]
		if m.Intended != nil && m.Observed != nil && e.hosts[m.Observed.ID].heard.IsZero() {
			unheard[m.Intended.ID] = true
		}
	}
	result.Findings = slices.DeleteFunc(result.Findings, func(f reconcile.Finding) bool {
		// Hosts of other sites report to the reconcilers there.
		return f.Kind == reconcile.HostMissing && f.Subject.Site != e.site
	})
	for i := range result.Findings {
		f := &result.Findings[i]
		if known := was[f.ID]; known != nil && unheard[f.Subject.ID] {
			// Since when it is silent was known better before the restart.
			f.Message, f.Evidence = known.Message, known.Evidence
		}
	}
}

// diff gives what differs from what the caller was given before.
func (e *Engine) diff() (changed []reconcile.Finding, gone []string) {
	stored := make(map[string]*reconcile.Finding, len(e.findings))
	for i := range e.findings {
		f := &e.findings[i]
		was := e.stored[f.ID]
		if was != nil && sameFinding(f, was) {
			stored[f.ID] = was
			continue
		}
		// A copy: a pointer into the list would keep all of that list.
		kept := *f
		changed = append(changed, kept)
		stored[f.ID] = &kept
	}
	for id := range e.stored {
		if stored[id] == nil {
			gone = append(gone, id)
		}
	}
	slices.Sort(gone)
	e.stored = stored
	return changed, gone
}

// sameFinding says that a finding need not be stored again: nothing about it
// differs but when it was seen last, and that not by much.
func sameFinding(f, was *reconcile.Finding) bool {
	if f.LastSeen.Sub(was.LastSeen) >= lastSeenStep {
		return false
	}
	a, b := *f, *was
	a.LastSeen, b.LastSeen = time.Time{}, time.Time{}
	if a.Provenance != nil && b.Provenance != nil {
		seenAt := *a.Provenance
		seenAt.ObservedAt = b.Provenance.ObservedAt
		a.Provenance = &seenAt
	}
	return reflect.DeepEqual(a, b)
}

// settle notes what the step came to for each host, and drops hosts that are
// in nobody's book.
func (e *Engine) settle(now time.Time) {
	for _, h := range e.hosts {
		h.stale, h.settled = e.silent(h, now), false
	}
	for i := range e.result.Hosts {
		m := &e.result.Hosts[i]
		if m.Intended == nil || m.Observed == nil {
			continue
		}
		for _, id := range append([]uuid.UUID{m.Observed.ID}, m.Former...) {
			if h := e.hosts[id]; h != nil {
				h.settled = true
			}
		}
	}
	before := len(e.hosts) + len(e.refused)
	e.forget(now)
	e.dirty = e.dirty || len(e.hosts)+len(e.refused) != before
}

// nextDeadline is when time alone changes something: a grace or a keeping ends,
// a document or refusal becomes too old, a kept LastSeen lags too far behind.
// That a host falls silent is not in it, as each heartbeat puts that off.
func (e *Engine) nextDeadline(now time.Time) time.Time {
	var next time.Time
	by := func(t time.Time) {
		if t.After(now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	life := reconcile.NewLife(&e.policy, e.tasks, nil, now)
	for i := range e.findings {
		f := &e.findings[i]
		by(life.Due(f))
		if was := e.stored[f.ID]; was != nil && f.State != reconcile.Resolved {
			by(was.LastSeen.Add(lastSeenStep))
		}
	}
	// A document is too old when it is older than the limit, not when it is as old.
	const past = time.Nanosecond
	for _, h := range e.hosts {
		for _, doc := range h.docs {
			by(doc.Received.Add(e.policy.DocumentAge + past))
		}
		if !h.settled {
			by(e.lastHeard(h).Add(ForgetAfter + past))
		}
	}
	for _, r := range e.refused {
		by(r.At.Add(e.policy.DocumentAge + past))
	}
	if !e.staleAt.IsZero() {
		by(e.staleAt.Add(e.policy.InventoryAge))
	}
	for i := range e.policy.Suppressions {
		by(e.policy.Suppressions[i].Expires)
	}
	return next
}
