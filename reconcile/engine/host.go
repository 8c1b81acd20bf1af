package engine

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// holeAfter is how long a host may say that it has a newer document than what is
// held before that is a hole: documents and heartbeats take different ways.
const holeAfter = 5 * time.Second

// host is what is remembered of one host.
type host struct {
	held  map[string]heldDocument // by source
	heard time.Time               // when it last spoke; zero if never since the start
	// before is how new the documents are that it left before the start, by its
	// own clock: all that is known of when it last spoke, until it does again.
	before  time.Time
	said    map[string]said // by source, from its last heartbeat
	epoch   uint64          // from its last heartbeat
	site    string
	problem problem
	// unsaid is since when it doesn't speak of a source that is held. What was told
	// of that, of documents that didn't arrive and of its clock at the last step, is
	// in gapsTold and clockTold.
	unsaid    map[string]time.Time
	clock     hostClock
	gapsTold  int
	clockTold time.Duration
	// speakers are the agents that were heard under its ID lately.
	speakers map[uuid.UUID]speaker
}

// heldDocument is which document of a source the book has.
type heldDocument struct {
	Position
	received time.Time
	absent   bool // the source isn't on the host
}

// said is what a heartbeat says of one source.
type said struct {
	Position
	problem string
	differs time.Time // since when it isn't what is held; zero if it is
}

// Position names one state of one source.
type Position struct {
	Epoch  uint64 `json:"epoch"`
	Gen    uint64 `json:"gen"`
	Digest string `json:"digest"`
}

// after orders by (epoch, gen).
func (p Position) after(other Position) bool {
	return cmp.Or(cmp.Compare(p.Epoch, other.Epoch), cmp.Compare(p.Gen, other.Gen)) > 0
}

func positionOf(o *inventory.Observation) Position { return Position{o.Epoch, o.Gen, o.Digest} }

// Heartbeat is a sign of life of a host, with the newest document that it has of
// each source.
type Heartbeat struct {
	Host    uuid.UUID
	Site    string
	At      time.Time // when it was heard
	Epoch   uint64    // of the agent's start
	Speaker uuid.UUID // which start of which agent, as two may use one host ID
	// Hostname and BootID tell which machine that one runs on.
	Hostname, BootID string
	Sent             time.Time // by the host's clock: for showing that it is wrong, never for order
	Problem          string    // why the agent publishes nothing, where it doesn't
	Sources          []SourceState
}

// SourceState is the newest document of one source.
type SourceState struct {
	Source string
	Position
	Problem string // why it was not published
}

// Hole is a document that a host has and that did not arrive.
type Hole struct {
	Host    uuid.UUID `json:"host"`
	Site    string    `json:"site"`
	Source  string    `json:"source"`
	Said    Position  `json:"said"`
	Held    Position  `json:"held"` // zero where nothing is
	Since   time.Time `json:"since"`
	Problem string    `json:"problem,omitempty"` // as the host says
}

func (e *Engine) host(id uuid.UUID) *host {
	h := e.hosts[id]
	if h == nil {
		h = &host{held: map[string]heldDocument{}, said: map[string]said{}}
		e.hosts[id] = h
	}
	return h
}

// Hear takes a heartbeat, and says whether it is news: the host was silent before,
// its agent was started again, or it publishes no more or does so again.
func (e *Engine) Hear(b Heartbeat) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.host(b.Host)
	news = e.book.Silent(b.Host) || h.heard.Before(e.listening) || h.heard.IsZero() || h.epoch != b.Epoch
	e.refusals = e.refusals || h.problem.text != "" || b.Problem != ""
	news = h.note(b, e.policy.StaleAfter) || news
	news = h.meet(b, e.policy.StaleAfter) || news
	if len(h.speakers) > 1 {
		e.crowded[b.Host] = true
	}
	e.dirty = e.dirty || news
	h.heard, h.site, h.epoch = latest(h.heard, b.At), b.Site, b.Epoch
	e.book.Hear(b.Host, e.lastHeard(h))
	was := h.said
	h.said = make(map[string]said, len(b.Sources))
	for _, s := range b.Sources[:min(len(b.Sources), MaxSources)] {
		h.said[s.Source] = said{Position: s.Position, problem: s.Problem, differs: was[s.Source].differs}
		h.checkHole(s.Source, b.At)
	}
	h.unsay(b.At)
	h.clock.note(b.Speaker, b.Sent, b.At)
	e.watch(b.Host, h)
	return news
}

// checkHole holds what a host said of a source against what is held. A
// heartbeat that was overtaken by a newer document is no hole.
func (h *host) checkHole(source string, now time.Time) {
	s, spoken := h.said[source]
	if !spoken {
		return
	}
	doc, has := h.held[source]
	switch {
	case has && (doc.Position == s.Position || doc.after(s.Position)):
		s.differs = time.Time{}
	case s.differs.IsZero():
		s.differs = now
	}
	h.said[source] = s
}

// Holes lists the sources of which their hosts have said something else than
// what is held, for longer than a few seconds.
func (e *Engine) Holes(now time.Time) []Hole {
	e.mu.Lock()
	defer e.mu.Unlock()
	var holes []Hole
	for id := range e.watched.odd {
		h := e.hosts[id]
		for source, s := range h.said {
			if s.differs.IsZero() || now.Sub(s.differs) < holeAfter {
				continue
			}
			hole := Hole{Host: id, Site: h.site, Source: source, Said: s.Position, Since: s.differs, Problem: s.problem}
			if doc, has := h.held[source]; has {
				hole.Held = doc.Position
			}
			holes = append(holes, hole)
		}
	}
	slices.SortFunc(holes, func(a, b Hole) int {
		return cmp.Or(bytes.Compare(a.Host[:], b.Host[:]), cmp.Compare(a.Source, b.Source))
	})
	return holes
}

// lastHeard is when the host last spoke, as far as that is known. What it left
// from before the start can't have been said after it.
func (e *Engine) lastHeard(h *host) time.Time {
	if !h.heard.IsZero() {
		return h.heard
	}
	if h.before.Before(e.began) {
		return h.before
	}
	return e.began
}

// awaited says whether the host may still be about to speak: it did until we could
// not hear it, and has not since.
func (e *Engine) awaited(h *host) bool {
	switch {
	case len(h.held) == 0:
		return false
	case h.heard.IsZero():
		return e.listening.Sub(h.before) <= ForgetAfter
	case h.heard.Before(e.listening): // unless it was silent already
		return e.deafSince.Sub(h.heard) <= e.policy.StaleAfter
	}
	// Its agent was started again: what it said before is about to be replaced,
	// and may be days old.
	for _, doc := range h.held {
		if doc.Epoch < h.epoch {
			return true
		}
	}
	return false
}
