package agent

import (
	"sync"
	"time"
)

// suspicion is that another agent publishes under our identity. While it lasts
// nothing is published; it ends when the other has not been heard of for a
// while, since an epoch that nobody lives under is one that came back with an
// old state directory, or an agent that was stopped.
type suspicion struct {
	quiet time.Duration // how long the other must be silent

	mu     sync.Mutex
	reason string
	epoch  uint64 // the highest that the other was seen to use
	heard  time.Time
}

// raise notes a sign of the other, and says whether it is the first.
func (s *suspicion) raise(reason string, epoch uint64, now time.Time) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = s.reason == ""
	if first {
		s.reason = reason
	}
	s.epoch, s.heard = max(s.epoch, epoch), now
	return first
}

// why is "" while there is no suspicion.
func (s *suspicion) why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// wait is how long the other must still be silent, and zero where it has been
// for long enough or there is none.
func (s *suspicion) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == "" {
		return 0
	}
	return max(0, s.quiet-now.Sub(s.heard))
}

// drop ends it and returns the epoch to go past.
func (s *suspicion) drop() (epoch uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	epoch, s.reason, s.epoch = s.epoch, "", 0
	return epoch
}
