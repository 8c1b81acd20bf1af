package agent

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// fakeCollector sees the links that it is told to.
type fakeCollector struct {
	source string
	slow   time.Duration // of each pass

	mu     sync.Mutex
	links  []string
	begun  int         // passes
	passes int         // that ended
	at     []time.Time // when each pass ended
}

func (f *fakeCollector) Source() string { return f.source }

func (f *fakeCollector) Capabilities() []inventory.Capability { return nil }

func (f *fakeCollector) Collect(ctx context.Context, b *collectors.Builder) error {
	f.mu.Lock()
	f.begun++
	f.mu.Unlock()
	if f.slow > 0 && !sleep(ctx, f.slow) {
		return ctx.Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.passes++
	f.at = append(f.at, time.Now())
	for _, name := range f.links {
		b.Link(inventory.Link{Name: name, Kind: "dummy"})
	}
	b.Enumerated()
	return nil
}

func (f *fakeCollector) show(links ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.links = links
}

func (f *fakeCollector) inFlight() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.begun > f.passes
}

func (f *fakeCollector) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passes
}

// fakeWatcher tells of changes when the test does.
type fakeWatcher struct {
	fakeCollector
	tell  chan string   // as changes
	fail  chan error    // ends a watch
	stays time.Duration // how long a watch outlives its context
	begin func() error  // nil means that a watch can begin

	began []time.Time
}

func newFakeWatcher(source string) *fakeWatcher {
	return &fakeWatcher{fakeCollector: fakeCollector{source: source}, tell: make(chan string), fail: make(chan error)}
}

func (f *fakeWatcher) Watch(ctx context.Context, changed func(collectors.Change)) error {
	f.mu.Lock()
	f.began = append(f.began, time.Now())
	f.mu.Unlock()
	if f.begin != nil {
		if err := f.begin(); err != nil {
			return err
		}
	}
	changed(collectors.Change{Event: "watching"})
	for {
		select {
		case <-ctx.Done():
			time.Sleep(f.stays)
			return ctx.Err()
		case err := <-f.fail:
			return err
		case entity := <-f.tell:
			changed(collectors.Change{Entity: entity, Event: "changed"})
		}
	}
}

func (f *fakeWatcher) watches() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.began...)
}

// fakeWire takes what would be published.
type fakeWire struct {
	wire
	mu        sync.Mutex
	published []*inventory.Observation
	beats     []bus.Heartbeat
	beatAt    []time.Time
	at        []time.Time
	forgotten int
	refuse    func(*inventory.Observation) error
	again     chan struct{}
	hear      func(bus.Heartbeat) // gets each beat, as from a server; nil while nothing comes through
}

func newFakeWire() *fakeWire {
	f := &fakeWire{again: make(chan struct{}, 1)}
	f.wire = wire{
		publish: func(_ context.Context, o *inventory.Observation) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.refuse != nil {
				if err := f.refuse(o); err != nil {
					return err
				}
			}
			f.published, f.at = append(f.published, o), append(f.at, time.Now())
			return nil
		},
		beat: func(h bus.Heartbeat) error {
			f.mu.Lock()
			f.beats, f.beatAt = append(f.beats, h), append(f.beatAt, time.Now())
			hear := f.hear
			f.mu.Unlock()
			if hear != nil {
				hear(h)
			}
			return nil
		},
		forget: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.forgotten++
		},
		server: func() string { return "fake" },
		again:  f.again, gone: make(chan struct{}), close: func() {},
	}
	return f
}

func (f *fakeWire) refuseWith(refuse func(*inventory.Observation) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = refuse
}

// carry lets heartbeats through to the agent, or not.
func (f *fakeWire) carry(hear func(bus.Heartbeat)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hear = hear
}

func (f *fakeWire) docs() []*inventory.Observation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*inventory.Observation(nil), f.published...)
}

func (f *fakeWire) lastBeat(t *testing.T) bus.Heartbeat {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.beats) == 0 {
		t.Fatal("there was no heartbeat")
	}
	return f.beats[len(f.beats)-1]
}

var errAway = errors.New("server is away")

func newIdentity(tb testing.TB, dir string) *hostid.Identity {
	tb.Helper()
	id, err := hostid.Open(dir, hostid.Evidence{MachineID: uuid.MustParse("11111111-0000-4000-8000-000000000001")}, time.Now())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(id.Close)
	return id
}

func newAgent(tb testing.TB, o Options) *Agent {
	tb.Helper()
	if o.Identity == nil {
		o.Identity = newIdentity(tb, tb.TempDir())
	}
	if o.Connect == nil {
		o.Connect = func(context.Context) (*bus.Conn, error) { return nil, errAway }
	}
	a, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}
