package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

const (
	// ForgetAfter is how long a host that is not in Sentral may be silent before
	// everything about it is dropped.
	ForgetAfter = 7 * 24 * time.Hour
	// MaxSources is how many sources one host may have. Hosts have six or so.
	MaxSources = 64
	// MaxRefusals is how many refusals are kept, one for each host and source;
	// when there are more, the oldest go.
	MaxRefusals = 1000
	// maxWords is how many bytes of a reason are kept.
	maxWords = 2000
)

// Engine holds both books of one site.
type Engine struct {
	site   string
	policy reconcile.Policy

	mu        sync.Mutex
	hosts     map[uuid.UUID]*host
	refused   map[refusalKey]reconcile.Refusal
	intended  *sentral.Inventory // the last good one; nil until there is one
	unread    []sentral.Problem  // why there is none
	delivered bool               // the hosts' last documents have come
	bare      bool               // there were none, although there are findings from before
	listening time.Time          // since when heartbeats can be heard; zero while they can't
	began     time.Time          // when they could be heard first
	deafSince time.Time          // when that ended last; zero before the first time

	tasks []reconcile.Task  // Maskin's
	told  []reconcile.Event // by requests, since the last step

	recalled   *sentral.Inventory // the newest of those in use when reconcilers ended last, until one is
	taken      map[string]bool    // versions that somebody has taken already, here or elsewhere
	held       *held              // what was read, and isn't used
	unreadable string             // why the source can't be read; "" if it can
	presented  *sentral.Inventory // intended, with what is to be said of it

	book    *reconcile.Book
	lives   *lives
	watched watched
	// What the book is to be told with the next step: that refusals changed, and of
	// hosts under whose ID several agents spoke.
	refusals bool
	crowded  map[uuid.UUID]bool
	hearAt   time.Time // when how hosts are heard is looked at again

	dirty    bool      // something changed that Step has not seen
	stepped  bool      // something was judged
	at       time.Time // of the last step
	deadline time.Time // when time alone makes the next step due; zero means never
	sweepAt  time.Time // when hosts are looked over for those to be forgotten
}

type refusalKey struct {
	host         uuid.UUID
	site, source string
}

func (k refusalKey) compare(other refusalKey) int {
	return cmp.Or(bytes.Compare(k.host[:], other.host[:]), cmp.Compare(k.site, other.site), cmp.Compare(k.source, other.source))
}

// New makes an engine for a site.
func New(site string, policy reconcile.Policy) *Engine {
	e := &Engine{
		site: site, policy: policy,
		hosts:   map[uuid.UUID]*host{},
		refused: map[refusalKey]reconcile.Refusal{},
		book:    reconcile.NewBook(policy),
		lives:   newLives(nil),
		taken:   map[string]bool{},
		crowded: map[uuid.UUID]bool{},
		watched: newWatched(),
	}
	e.book.Serve(site)
	return e
}

// Restore takes the findings that were kept over a restart, or that another
// reconciler left, in place of those that the engine has.
func (e *Engine) Restore(findings []reconcile.Finding) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.lives.all {
		e.book.Forget(id)
	}
	e.lives, e.told, e.dirty = newLives(findings), nil, true
	for _, f := range e.book.Findings() { // with the next step all of them are looked at
		e.lives.dirty[f.ID] = true
	}
	e.tasks = tasksOf(findings, e.tasks)
	e.lookBare()
}

// lookBare notes that there are findings from before, and no document that could
// say whether they still stand. Either may come first.
func (e *Engine) lookBare() {
	e.bare = e.delivered && len(e.lives.all) > 0 && !slices.ContainsFunc(slices.Collect(maps.Values(e.hosts)), func(h *host) bool { return len(h.held) > 0 })
}

// Reception is what became of a document.
type Reception string

// What can become of a document.
const (
	Newer   Reception = "newer"   // it replaced what was held
	Again   Reception = "again"   // it is what is held: the time it was received is taken
	Older   Reception = "older"   // it is older than what is held, and ignored
	Refused Reception = "refused" // it can't be: see the refusals
)

