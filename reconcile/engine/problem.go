package engine

import (
	"bytes"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// problem is why a host's agent publishes nothing.
type problem struct {
	text    string // "" if there is none
	speaker uuid.UUID
	at      time.Time // when it was said last
	since   time.Time
}

// note takes what a heartbeat says of that, and whether it is news. Two agents
// under one host ID each say it in words of their own: the one who said it first
// is quoted while it does, as the finding would change with every heartbeat
// otherwise. While the host is silent what it said last stands.
func (h *host) note(b Heartbeat, within time.Duration) (news bool) {
	b.Problem = words(b.Problem)
	held := h.problem
	gone := b.At.Sub(held.at) > within // only the other one speaks, or none says it
	switch {
	case held.text != "" && b.Speaker != held.speaker && !gone:
		return false
	case b.Problem == held.text && b.Speaker == held.speaker:
		h.problem.at = b.At
		return false
	}
	h.problem = problem{text: b.Problem, speaker: b.Speaker, at: b.At, since: b.At}
	return b.Problem != held.text
}

// withheld lists the hosts whose agents publish nothing.
func (e *Engine) withheld() []reconcile.Refusal {
	var all []reconcile.Refusal
	for id := range e.watched.mute {
		h := e.hosts[id]
		all = append(all, reconcile.Refusal{Host: id, Site: h.site, Reason: h.problem.text, At: h.problem.since})
	}
	slices.SortFunc(all, func(a, b reconcile.Refusal) int { return bytes.Compare(a.Host[:], b.Host[:]) })
	return all
}
