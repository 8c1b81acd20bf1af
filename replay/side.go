package replay

import (
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// side is what one of the policies says.
type side struct {
	engine  *engine.Engine
	policy  reconcile.Policy
	ofThen  bool // it follows the policy of then as that changes
	unknown map[Source]bool
	lives   map[string]*life
	hidden  map[string]bool // blindness that is the stream's and was not the host's
	used    map[string]*use // by suppression
	told    map[telling][]time.Time
}

// life is what a policy made of one finding in the replayed time.
type life struct {
	finding  reconcile.Finding // as it was when it was open last, without its evidence
	spans    []span
	resolved int
	flaps    int // of which since is what they were before
	since    int
	state    reconcile.State // last; "" where it went within its grace
	by       string          // the suppression that took it out last
}

// span is a time in which a finding was open.
type span struct {
	from, to time.Time // to is zero while it is
	standing bool      // it was open at the beginning
}

// use is which findings a suppression spoke of.
type use struct{ suppressed, lapsed map[string]bool }

func newSide(site string, p reconcile.Policy, ofThen bool, r *Replay) *side {
	p.Problems = nil
	s := &side{engine: engine.New(site, p), ofThen: ofThen, unknown: r.unknown,
		lives: map[string]*life{}, hidden: map[string]bool{}, used: map[string]*use{}, told: map[telling][]time.Time{}}
	s.follow(p)
	return s
}

// follow notes by which policy is judged from now on.
func (s *side) follow(p reconcile.Policy) {
	s.policy = p
	for i := range p.Suppressions {
		if id := p.Suppressions[i].ID; s.used[id] == nil {
			s.used[id] = &use{map[string]bool{}, map[string]bool{}}
		}
	}
}

func (s *side) judge(p reconcile.Policy) {
	p.Problems = nil
	s.follow(p)
	s.engine.Judge(p)
}

// begin judges how things stood, and takes as standing what the policy would have had
// by then: findings that the policy of then had, those of them that it has too, and
// those that no reconciler had, unless the policy of then would have just begun to
// see them.
func (s *side) begin(seeds []seed, seeded, justSeen map[string]bool, now time.Time) {
	restored := make([]reconcile.Finding, 0, len(seeds))
	for i := range seeds {
		if f := &seeds[i]; !f.Kind.OfPolicy() || s.ofThen {
			restored = append(restored, f.under(&s.policy, now, s.ofThen))
		}
	}
	s.engine.Restore(restored)
	s.engine.Step(now)
	if !s.ofThen {
		restored = restored[:0]
		for _, f := range s.engine.Findings() {
			if f.State == reconcile.Resolved && f.Since.Equal(now) {
				continue // it never was one by this policy
			}
			if f.State == reconcile.Pending && !seeded[f.ID] && !justSeen[f.ID] && !f.Kind.OfPolicy() {
				f.State = reconcile.Open
			}
			restored = append(restored, f)
		}
		s.engine.Restore(restored)
		s.engine.Step(now)
	}
	for _, f := range s.engine.Findings() {
		if l := s.note(&f); l != nil && f.State == reconcile.Open {
			l.spans = append(l.spans, span{from: f.Since, standing: true})
		}
	}
	for _, l := range s.lives {
		l.since = l.flaps
	}
}

// take notes what a step came to.
func (s *side) take(out engine.Outcome, now time.Time) {
	for i := range out.Events {
		e := &out.Events[i]
		l := s.note(&e.Finding)
		if l == nil {
			continue
		}
		switch {
		case e.Change == reconcile.Opened:
			l.spans = append(l.spans, span{from: now})
		case e.Change == reconcile.Closed || e.Finding.State == reconcile.Suppressed:
			l.close(now)
		}
		if e.Change == reconcile.Closed {
			l.resolved++
		}
		if e.Change != reconcile.Changed {
			key := telling{e.Finding.ID, e.Change}
			s.told[key] = append(s.told[key], now)
		}
	}
	for i := range out.Changed {
		f := &out.Changed[i]
		s.note(f)
		if f.State == reconcile.Resolved {
			delete(s.hidden, f.ID)
		}
	}
	for _, id := range out.Gone {
		delete(s.hidden, id)
		if l := s.lives[id]; l != nil && l.state == reconcile.Pending {
			l.state = ""
		}
	}
}

// note takes how a finding is now; nil is one that doesn't count.
func (s *side) note(f *reconcile.Finding) *life {
	if s.hides(f) {
		return nil
	}
	l := s.lives[f.ID]
	if l == nil {
		l = &life{}
		s.lives[f.ID] = l
	}
	if l.finding.ID == "" || f.State == reconcile.Open {
		l.finding = *f
		l.finding.Evidence, l.finding.Resolutions, l.finding.Returns = nil, nil, nil
	}
	l.state, l.flaps = f.State, max(f.Flaps, l.flaps)
	if by := f.Suppression; by != nil && s.used[by.ID] != nil {
		if by.Lapsed != "" {
			s.used[by.ID].lapsed[f.ID] = true
		} else {
			s.used[by.ID].suppressed[f.ID] = true
			l.by = by.ID
		}
	}
	return l
}

// hides says whether a finding is of what can't be replayed, or of what isn't known
// yet of a source.
func (s *side) hides(f *reconcile.Finding) bool {
	if why(f.Kind) != "" {
		return true
	}
	if f.Kind != reconcile.ObserveBlind {
		return false
	}
	if p := f.Provenance; p != nil && s.unknown[Source{p.Host, p.Collector}] {
		s.hidden[f.ID] = true
	}
	return s.hidden[f.ID]
}

func (l *life) close(at time.Time) {
	if n := len(l.spans); n > 0 && l.spans[n-1].to.IsZero() {
		l.spans[n-1].to = at
	}
}

// end notes how the findings stand at last.
func (s *side) end() *side {
	for _, f := range s.engine.Findings() {
		s.note(&f)
	}
	s.engine = nil
	return s
}
