package engine

import (
	"container/heap"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// lives are the findings with their life, and what must be known to move on only
// those of which something has changed: what [reconcile.Advance] does to all of
// them comes to the same.
type lives struct {
	all map[string]*living
	// about are the findings about each VM, by its ID in lower case, and followers
	// those that follow from another one.
	about, followers map[string]map[string]bool
	covered          map[string]int // how many findings each suppression speaks of
	due              timers
	// dirty are those to be looked at in the next step, and whole says all of them.
	dirty map[string]bool
	whole bool
	told  map[string]bool // what was said of the policy itself

	counts Counts
	// active are a VM's findings that are pending or open, by its ID, and differing
	// the IDs of those with some that are on both sides.
	active    map[string]int
	differing map[string]bool
	stirred   map[string]bool // of which that may have changed in this step
}

// living is one finding.
type living struct {
	reconcile.Finding
	found  bool               // comparing gives it: it was seen at the last step
	cause  string             // what it follows from, whether that stands or not
	due    time.Time          // when it is to be looked at whatever happens; zero is never
	stored *reconcile.Finding // as the caller was last given it
}

func newLives(findings []reconcile.Finding) *lives {
	l := &lives{
		all: make(map[string]*living, len(findings)), about: map[string]map[string]bool{}, followers: map[string]map[string]bool{},
		covered: map[string]int{}, dirty: map[string]bool{}, active: map[string]int{}, differing: map[string]bool{}, stirred: map[string]bool{}, told: map[string]bool{}, whole: true,
	}
	for _, f := range findings {
		if f.Kind.OfPolicy() {
			l.told[f.ID] = true
		}
		l.set(&living{Finding: f, cause: f.CausedBy, stored: &f})
	}
	return l
}

// set puts a finding in, in place of the one with its ID.
func (l *lives) set(n *living) {
	if was := l.all[n.ID]; was != nil {
		l.uncount(was)
	}
	l.all[n.ID] = n
	l.count(n)
}

func (l *lives) drop(id string) {
	l.uncount(l.all[id])
	delete(l.all, id)
}

func (l *lives) count(n *living) {
	l.tally(n, 1)
	if n.cause != "" {
		put(l.followers, n.cause, n.ID)
	}
	if n.Subject.Type == "vm" {
		put(l.about, strings.ToLower(n.Subject.ID), n.ID)
	}
}

func (l *lives) uncount(n *living) {
	l.tally(n, -1)
	take(l.followers, n.cause, n.ID)
	if n.Subject.Type == "vm" {
		take(l.about, strings.ToLower(n.Subject.ID), n.ID)
	}
}

func (l *lives) tally(n *living, by int) {
	switch n.State {
	case reconcile.Open:
		l.counts.Open += by
	case reconcile.Pending:
		l.counts.Pending += by
	case reconcile.Resolved:
		l.counts.Resolved += by
		return
	}
	if n.Suppression != nil && !n.Kind.OfPolicy() {
		if l.covered[n.Suppression.ID] += by; l.covered[n.Suppression.ID] == 0 {
			delete(l.covered, n.Suppression.ID)
		}
	}
	if n.Subject.Type == "vm" {
		l.stirred[n.Subject.ID] = true
		if l.active[n.Subject.ID] += by; l.active[n.Subject.ID] == 0 {
			delete(l.active, n.Subject.ID)
		}
	}
}

// differ counts the VMs that are on both sides and have findings.
func (l *lives) differ(rematched iter.Seq[string], matched func(id string) bool) int {
	look := func(id string) {
		if l.active[id] > 0 && matched(id) {
			l.differing[id] = true
		} else {
			delete(l.differing, id)
		}
	}
	for id := range rematched {
		look(id)
	}
	for id := range l.stirred {
		look(id)
	}
	clear(l.stirred)
	return len(l.differing)
}

func put(in map[string]map[string]bool, key, id string) {
	if in[key] == nil {
		in[key] = map[string]bool{}
	}
	in[key][id] = true
}

func take(in map[string]map[string]bool, key, id string) {
	if delete(in[key], id); len(in[key]) == 0 {
		delete(in, key)
	}
}

// touchVM has the findings about a VM looked at in the next step.
func (l *lives) touchVM(id string) {
	for id := range l.about[strings.ToLower(id)] {
		l.dirty[id] = true
	}
}

// list gives them all, sorted, as they were at a step.
func (l *lives) list(at time.Time) []reconcile.Finding {
	all := make([]reconcile.Finding, 0, len(l.all))
	for _, n := range l.all {
		all = append(all, n.at(at))
	}
	reconcile.SortFindings(all)
	return all
}

// at is the finding as of a step: one that is found was seen then.
func (n *living) at(step time.Time) reconcile.Finding {
	f := n.Finding
	if n.found {
		f.LastSeen = step
	}
	return f
}

// step is one step of the findings.
type step struct {
	*lives
	life   *reconcile.Life
	now    time.Time
	before time.Time // of the last step
	look   func(id string, was *reconcile.Finding) (reconcile.Finding, bool)
	await  func(*reconcile.Finding)
	forget func(id string)

	moved  map[string]bool // looked at
	flips  []string        // came or went
	events []reconcile.Event
	gone   []string
}

// advance moves on the findings that changed, with those of which the time has
// come, and gives the events, the findings to be stored and the IDs of those to be
// removed.
func (s *step) advance(changed []string, policy *reconcile.Policy) (events []reconcile.Event, store []reconcile.Finding, gone []string) {
	s.moved = map[string]bool{}
	for _, id := range s.next(changed) {
		if was := s.all[id]; was == nil || !was.Kind.OfPolicy() {
			f, found := s.look(id, was.finding(s.before))
			s.move(id, &f, found)
		}
	}
	s.ofPolicy(policy)
	s.settleCauses()
	for id := range s.moved {
		if n := s.all[id]; n != nil {
			s.schedule(n)
			if n.stored == nil || !sameFinding(&n.Finding, n.stored) {
				kept := n.Finding
				n.stored = &kept
				store = append(store, kept)
				s.schedule(n)
			}
		}
	}
	reconcile.SortFindings(store)
	slices.SortFunc(s.events, func(a, b reconcile.Event) int { return reconcile.CompareFindings(&a.Finding, &b.Finding) })
	slices.Sort(s.gone)
	return s.events, store, s.gone
}

// next gives the IDs of those that are to be looked at.
func (s *step) next(changed []string) []string {
	ids := s.dirty
	for _, id := range changed {
		ids[id] = true
	}
	for len(s.due) > 0 && !s.due[0].at.After(s.now) {
		t := heap.Pop(&s.due).(timer)
		if n := s.all[t.id]; n != nil && n.due.Equal(t.at) {
			n.due = time.Time{}
			ids[t.id] = true
		}
	}
	if s.whole {
		for id := range s.all {
			ids[id] = true
		}
	}
	s.dirty, s.whole = map[string]bool{}, false
	return slices.Sorted(maps.Keys(ids))
}

// finding is what a step begins with; nil where there is none.
func (n *living) finding(before time.Time) *reconcile.Finding {
	if n == nil {
		return nil
	}
	f := n.at(before)
	return &f
}

// move moves one on.
func (s *step) move(id string, f *reconcile.Finding, found bool) {
	was := s.all[id]
	if was == nil && !found {
		return
	}
	s.moved[id] = true
	if !found {
		f = nil
	}
	next, keep, change := s.life.Step(was.finding(s.before), f)
	if change != "" {
		s.events = append(s.events, reconcile.Event{Change: change, Finding: next})
	}
	if was == nil || !keep {
		s.flips = append(s.flips, id)
	}
	s.forget(id)
	if !keep {
		if was == nil {
			return
		}
		if was.stored != nil {
			s.gone = append(s.gone, id)
		}
		s.drop(id)
		return
	}
	n := &living{Finding: next, found: found, cause: next.CausedBy}
	if was != nil {
		n.stored, n.due = was.stored, was.due
	}
	s.set(n)
	if !found && next.State != reconcile.Resolved {
		s.await(&next)
	}
}

// ofPolicy moves on what is to be said of the policy itself.
func (s *step) ofPolicy(policy *reconcile.Policy) {
	told := map[string]bool{}
	for _, f := range policy.Findings(s.covered, s.now) {
		told[f.ID] = true
		s.move(f.ID, &f, true)
		s.told[f.ID] = true
	}
	for id := range s.told {
		if !told[id] {
			s.move(id, nil, false)
		}
		if s.all[id] == nil {
			delete(s.told, id)
		}
	}
}

// settleCauses takes out causes that are not among the findings: of what comparing
// gives until they are, of the others for good.
func (s *step) settleCauses() {
	again := map[string]bool{}
	for _, cause := range s.flips {
		maps.Copy(again, s.followers[cause])
	}
	maps.Copy(again, s.moved)
	for id := range again {
		n := s.all[id]
		if n == nil {
			continue
		}
		cause := n.cause
		if s.all[cause] == nil {
			cause = ""
		}
		if cause == n.CausedBy && (n.found || cause == n.cause) {
			continue
		}
		next := *n
		next.CausedBy = cause
		if !n.found {
			next.cause = cause
		}
		s.set(&next)
		s.moved[id] = true
	}
	for i := range s.events {
		if f := &s.events[i].Finding; s.all[f.CausedBy] == nil {
			f.CausedBy = ""
		}
	}
}

// schedule notes when the finding is to be looked at whatever happens.
func (s *step) schedule(n *living) {
	due := s.life.Due(&n.Finding)
	if n.found && n.stored != nil && n.State != reconcile.Resolved {
		if again := n.stored.LastSeen.Add(lastSeenStep); again.After(s.now) && (due.IsZero() || again.Before(due)) {
			due = again
		}
	}
	if !due.Equal(n.due) {
		if n.due = due; !due.IsZero() {
			heap.Push(&s.due, timer{due, n.ID})
		}
	}
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

// timers are a heap of times at which to look at findings.
type timers []timer

type timer struct {
	at time.Time
	id string
}

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}
