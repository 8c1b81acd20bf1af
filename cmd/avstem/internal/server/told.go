package server

import (
	"context"
	"time"

	"github.com/dataverket/avstem/bus"
)

// toldEvery is how often it is written down how far events were told: whoever leads
// next looks through the findings that were written since.
const toldEvery = 10 * time.Second

// told is how far events were told as it was written down last.
type told struct {
	bus.Told
	seq  uint64    // of that in the stream; 0 where there is none
	at   time.Time // when that was
	news bool      // more was told since, or it is gone
}

// messages is how many there are of it in the stream.
func (t *told) messages() uint64 { return min(t.seq, 1) }

// toldOne notes that an event was told.
func (s *store) toldOne() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told.news = true
}

// written is the highest sequence of a finding.
func (s *store) written() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrote
}

// takeUpTold gives the sequence up to which all events were told that findings name,
// and the IDs of those that were told since. Where nobody wrote that down, all of
// them were.
func (s *store) takeUpTold(ctx context.Context) (since uint64, ids map[string]bool, err error) {
	s.mu.Lock()
	from, wrote := s.told, s.wrote
	s.mu.Unlock()
	if from.seq == 0 {
		return wrote, nil, s.putTold(ctx, wrote, time.Now())
	}
	ids, err = s.conn.DriftTold(ctx, s.site, from.Told)
	return from.Findings, ids, err
}

// keepTold writes down that all events were told that findings up to a sequence name,
// unless that was done a moment ago. It can wait where the lease can't be relied on.
func (s *store) keepTold(ctx context.Context, upTo uint64, moment time.Duration) error {
	now := time.Now()
	s.mu.Lock()
	due := s.lease.Holds() && s.told.news && now.Sub(s.told.at) >= moment
	s.mu.Unlock()
	if !due {
		return nil
	}
	return s.putTold(ctx, upTo, now)
}

func (s *store) putTold(ctx context.Context, upTo uint64, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := s.holds(); err != nil {
		return err
	}
	how, err := s.conn.ToldNow(ctx, upTo)
	if err != nil {
		return err
	}
	s.mu.Lock()
	condition := s.fence.Lane(0)
	s.mu.Unlock()
	seq, err := s.conn.KeepTold(ctx, s.site, how, condition)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told, s.last = told{Told: how, seq: seq, at: now}, max(s.last, seq)
	return nil
}
