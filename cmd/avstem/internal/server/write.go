package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

const (
	// writeWithin is how long one write may take.
	writeWithin = 5 * time.Second
	retryAfter  = time.Second
	// auditEvery is how often what the stream has is held against what was
	// written. Without anything amiss that is one question to the server.
	auditEvery = 15 * time.Second
)

// otherReconciler is logged where somebody writes a site's findings who doesn't
// ask for its lease.
const otherReconciler = "somebody else writes this site's findings without its lease, an older avstem perhaps: stop it, as each undoes the other's"

// write puts into the streams what the outbox has, until ctx ends.
func (s *Server) write(ctx context.Context) {
	audit := time.NewTicker(auditEvery)
	defer audit.Stop()
	said := ""
	for {
		var again <-chan time.Time
		if err := s.flush(ctx); ctx.Err() != nil {
			return
		} else if err != nil {
			if err.Error() != said {
				s.log.Warn("findings can't be written; trying again", "waiting", s.out.size(), "err", err)
				said = err.Error()
			}
			again = time.After(retryAfter)
		} else if said != "" {
			s.log.Info("findings are written again")
			said = ""
		}
		select {
		case <-ctx.Done():
			return
		case <-s.out.wake:
		case <-again:
			s.repair(ctx)
		case <-audit.C:
			s.audit(ctx)
		}
	}
}

// repair follows a write that failed: the streams may be gone, or others than
// before.
func (s *Server) repair(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := errors.Join(s.store.remake(within), s.store.raise(within)); err != nil {
		s.log.Debug("streams can't be made", "err", err)
		return
	}
	s.audit(ctx)
}

// flush writes everything once: first the findings, each with the names of the
// events that are to be told of it, and then those events. So what is told was
// written, and whoever leads next sees what was not told.
func (s *Server) flush(ctx context.Context) error {
	if lost := s.out.takeLost(); lost > 0 {
		s.pulse.dropped.Add(int64(lost))
		s.log.Error("drift events were dropped: there was no room for more", "events", lost, "limit", maxEvents)
	}
	err := s.flushOnce(ctx)
	if bus.IsFencedOff(err) { // marks go with age, or with what somebody purges
		if raised := s.raise(ctx); raised == nil {
			err = s.flushOnce(ctx)
		}
	}
	return err
}

func (s *Server) raise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return s.store.raise(ctx)
}

func (s *Server) flushOnce(ctx context.Context) error {
	last, err := s.flushStates(ctx)
	if err != nil {
		return err
	}
	written := s.store.written()
	if err := s.flushEvents(ctx, last); err != nil {
		return err
	}
	return s.store.keepTold(ctx, written, toldEvery)
}

// flushStates writes several findings at once. It gives up at the first that
// fails; what is left comes next time. Events up to the last may be told then.
func (s *Server) flushStates(ctx context.Context) (last uint64, err error) {
	states, events, last := s.out.takeStates()
	if len(states) == 0 {
		return last, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type item struct {
		id string
		f  *reconcile.Finding
	}
	items := make(chan item)
	left := map[string]*reconcile.Finding{}
	var mu sync.Mutex
	var tasks sync.WaitGroup
	for lane := range min(bus.FenceLanes, len(states)) {
		tasks.Go(func() {
			for it := range items {
				err := ctx.Err()
				if err == nil {
					err = s.writeState(ctx, lane, it.id, it.f, events[it.id])
				}
				if err != nil {
					cancel(err) // the first is the cause
					mu.Lock()
					left[it.id] = it.f
					mu.Unlock()
				}
			}
		})
	}
	for id, f := range states {
		items <- item{id, f}
	}
	close(items)
	tasks.Wait()
	if len(left) == 0 {
		return last, nil
	}
	s.out.putBack(left)
	return 0, context.Cause(ctx)
}

func (s *Server) writeState(ctx context.Context, lane int, id string, f *reconcile.Finding, events []string) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if f == nil {
		return s.store.remove(ctx, id)
	}
	err := s.store.put(ctx, lane, f, events)
	if s.passOver(err) {
		return nil
	}
	return err
}

// passOver says whether a write can never succeed, and reports that: it must not
// hold up what comes after it.
func (s *Server) passOver(err error) bool {
	if !errors.Is(err, nats.ErrMaxPayload) {
		return false
	}
	s.log.Error("a finding is larger than NATS takes, and is not written", "limit", s.o.Conn.NATS().MaxPayload(), "err", err)
	return true
}

// audit has findings written again that the stream lost, and those removed that
// nobody holds.
func (s *Server) audit(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	found, err := s.store.audit(ctx)
	if err != nil {
		s.log.Debug("findings can't be audited", "err", err)
		return
	}
	s.heardOf(found.other)
	if found.intact {
		return
	}
	again := map[string]*reconcile.Finding{}
	for _, f := range s.engine.Findings() {
		if !found.kept[f.ID] {
			again[f.ID] = &f
		}
		delete(found.kept, f.ID)
	}
	if s.store.otherSeen(time.Now()) == "" {
		for id := range found.kept {
			again[id] = nil
		}
	}
	if len(again) > 0 {
		s.log.Warn("findings are not as they were written: writing them again", "findings", len(again))
		s.out.putBack(again)
		s.out.signal()
	}
}

// heardOf reports another reconciler, once a minute.
func (s *Server) heardOf(other string) {
	if other != "" && s.store.noteOther(other, time.Now()) {
		s.log.Error(otherReconciler, "site", s.o.Site, "other", other)
	}
}
