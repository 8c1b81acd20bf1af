package replay

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile/engine"
)

// hearing stands in for heartbeats, which aren't kept. A host speaks as long as its
// documents come, which agents repeat, unless the reconciler told then that it was
// silent.
type hearing struct {
	hosts  map[uuid.UUID]*host
	order  []*host
	muted  []muted   // at the beginning
	beaten time.Time // when all that speak were heard last
	back   time.Time // since when hosts are heard again after nothing was
}

// muted is a host, by what findings call it, that was silent since a time before the
// beginning; zero is since longer than anybody is waited for.
type muted struct {
	host  string
	since time.Time
}

// host is what is needed to speak for one.
type host struct {
	engine.Heartbeat
	said   time.Time // when a document came last
	silent bool
}

// observe notes what a host would say of itself from now on.
func (h *hearing) observe(o *inventory.Observation, received time.Time) {
	at := h.hosts[o.Host]
	if at == nil {
		at = &host{Heartbeat: engine.Heartbeat{Host: o.Host, Site: o.Site}}
		h.hosts[o.Host] = at
		h.order = append(h.order, at)
	}
	at.said = latest(at.said, received)
	if o.Epoch > at.Epoch { // it was started again, and has nothing else to show yet
		at.Epoch, at.Sources = o.Epoch, nil
	}
	if o.Epoch < at.Epoch {
		return
	}
	state := engine.SourceState{Source: o.Source, Position: engine.Position{Epoch: o.Epoch, Gen: o.Gen, Digest: o.Digest}}
	for i := range at.Sources {
		if held := &at.Sources[i]; held.Source == o.Source {
			if held.Gen <= o.Gen {
				*held = state
			}
			return
		}
	}
	at.Sources = append(at.Sources, state)
}

// silence notes that a host is silent from now on, or speaks again.
func (r *Replay) silence(name string, silent bool) {
	id, known := r.sides[0].engine.HostID(name)
	if !known {
		return
	}
	h := r.hosts[id]
	if h == nil || h.silent == silent {
		return
	}
	if r.speaks(h, r.now) || !silent { // with its last word, or its first one
		r.hear(h, r.now)
	}
	if h.silent = silent; !silent {
		h.said = latest(h.said, r.now)
		r.news()
	}
}

// mute notes who was silent at the beginning.
func (r *Replay) mute(m muted) {
	id, known := r.sides[0].engine.HostID(m.host)
	if !known || r.hosts[id] == nil {
		return
	}
	r.hosts[id].silent = true
	if !m.since.IsZero() {
		r.hear(r.hosts[id], m.since)
	}
}

func (r *Replay) speaks(h *host, now time.Time) bool {
	return !h.silent && now.Sub(h.said) <= r.then.DocumentAge && !h.said.Before(r.back)
}

// beat has everybody heard who speaks, often enough that nobody looks silent.
func (r *Replay) beat(now time.Time) {
	often := min(r.sides[0].policy.StaleAfter, r.sides[1].policy.StaleAfter) / 2
	if now.Sub(r.beaten) < often {
		return
	}
	r.beaten = now
	for _, h := range r.order {
		if r.speaks(h, now) {
			r.hear(h, now)
		}
	}
}

func (r *Replay) hear(h *host, now time.Time) {
	h.At = now
	for _, s := range r.sides {
		s.engine.Hear(h.Heartbeat)
	}
}
