package agent

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// Vitals is how an agent is, for metrics.
type Vitals struct {
	Connected bool   // to NATS
	Problem   string // why it publishes nothing, where it doesn't
	Sources   []SourceVitals
}

// SourceVitals is how one source fares. Times are zero for what never happened.
type SourceVitals struct {
	Source       string
	Passes       map[inventory.Outcome]int
	Took         time.Duration // of the last pass
	LastPass     time.Time
	LastComplete time.Time // with outcome complete or absent: everything there was read
	Problems     int       // in the last pass, but for what isn't there to be read
	Published    int       // documents that the stream has acknowledged
	// UnsentSince is when the document was made that waits to be published.
	UnsentSince time.Time
	// Unsendable is why it never will be.
	Unsendable string
}

// Vitals says how it is now.
func (a *Agent) Vitals() Vitals {
	v := Vitals{Problem: a.clone.why()}
	if conn := a.conn.Load(); conn != nil {
		v.Connected = conn.NATS().IsConnected()
	}
	v.Sources = a.ledger.list()
	for i := range v.Sources {
		a.board.unsent(&v.Sources[i])
	}
	return v
}

// ledger counts what each source came to.
type ledger struct {
	mu      sync.Mutex
	sources map[string]*SourceVitals
}

func newLedger() *ledger { return &ledger{sources: map[string]*SourceVitals{}} }

func (l *ledger) source(name string) *SourceVitals {
	s := l.sources[name]
	if s == nil {
		s = &SourceVitals{Source: name, Passes: map[inventory.Outcome]int{}}
		l.sources[name] = s
	}
	return s
}

// passed notes a pass that has ended.
func (l *ledger) passed(o *inventory.Observation, took time.Duration, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.source(o.Source)
	s.Passes[o.Outcome]++
	s.Took, s.LastPass, s.Problems = took, now, 0
	if o.Outcome == inventory.OutcomeComplete || o.Outcome == inventory.OutcomeAbsent {
		s.LastComplete = now
	}
	for i := range o.Problems {
		if o.Problems[i].Why != inventory.WhyAbsent {
			s.Problems++
		}
	}
}

// published notes that the stream has a document.
func (l *ledger) published(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.source(source).Published++
}

// list gives copies, by source.
func (l *ledger) list() []SourceVitals {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]SourceVitals, 0, len(l.sources))
	for _, s := range l.sources {
		kept := *s
		kept.Passes = maps.Clone(s.Passes)
		all = append(all, kept)
	}
	slices.SortFunc(all, func(a, b SourceVitals) int { return cmp.Compare(a.Source, b.Source) })
	return all
}
