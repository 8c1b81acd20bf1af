package agent

import "sync"

// quietBeats is how many of our own heartbeats must come back to us, with none
// of the other's among them, until it counts as gone: three intervals.
const quietBeats = 4

// suspicion is that another agent publishes under our identity. While it lasts
// nothing is published.
//
// It ends when the other has fallen silent, if that one showed no other machine:
// an epoch that nobody lives under is one that came back with an old state
// directory, and an agent that was stopped beside us described the same host.
// Silence is counted in our own heartbeats as the server sends them to us, as
// who is cut off or asleep hears nobody. After an agent of another machine it
// lasts until this one is started again: which of the two is the host is not for
// the survivor to say.
type suspicion struct {
	mu        sync.Mutex
	reason    string
	epoch     uint64 // the highest that the other was seen to use
	elsewhere bool   // it runs on another machine
	quiet     int    // own heartbeats since the other was last heard of
}

// raise notes a sign of the other, and says whether it tells more than those before.
func (s *suspicion) raise(reason string, epoch uint64, elsewhere bool) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	news = s.reason == "" || elsewhere && !s.elsewhere
	if news {
		s.reason = reason
	}
	s.epoch, s.elsewhere, s.quiet = max(s.epoch, epoch), s.elsewhere || elsewhere, 0
	return news
}

// why is "" while there is no suspicion.
func (s *suspicion) why() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// count notes one of our own heartbeats, and says whether it was the last that
// was waited for.
func (s *suspicion) count() (over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quiet++
	return s.reason != "" && !s.elsewhere && s.quiet == quietBeats
}

// drop ends it if the other has been silent for long enough, and returns the
// epoch to go past.
func (s *suspicion) drop() (epoch uint64, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.elsewhere || s.quiet < quietBeats {
		return 0, false
	}
	epoch, s.reason, s.epoch = s.epoch, "", 0
	return epoch, true
}