// Observe takes a document that came at the given time.
func (e *Engine) Observe(o *inventory.Observation, received time.Time) Reception {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := e.host(o.Host)
	held, has := h.held[o.Source]
	switch {
	case !has && len(h.held) >= MaxSources:
		e.refuse(refusalOf(o, received, "the host has %d sources already, which is the limit", MaxSources))
		return Refused
	case has && held.after(positionOf(o)):
		return Older
	case has && !positionOf(o).after(held.Position):
		if held.Digest != o.Digest {
			e.refuse(refusalOf(o, received, "it differs from another one of epoch %d and gen %d: two agents publish as this host", o.Epoch, o.Gen))
			return Refused
		}
		held.received = latest(held.received, received)
		h.held[o.Source] = held
		e.book.Observe(reconcile.Document{Observation: o, Received: held.received})
		e.dirty = true
		return Again
	}
	h.held[o.Source] = heldDocument{positionOf(o), received, o.Outcome == inventory.OutcomeAbsent}
	e.book.Observe(reconcile.Document{Observation: o, Received: received})
	if e.delivered {
		h.heard = latest(h.heard, received)
	} else {
		h.before = latest(h.before, o.ObservedAt)
	}
	h.epoch = max(h.epoch, o.Epoch)
	h.checkHole(o.Source, received)
	if key := (refusalKey{o.Host, o.Site, o.Source}); !e.refused[key].At.IsZero() || e.refused[key].Reason != "" {
		delete(e.refused, key)
		e.refusals = true
	}
	e.book.Hear(o.Host, e.lastHeard(h))
	e.watch(o.Host, h)
	e.dirty = true
	return Newer
}

func refusalOf(o *inventory.Observation, at time.Time, format string, args ...any) reconcile.Refusal {
	return reconcile.Refusal{Host: o.Host, Site: o.Site, Source: o.Source, Reason: fmt.Sprintf(format, args...), At: at}
}

// Refuse notes a document that could not be taken. A newer one of its host and
// source, or that it isn't repeated for as long as a document may be old, ends it.
func (e *Engine) Refuse(r reconcile.Refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuse(r)
}

func (e *Engine) refuse(r reconcile.Refusal) {
	r.Reason = words(r.Reason)
	e.refused[refusalKey{r.Host, r.Site, r.Source}] = r
	e.refusals, e.dirty = true, true
	if len(e.refused) <= MaxRefusals {
		return
	}
	var oldest refusalKey
	for key, other := range e.refused {
		if first, some := e.refused[oldest]; !some || other.At.Before(first.At) {
			oldest = key
		}
	}
	delete(e.refused, oldest)
}

// words cuts what may quote anything that a host sent: a finding that is larger
// than a NATS message could never be stored.
func words(text string) string {
	if len(text) <= maxWords {
		return text
	}
	return strings.ToValidUTF8(text[:maxWords], "") + "…"
}

// Intend takes the inventory as its source gives it. One that could not be read
// at all leaves the last good one in place, with its problems.
func (e *Engine) Intend(inv *sentral.Inventory) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dirty = true
	switch {
	case !inv.ReadAt.IsZero():
		e.unread, e.sweepAt = nil, time.Time{}
		e.guard(inv)
	case e.previous() == nil:
		e.unread = inv.Problems
	default:
		kept := *e.previous()
		kept.Incomplete, kept.Problems = true, inv.Problems
		e.use(&kept)
	}
	e.unreadable = inv.Stale
}

// Delivered says that the last document of every host and source that there
// was at the beginning has been handed over. From then on a new document says
// that its host is alive.
func (e *Engine) Delivered() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.delivered, e.dirty = true, true
	e.lookBare()
}

// Listen says that heartbeats can be heard from now on, Deafen that they can't:
// in between, silence says nothing.
func (e *Engine) Listen(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listening.IsZero() {
		e.listening, e.dirty = now, true
		e.unhear(now)
		if e.began.IsZero() {
			e.began = now
			for id, h := range e.hosts {
				e.book.Hear(id, e.lastHeard(h))
			}
		}
		e.watchAll()
	}
}

// unhear takes back what was heard later than now, by a clock that was set back since:
// else a host could be silent until it comes to that again.
func (e *Engine) unhear(now time.Time) {
	for id, h := range e.hosts {
		if h.heard.After(now) {
			h.heard = now
			e.book.Hear(id, e.lastHeard(h))
			e.lives.whole = true
		}
	}
}

// Deafen is the end of [Engine.Listen].
func (e *Engine) Deafen(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.listening.IsZero() {
		e.listening, e.deafSince = time.Time{}, now
	}
}

// Findings gives all findings as they stand, sorted.
func (e *Engine) Findings() []reconcile.Finding {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lives.list(e.at)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
