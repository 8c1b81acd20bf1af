package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/sentral"
)

// Reconciler is the reconcilers of all sites in one process, under a clock of its
// own: what servers are made of.
type Reconciler struct {
	fleet   *Fleet
	inv     *sentral.Inventory
	engines map[string]*engine.Engine
	sites   []string
	clock   time.Time // as the engines see it

	mu sync.Mutex
	// held is the newest document of each source, as its host would say.
	held map[uuid.UUID][]engine.SourceState
}

// NewReconciler begins with an inventory and no documents.
func NewReconciler(f *Fleet) *Reconciler {
	r := &Reconciler{fleet: f, inv: f.Inventory(), engines: map[string]*engine.Engine{}, clock: epoch, held: map[uuid.UUID][]engine.SourceState{}}
	for s := range f.Sites {
		e := engine.New(f.Site(s), f.Policy())
		e.Intend(r.inv)
		r.engines[f.Site(s)] = e
	}
	r.sites = slices.Sorted(maps.Keys(r.engines))
	return r
}

// Intended is the inventory.
func (r *Reconciler) Intended() *sentral.Inventory { return r.inv }

// Intend takes another inventory.
func (r *Reconciler) Intend(inv *sentral.Inventory) {
	r.inv = inv
	for _, site := range r.sites {
		r.engines[site].Intend(inv)
	}
}

// Read reads the last documents from the stream, and returns when all have come.
func (r *Reconciler) Read(ctx context.Context, conn *bus.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := errors.New("all have come")
	err := conn.Observations(ctx, bus.ObservationHandler{
		Observation: func(o *inventory.Observation) { r.observe(o, r.clock) },
		Refused: func(subject string, err error) {
			if key, unknown := bus.ParseObservedSubject(subject); unknown == nil && key.Source == sourceImages {
				r.engines[key.Site].Refuse(reconcile.Refusal{Host: key.Host, Site: key.Site, Source: key.Source, Reason: err.Error(), At: r.clock})
				return
			}
			cancel(fmt.Errorf("%s: %w", subject, err))
		},
		Ready: func() { cancel(done) },
	})
	if cause := context.Cause(ctx); !errors.Is(cause, done) {
		return errors.Join(cause, err)
	}
	return nil
}

func (r *Reconciler) observe(o *inventory.Observation, now time.Time) engine.Reception {
	taken := r.engines[o.Site].Observe(o, now)
	r.mu.Lock()
	defer r.mu.Unlock()
	if taken == engine.Newer {
		state := engine.SourceState{Source: o.Source, Position: engine.Position{Epoch: o.Epoch, Gen: o.Gen, Digest: o.Digest}}
		all := r.held[o.Host]
		if i := slices.IndexFunc(all, func(s engine.SourceState) bool { return s.Source == o.Source }); i >= 0 {
			all[i] = state
		} else {
			r.held[o.Host] = append(all, state)
		}
	}
	return taken
}

// Judge makes every engine's first step, as soon as it may: nobody is waited for
// any more.
func (r *Reconciler) Judge() (open int, err error) {
	for _, site := range r.sites {
		e := r.engines[site]
		e.Delivered()
		e.Listen(r.clock)
		for _, t := range r.fleet.Tasks(site) {
			e.Task(t, t.Ended, r.clock)
		}
	}
	r.beat(r.clock, Everybody)
	_, err = r.Step()
	return r.count(), err
}

// beat has the agents of hosts be heard, as far as they speak.
func (r *Reconciler) beat(now time.Time, speaks func(host int) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for h := range r.fleet.Hosts {
		d, id := r.fleet.hostDrift(h), HostID(h)
		if d != nil && d.silent || !speaks(h) {
			continue
		}
		b := engine.Heartbeat{Host: id, Site: r.fleet.siteOf(h), At: now, Sent: now, Epoch: 1, Sources: slices.Clone(r.held[id])}
		if d != nil && d.clock {
			b.Sent = b.Sent.Add(aheadBy)
		}
		if d != nil && d.gap {
			i := slices.IndexFunc(b.Sources, func(s engine.SourceState) bool { return s.Source == sourceNetwork })
			b.Sources[i].Gen++
		}
		r.engines[b.Site].Hear(b)
	}
}

