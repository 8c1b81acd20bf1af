package replay

import (
	"maps"
	"slices"
	"time"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
)

// Recorded is what the reconciler told of findings in the time that is replayed: the
// measure that the policy of then is held to, and all that is left of when hosts
// were silent and of what stood at the beginning.
type Recorded struct {
	begin, until time.Time
	first        map[string]history.Event
	kept         map[string]reconcile.Finding
	told         map[telling][]time.Time
	silences     []silence
	unreplayed   map[reconcile.Kind]int
	times        []time.Time // of all of them, in order
}

// telling is one thing that was told of one finding.
type telling struct {
	id     string
	action reconcile.Change
}

// silence is a word on whether a host spoke, by what findings call it.
type silence struct {
	at     time.Time
	host   string
	silent bool
}

// NewRecorded makes one of the time from begin to until.
func NewRecorded(begin, until time.Time) *Recorded {
	return &Recorded{begin: begin, until: until, first: map[string]history.Event{}, kept: map[string]reconcile.Finding{},
		told: map[telling][]time.Time{}, unreplayed: map[reconcile.Kind]int{}}
}

// Event takes what was told next.
func (r *Recorded) Event(e history.Event) {
	f, action := &e.Finding, reconcile.Change(e.Action)
	if action != reconcile.Changed { // the step, and not when the stream took it
		e.At = f.Since
	}
	if !e.At.After(r.begin) || e.At.After(r.until) {
		return
	}
	r.times = append(r.times, e.At)
	if why(f.Kind) != "" {
		if action != reconcile.Changed {
			r.unreplayed[f.Kind]++
		}
		return
	}
	if _, has := r.first[f.ID]; !has {
		r.first[f.ID] = e
	}
	if action != reconcile.Changed {
		key := telling{f.ID, action}
		r.told[key] = append(r.told[key], e.At)
	}
	if f.Kind == reconcile.HostStale {
		r.silences = append(r.silences, silence{e.At, f.Subject.ID, action != reconcile.Closed})
	}
}

// Kept takes a finding as it is kept now.
func (r *Recorded) Kept(f reconcile.Finding) { r.kept[f.ID] = f }

// last is when the reconciler told anything last before a time; zero if it didn't.
func (r *Recorded) last(before time.Time) time.Time {
	i, _ := slices.BinarySearchFunc(r.times, before, time.Time.Compare)
	if i == 0 {
		return time.Time{}
	}
	return r.times[i-1]
}

// seed is a finding that there was at the beginning.
type seed struct {
	reconcile.Finding
	began time.Time // since when it was pending, which it was before it was open
	open  bool      // it was, or suppressed
}

// seeds are the findings as they stood at the beginning. What happened to a finding
// first says how it was before; of one to which nothing happened, how it is now.
func (r *Recorded) seeds(then *reconcile.Policy) []seed {
	var all []seed
	ids := maps.Clone(r.kept)
	for id, e := range r.first {
		ids[id] = e.Finding
	}
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		f := ids[id]
		if why(f.Kind) != "" || f.FirstSeen.After(r.begin) {
			continue
		}
		e, happened := r.first[id]
		s := seed{Finding: f}
		s.turnBack(e, happened, r.begin)
		if happened && e.Action == string(reconcile.Opened) {
			s.pend(e.At, grace(then, f.Kind), r.begin)
		}
		all = append(all, s)
	}
	return all
}

// pend says since when one was pending at a time that opened later, by its grace. It
// may have been out of sight meanwhile, or a task's.
func (s *seed) pend(opened time.Time, grace time.Duration, at time.Time) {
	switch since := opened.Add(-grace); {
	case since.Before(at):
		s.began = latest(s.began, since)
	case !s.began.Add(grace).After(at): // it would be open: since when it was pending isn't known
		s.began = at
	}
}

// turnBack makes of a finding what it was at a time before.
func (s *seed) turnBack(first history.Event, happened bool, at time.Time) {
	f := &s.Finding
	after := 0
	for _, back := range f.Returns {
		if back.After(at) {
			after++
		}
	}
	f.Returns = slices.Clone(f.Returns[:len(f.Returns)-after])
	f.Flaps = max(f.Flaps-after, 0)
	f.Acknowledged, f.Task, f.Gone = nil, nil, time.Time{}
	s.began = f.FirstSeen
	if n := len(f.Returns); n > 0 {
		s.began = f.Returns[n-1]
	}
	f.Suppression = nil
	opened := happened && first.Action == string(reconcile.Opened)
	if after > 0 && (opened || !happened) || !happened && f.State == reconcile.Resolved { // it was gone at the time
		f.State, f.Since = reconcile.Resolved, earlier(f.Since, at)
		return
	}
	// What was suppressed since, or is open again since, was so after its grace.
	s.open = happened && (first.Action == string(reconcile.Closed) || !opened && f.State == reconcile.Open) || !happened && f.State == reconcile.Open
	f.State = reconcile.Pending
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// under is the finding as it is taken up by a policy: open if it was for as long as
// the policy's grace by then. What was open by the policy of then still is.
func (s *seed) under(p *reconcile.Policy, at time.Time, ofThen bool) reconcile.Finding {
	f := s.Finding
	if f.State == reconcile.Resolved {
		return f
	}
	f.State, f.Since = reconcile.Pending, s.began
	switch opens := s.began.Add(grace(p, f.Kind)); {
	case ofThen && !s.open:
	case ofThen || !opens.After(at):
		f.State, f.Since = reconcile.Open, earlier(opens, at)
	}
	return f
}

// grace is for how long a kind's findings are pending.
func grace(p *reconcile.Policy, k reconcile.Kind) time.Duration {
	if d, set := p.Grace[k]; set {
		return d
	}
	return k.Info().Grace
}
