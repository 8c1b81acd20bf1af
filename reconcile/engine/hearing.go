package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// unsaidAfter is how long a host may not speak of a source that it once had: an
// agent that was just started speaks of each as it has passed over it.
const unsaidAfter = time.Minute

// unsay notes of which sources that are held the host speaks no more.
func (h *host) unsay(now time.Time) {
	for source := range h.held {
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
		if doc, has := h.held[source]; has {
			gap.Held = heldWords(doc)
		}
		gaps = append(gaps, gap)
	}
	for source, since := range h.unsaid {
		doc, has := h.held[source]
		if has && !doc.absent && now.Sub(since) >= unsaidAfter {
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

func heldWords(doc heldDocument) string {
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

// nearly says whether the clock is off, or near enough to be looked at.
func (c *hostClock) nearly(limit time.Duration) bool {
	ahead, known := c.measured()
	return c.off || known && limit > 0 && max(ahead, -ahead) >= limit*4/5
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

// hearEvery is how often how hosts are heard is looked at: what is told of it takes
// minutes to come and go.
const hearEvery = time.Second

// hearing tells the book how hosts are heard. Of those that are silent that is told
// otherwise.
func (e *Engine) hearing(now time.Time) {
	if !e.hearsAgain(now) {
		return
	}
	e.hearAt = now.Add(hearEvery)
	var all []reconcile.Gap
	clocks := map[uuid.UUID]time.Duration{}
	for id := range e.watched.odd {
		h := e.hosts[id]
		if e.silent(h, now) {
			continue
		}
		gaps := h.gaps(id, now)
		h.gapsTold = len(gaps)
		all = append(all, gaps...)
		if h.clockTold = h.clock.judge(e.policy.ClockSkew); h.clockTold != 0 {
			clocks[id] = h.clockTold
		}
		note(e.watched.odd, id, h.odd(e.policy.ClockSkew))
	}
	slices.SortFunc(all, func(a, b reconcile.Gap) int {
		return cmp.Or(bytes.Compare(a.Host[:], b.Host[:]), cmp.Compare(a.Source, b.Source))
	})
	e.book.Gaps(all)
	e.book.Clocks(clocks)
}

// silent says whether nothing may be concluded from what the host said.
func (e *Engine) silent(h *host, now time.Time) bool {
	return now.Sub(e.lastHeard(h)) > e.policy.StaleAfter
}

// hearsAgain says whether it is time to look; a clock that was set back makes it so.
func (e *Engine) hearsAgain(now time.Time) bool {
	return !now.Before(e.hearAt) || e.hearAt.Sub(now) > hearEvery
}

// hearsNews says whether something else is to be told of a host than at the last
// step.
func (e *Engine) hearsNews(now time.Time) bool {
	if !e.hearsAgain(now) {
		return false
	}
	for id := range e.watched.odd {
		if h := e.hosts[id]; !e.silent(h, now) && (len(h.gaps(id, now)) != h.gapsTold || h.clock.judge(e.policy.ClockSkew) != h.clockTold) {
			return true
		}
	}
	e.hearAt = now.Add(hearEvery)
	return false
}
