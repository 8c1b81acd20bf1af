package agent

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

// board holds the newest document of each source. Documents on it are not
// changed: a newer one takes its place.
type board struct {
	identity         *hostid.Identity
	site, bootID     string
	refresh, between time.Duration
	changed          chan struct{} // holds one when there is something to publish

	mu        sync.Mutex
	entries   map[string]*entry
	delivered time.Time // when a document was published last
}

// entry is one source's place.
type entry struct {
	doc       *inventory.Observation
	made      time.Time
	published bool
	problem   string // why it could not be published
}

func newBoard(o Options) *board {
	return &board{identity: o.Identity, site: o.Site, bootID: o.BootID, refresh: o.Refresh, between: o.Interval + o.Interval/10,
		changed: make(chan struct{}, 1), entries: map[string]*entry{}}
}

// offer stamps what a pass saw and puts it on the board, if it differs from what
// is there or that would be older than the refresh interval by the next pass.
func (b *board) offer(o *inventory.Observation, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.entries[o.Source]
	o.Host, o.Site, o.BootID, o.Epoch, o.Gen = b.identity.ID(), b.site, b.bootID, b.identity.Epoch(), 1
	if err := o.Seal(); err != nil {
		return fmt.Errorf("seal %s: %w", o.Source, err)
	}
	if held != nil {
		if held.doc.Digest == o.Digest && now.Sub(held.made)+b.between <= b.refresh {
			return nil
		}
		o.Gen = held.doc.Gen + 1
	}
	b.entries[o.Source] = &entry{doc: o, made: now}
	b.wake()
	return nil
}

func (b *board) wake() { signal(b.changed) }

// due lists the documents to publish, by source.
func (b *board) due() []*inventory.Observation {
	b.mu.Lock()
	defer b.mu.Unlock()
	var docs []*inventory.Observation
	for _, source := range slices.Sorted(maps.Keys(b.entries)) {
		if e := b.entries[source]; !e.published && e.problem == "" {
			docs = append(docs, e.doc)
		}
	}
	return docs
}

// settle notes that a document was published, or why it can't be. It does
// nothing if a newer one has come meanwhile.
func (b *board) settle(o *inventory.Observation, problem string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if problem == "" {
		b.delivered = time.Now()
	}
	if e := b.entries[o.Source]; e.doc == o {
		e.published, e.problem = problem == "", problem
	}
}

// unsent notes whether a source's document waits, and since when.
func (b *board) unsent(s *SourceVitals) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.entries[s.Source]
	switch {
	case e == nil || e.published:
	case e.problem != "":
		s.Unsendable = e.problem
	default:
		s.UnsentSince = e.made
	}
}

// again makes every document due: the stream may have lost what it had.
func (b *board) again() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.entries {
		e.published, e.problem = false, ""
	}
	b.wake()
}

// restamp gives every document the identity's epoch, after that has moved on.
func (b *board) restamp() {
	b.mu.Lock()
	for _, e := range b.entries {
		doc := *e.doc
		doc.Epoch = b.identity.Epoch()
		e.doc = &doc
	}
	b.mu.Unlock()
	b.again()
}

// states lists the newest document of each source for a heartbeat.
func (b *board) states() []bus.SourceState {
	b.mu.Lock()
	defer b.mu.Unlock()
	var states []bus.SourceState
	for _, source := range slices.Sorted(maps.Keys(b.entries)) {
		e := b.entries[source]
		states = append(states, bus.SourceState{Source: source, Gen: e.doc.Gen, Digest: e.doc.Digest, Outcome: e.doc.Outcome, Problem: e.problem})
	}
	return states
}
