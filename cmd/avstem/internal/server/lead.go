package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

const (
	// drainWithin is how long the last writes may take when it ends.
	drainWithin = 3 * time.Second
	// againAfter is the pause after a turn that could not begin.
	againAfter = time.Second
	// standEvery is how often one that stands by keeps its books.
	standEvery = time.Second
)

// takeTurns waits for the site's lease, leads while it has it, and waits again,
// until ctx ends. An error means that the connection was closed for good.
func (s *Server) takeTurns(ctx context.Context) error {
	for {
		stopStanding := s.beginStanding(ctx)
		lease, err := s.o.Conn.AwaitLease(ctx, s.o.Site, s.store.self, func(holder string) {
			s.log.Info("standing by: another reconciler has this site, and this one takes over when it ends", "site", s.o.Site, "other", holder)
		})
		if ctx.Err() != nil {
			stopStanding()
			return nil
		}
		if err != nil {
			stopStanding()
			return err
		}
		err = s.lead(ctx, lease, stopStanding)
		if ctx.Err() != nil {
			return nil
		}
		if _, lost := errors.AsType[*bus.LostLeaseError](err); lost {
			s.log.Warn("another reconciler took over: this one stands by", "site", s.o.Site, "err", err)
			continue
		}
		s.log.Warn("the reconciler can't begin; trying again", "site", s.o.Site, "err", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(againAfter):
		}
	}
}

// beginStanding keeps both books current until the function that it gives is called,
// which waits for the last look.
func (s *Server) beginStanding(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var standing sync.WaitGroup
	standing.Go(func() { s.stand(ctx) })
	return func() {
		cancel()
		standing.Wait()
	}
}

// stand keeps both books current while another reconciler leads, until ctx ends.
func (s *Server) stand(ctx context.Context) {
	tick := time.NewTicker(standEvery)
	defer tick.Stop()
	var notBefore time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		begin := time.Now() // UTC has no monotonic time, and a clock may be set back
		if begin.Before(notBefore) {
			continue
		}
		if err := s.learn(ctx); err != nil {
			s.log.Debug("what the other reconciler uses can't be read", "err", err)
		}
		now := begin.UTC()
		s.checkHearing(now)
		if s.engine.Due(now) {
			s.engine.Stand(now)
		}
		notBefore = time.Now().Add(restFactor * time.Since(begin))
	}
}

// lead reconciles while it has the lease, which it gives back when ctx ends. It keeps
// the lease from the start: a look at a large fleet's books, which standing by may be
// at, can take longer than a lease lasts.
func (s *Server) lead(ctx context.Context, lease *bus.Lease, stopStanding func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keepCtx, giveBack := context.WithCancel(context.WithoutCancel(ctx))
	var keeping sync.WaitGroup
	keeping.Go(func() {
		if err := lease.Keep(keepCtx); err != nil {
			cancel(err)
		}
	})
	defer keeping.Wait()
	defer giveBack()

	stopStanding()
	if err := s.takeUp(ctx, lease); err != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	service, err := s.serve()
	if err != nil {
		return err
	}
	s.leading.Store(true)
	var judging, writing sync.WaitGroup
	judging.Go(func() { s.step(ctx) })
	judging.Go(func() { s.ledger.run(ctx) })
	writeCtx, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWriting()
	writing.Go(func() { s.write(writeCtx) })

	<-ctx.Done()
	s.leading.Store(false)
	_ = service.Stop() // fails on a connection only that is closed already
	judging.Wait()
	stopWriting()
	writing.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	s.drain()
	return nil
}

// takeUp fences off who led before, and takes up the findings where they were
// left. An event that was not told any more is told now.
func (s *Server) takeUp(ctx context.Context, lease *bus.Lease) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	if err := s.o.Conn.EnsureStreams(ctx); err != nil {
		return err
	}
	if err := s.store.lead(ctx, lease); err != nil {
		return err
	}
	findings, untold, unread, err := s.store.restore(ctx)
	if err != nil {
		return err
	}
	if err := s.learn(ctx); err != nil {
		s.log.Warn("whether somebody confirmed what is held back here can't be read", "err", err)
	}
	s.out.clear()
	broken := map[string]*reconcile.Finding{}
	for id, err := range unread {
		s.log.Warn("a kept finding can't be read, and begins anew if it still stands", "err", err)
		broken[id] = nil // else nobody could read the others either
	}
	s.out.putBack(broken)
	s.out.tell(untold)
	s.engine.Restore(findings)
	s.log.Info("findings taken up", "site", s.o.Site, "findings", len(findings))
	return nil
}

// drain writes what is left, for as long as a stop may take.
func (s *Server) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainWithin)
	defer cancel()
	err := s.flush(ctx)
	if err == nil {
		err = s.store.keepTold(ctx, s.store.written(), 0)
	}
	if err != nil {
		s.log.Warn("not everything was written; the next start finds out what is left", "left", s.out.size(), "err", err)
	}
}