// siteOf is where a host's agent believes that it is.
func (f *Fleet) siteOf(host int) string {
	if d := f.hostDrift(host); d != nil && d.plant != nil {
		return f.host(host).site
	}
	return f.Site(host)
}

// Wait lets time pass, in which the hosts that speak are heard, and steps.
func (r *Reconciler) Wait(d time.Duration, speaks func(host int) bool) ([]reconcile.Event, error) {
	r.clock = r.clock.Add(d)
	r.beat(r.clock, func(h int) bool { return r.fleet.speaks(h) && speaks(h) })
	return r.Step()
}

// speaks says whether a host still does, after the beginning.
func (f *Fleet) speaks(host int) bool {
	drift := f.hostDrift(host)
	return drift == nil || !drift.stale
}

// Settling is how long a host is silent until it is called so, and longer than what
// heartbeats tell takes to be believed.
const Settling = silentFor

// Everybody is for [Reconciler.Wait].
func Everybody(int) bool { return true }

// Step has every engine judge, all at the same time, as the sites' servers do.
func (r *Reconciler) Step() (events []reconcile.Event, err error) {
	outcomes := make([]engine.Outcome, len(r.sites))
	var judging sync.WaitGroup
	for i, site := range r.sites {
		judging.Go(func() { outcomes[i] = r.engines[site].Step(r.clock) })
	}
	judging.Wait()
	for i, out := range outcomes {
		if out.Waiting != "" {
			return nil, fmt.Errorf("site %s: %s", r.sites[i], out.Waiting)
		}
		events = append(events, out.Events...)
	}
	return events, nil
}

func (r *Reconciler) count() (n int) {
	for _, n1 := range r.Found() {
		n += n1
	}
	return n
}

// Found counts findings that are not resolved, by kind. What several sites'
// reconcilers find of one thing is one finding.
func (r *Reconciler) Found() map[reconcile.Kind]int {
	found := map[reconcile.Kind]int{}
	for _, f := range r.Findings() {
		found[f.Kind]++
	}
	return found
}

// Findings are those that are not resolved.
func (r *Reconciler) Findings() (all []reconcile.Finding) {
	seen := map[string]bool{}
	for _, site := range r.sites {
		for _, f := range r.engines[site].Findings() {
			if f.State != reconcile.Resolved && !seen[f.ID] {
				seen[f.ID] = true
				all = append(all, f)
			}
		}
	}
	return all
}

// Change takes another document of a host, and gives how long that took to be
// judged: the document taken in, and a step.
func (r *Reconciler) Change(o *inventory.Observation) (time.Duration, error) {
	r.clock = r.clock.Add(time.Millisecond)
	e := r.engines[o.Site]
	begin := time.Now()
	taken := r.observe(o, r.clock)
	out := e.Step(r.clock)
	took := time.Since(begin)
	if taken != engine.Newer || out.Waiting != "" {
		return 0, fmt.Errorf("host %s: its document is %s, waiting for %q", o.Host, taken, out.Waiting)
	}
	return took, nil
}

// Silence lets every host of a site fall silent, and gives how long it took to
// judge that.
func (r *Reconciler) Silence(site string) (took time.Duration, err error) {
	r.clock = r.clock.Add(silentFor)
	r.beat(r.clock, func(h int) bool { return r.fleet.speaks(h) && r.fleet.siteOf(h) != site })
	begin := time.Now()
	_, err = r.Step()
	return time.Since(begin), err
}

// FullPass runs the pure core once over everything, all sites together, for its
// findings, as an engine does and a join.
func (f *Fleet) FullPass() (Used, []reconcile.Finding) {
	in := f.Input(f.Inventory(), epoch)
	runtime.GC()
	watch := Start()
	findings := reconcile.Findings(in)
	return watch.Used(), findings
}

// Heap is what the process's live objects take, in bytes.
func Heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
