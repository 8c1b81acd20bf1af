package server

import (
	"context"
	"sync"
	"time"
)

const (
	// listenEvery is how often the connection is tried. It must be found dead well
	// before hosts that it carries look silent (half a minute); TCP alone takes longer.
	listenEvery  = 2 * time.Second
	listenWithin = 3 * time.Second
	// listenBreak is longer than it takes to try it, also on a busy machine, and
	// shorter than hosts may be silent.
	listenBreak = 15 * time.Second
)

// hearing is whether heartbeats can be heard, as it was found last.
type hearing struct {
	mu     sync.Mutex
	tried  time.Time // when that was tried last; zero before the first time
	heard  time.Time // when they could be last
	broken bool      // it was said that nobody tried for long
}

// note takes what came of trying.
func (h *hearing) note(now time.Time, heard bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tried, h.broken = now, false
	if heard || h.heard.IsZero() {
		h.heard = now
	}
}

// last is until when heartbeats were heard for certain.
func (h *hearing) last() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard
}

// breaks says whether more time has passed than can have since it was tried, or
// less than none, and news that this is so for the first time.
func (h *hearing) breaks(now time.Time) (broken, news bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gap := now.Sub(h.tried)
	broken = !h.tried.IsZero() && (gap > listenBreak || gap < -listenEvery)
	news = broken && !h.broken
	h.broken = broken
	return broken, news
}

// keepListening tells the engine whether heartbeats can be heard. A connection
// can be dead for a minute before TCP says so, so it is tried.
func (s *Server) keepListening(ctx context.Context) {
	tick := time.NewTicker(listenEvery)
	defer tick.Stop()
	nc := s.o.Conn.NATS()
	for {
		heard := nc.IsConnected() && nc.FlushTimeout(listenWithin) == nil
		now := time.Now().UTC()
		s.checkHearing(now)
		if s.hearing.note(now, heard); heard {
			s.engine.Listen(now)
			s.poke()
		} else {
			s.engine.Deafen(s.hearing.last())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// checkHearing comes before anything is judged. Where this process was stopped, its
// machine slept, or the clock was set by which silence is measured, hosts were not
// silent in the time that has passed: it was not listened to them. They are until the
// connection is tried again.
func (s *Server) checkHearing(now time.Time) {
	broken, news := s.hearing.breaks(now)
	if news {
		s.log.Warn("this process was held up, or its clock was set: nothing is concluded before hosts had the time to be heard again",
			"heard", s.hearing.last(), "now", now)
	}
	if broken {
		s.engine.Deafen(s.hearing.last())
	}
}
