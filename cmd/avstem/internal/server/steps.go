package server

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile/engine"
)

const (
	// settle is how long news may gather before a step: a host's documents come
	// one after the other.
	settle = 100 * time.Millisecond
	// restFactor keeps a large site's steps to a fifth of a core.
	restFactor = 4
	// askEvery is between two questions to one host for what did not arrive.
	askEvery = 10 * time.Second
)

// step judges after news and as time passes, until ctx ends.
func (s *Server) step(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	gather := time.NewTimer(time.Hour)
	gather.Stop()
	gathering := false
	var notBefore time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.news:
			if !gathering {
				gathering = true
				gather.Reset(max(settle, time.Until(notBefore)))
			}
			continue
		case <-gather.C:
			gathering = false
		case <-tick.C:
			s.watchHoles()
		}
		begin := time.Now() // UTC has no monotonic time, and a clock may be set back
		now := begin.UTC()
		s.checkHearing(now)
		if begin.Before(notBefore) || !s.engine.Due(now) {
			continue
		}
		s.take(s.engine.Step(now))
		took := time.Since(begin)
		notBefore = time.Now().Add(restFactor * took)
		s.pulse.step.Store(time.Now().UnixNano())
		if s.o.Stepped != nil {
			s.o.Stepped(took)
		}
	}
}

// take passes on what a step came to.
func (s *Server) take(out engine.Outcome) {
	s.out.add(out, s.o.Site)
	s.ledger.note(s.engine.Intended()) // one that was held back may be used now
	if out.Waiting != "" {
		if out.Waiting != s.waiting {
			s.log.Debug("not reconciling yet", "waiting", out.Waiting)
		}
		s.waiting = out.Waiting
		return
	}
	s.waiting = ""
	if counts := out.Status.Findings; counts != s.counts || !s.ready {
		s.counts = counts
		s.log.Info("findings", "open", counts.Open, "pending", counts.Pending, "resolved", counts.Resolved,
			"hosts", out.Status.Hosts, "vms", out.Status.VMs, "agreeing", out.Status.Agreeing)
	}
	s.ready = true
}

// watchHoles says once of each document that did not arrive, and asks its host
// for it.
func (s *Server) watchHoles() {
	holes := map[holeKey]bool{}
	now := time.Now().UTC()
	maps.DeleteFunc(s.asked, func(_ uuid.UUID, at time.Time) bool { return now.Sub(at) >= askEvery })
	for _, hole := range s.engine.Holes(now) {
		s.ask(hole, now)
		key := holeKey{hole.Host.String(), hole.Source}
		holes[key] = true
		if !s.holes[key] {
			s.log.Warn("a document has not arrived", "host", hole.Host, "source", hole.Source, "since", hole.Since,
				"saidEpoch", hole.Said.Epoch, "saidGen", hole.Said.Gen, "heldEpoch", hole.Held.Epoch, "heldGen", hole.Held.Gen, "problem", hole.Problem)
		}
	}
	s.holes = holes
}

// ask asks a host's agent for a document that it could publish, now and then.
func (s *Server) ask(hole engine.Hole, now time.Time) {
	if hole.Problem != "" || now.Sub(s.asked[hole.Host]) < askEvery {
		return
	}
	s.asked[hole.Host] = now
	if err := s.o.Conn.Ask(hole.Site, hole.Host); err != nil {
		s.log.Debug("a host can't be asked", "host", hole.Host, "err", err)
	}
}

type holeKey struct{ host, source string }
