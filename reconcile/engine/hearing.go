package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// unsaidAfter is how long a host may not speak of a source that it once had: an
// agent that was just started speaks of each as it has passed over it.
const unsaidAfter = time.Minute

// unsay notes of which sources that are held the host speaks no more.
func (h *host) unsay(now time.Time) {
	for source := range h.docs {
		if _, spoken := h.said[source]; spoken {
			delete(h.unsaid, source)
		} else if h.unsaid[source].IsZero() {
			if h.unsaid == nil {
				h.unsaid = map[string]time.Time{}
			}
			h.unsaid[source] = now
		}
	}
}

// gaps lists a host's documents that are known not to have arrived. While its
// agent publishes nothing, it says so itself.
func (h *host) gaps(id uuid.UUID, now time.Time) (gaps []reconcile.Gap) {
	if h.problem.text != "" {
		return nil
	}
	for source, s := range h.said {
		if s.differs.IsZero() || now.Sub(s.differs) < holeAfter {
			continue
		}
		gap := reconcile.Gap{Host: id, Site: h.site, Source: source, Since: s.differs, Problem: s.problem}
		if doc, has := h.docs[source]; has {
			gap.Held = heldWords(doc)
		}
		gaps = append(gaps, gap)
	}
	for source, since := range h.unsaid {
		doc, has := h.docs[source]
		if has && doc.Outcome != inventory.OutcomeAbsent && now.Sub(since) >= unsaidAfter {
			gaps = append(gaps, reconcile.Gap{Host: id, Site: h.site, Source: source, Since: since, Held: heldWords(doc), Vanished: true})
		}
	}
	slices.SortFunc(gaps, func(a, b reconcile.Gap) int {
		if a.Source < b.Source {
			return -1
		}
		return 1
	})
	return gaps
}

func heldWords(doc reconcile.Document) string {
	return fmt.Sprintf("epoch %d, gen %d", doc.Epoch, doc.Gen)
}

// samples is how many heartbeats a clock is measured over, minute for minute.
const samples = 6

// hostClock is how far a host's clock is ahead, by what its heartbeats say. Each was
// on its way for an unknown time, which makes the clock look late: the largest of
// the last ones is nearest.
type hostClock struct {
	speaker uuid.UUID // another start of an agent, or another agent, has another clock perhaps
	ahead   [samples]time.Duration
	n       int
	// off says that it was told of. It ends a good way below the limit, so that one
	// at the limit isn't news again and again.
	off bool
}

// note takes a heartbeat's time. One that doesn't say is none.
func (c *hostClock) note(speaker uuid.UUID, sent, heard time.Time) {
	if sent.IsZero() {
		return
	}
	if speaker != c.speaker {
		*c = hostClock{speaker: speaker, off: c.off}
	}
	c.ahead[c.n%samples] = sent.Sub(heard)
	c.n++
}

// measured gives how far it is ahead, and false before there are enough samples.
func (c *hostClock) measured() (ahead time.Duration, known bool) {
	if c.n < samples/2 {
		return 0, false
	}
	return slices.Max(c.ahead[:min(c.n, samples)]), true
}

// judge says how far the clock is off, in steps that stay while little changes,
// and zero where it isn't.
func (c *hostClock) judge(limit time.Duration) time.Duration {
	ahead, known := c.measured()
	if !known || limit <= 0 {
		return 0
	}
	off := max(ahead, -ahead)
	if c.off = off >= limit || c.off && off >= limit*4/5; !c.off {
		return 0
	}
	step := limit
	for step <= off/2 {
		step *= 2
	}
	if ahead < 0 {
		return -step
	}
	return step
}

// hearing gives what is to be told of how hosts are heard: those that are silent
// are told of otherwise.
func (e *Engine) hearing(in *reconcile.Input, now time.Time) {
	for id, h := range e.hosts {
		if e.silent(h, now) {
			continue
		}
		gaps := h.gaps(id, now)
		h.gapsTold = len(gaps)
		in.Gaps = append(in.Gaps, gaps...)
		if h.clockTold = h.clock.judge(e.policy.ClockSkew); h.clockTold != 0 {
			if in.Clocks == nil {
				in.Clocks = map[uuid.UUID]time.Duration{}
			}
			in.Clocks[id] = h.clockTold
		}
	}
}

// hearsNews says whether something else is to be told than at the last step.
func (h *host) hearsNews(id uuid.UUID, policy *reconcile.Policy, now time.Time) bool {
	return len(h.gaps(id, now)) != h.gapsTold || h.clock.judge(policy.ClockSkew) != h.clockTold
}
