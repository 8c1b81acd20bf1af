package engine

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// maxSpeakers is how many agents are remembered under one host ID. More add
// nothing to what two tell.
const maxSpeakers = 8

// speaker is one start of one agent, between the first and the last heartbeat
// that was heard of it.
type speaker struct {
	reconcile.Speaker
	first, last time.Time
}

// beside says whether both spoke at one time: each was heard after the other had
// begun. An agent that is started again never comes back as the one before.
func (s speaker) beside(other speaker) bool {
	return s.first.Before(other.last) && other.first.Before(s.last)
}

// meet notes who speaks, and says whether it is news that several do, or that
// they do no more.
func (h *host) meet(b Heartbeat, within time.Duration) (news bool) {
	before := len(h.several())
	if h.speakers == nil {
		h.speakers = map[uuid.UUID]speaker{}
	}
	maps.DeleteFunc(h.speakers, func(_ uuid.UUID, s speaker) bool { return b.At.Sub(s.last) > within })
	s, known := h.speakers[b.Speaker]
	if !known {
		if len(h.speakers) >= maxSpeakers {
			return len(h.several()) != before
		}
		s.first = b.At
	}
	s.last = latest(s.last, b.At)
	s.Speaker = reconcile.Speaker{Site: b.Site, Hostname: words(b.Hostname), BootID: words(b.BootID)}
	h.speakers[b.Speaker] = s
	return len(h.several()) != before
}

// several are the agents that spoke beside another one, in a fixed order; none
// where one speaks.
func (h *host) several() []reconcile.Speaker {
	if len(h.speakers) < 2 {
		return nil
	}
	var all []reconcile.Speaker
	for _, id := range slices.SortedFunc(maps.Keys(h.speakers), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		s := h.speakers[id]
		for other, o := range h.speakers {
			if other != id && s.beside(o) {
				all = append(all, s.Speaker)
				break
			}
		}
	}
	return all
}
