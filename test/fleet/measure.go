package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/sentral"
)

// Reconciler is the reconcilers of all sites in one process: what a server is made
// of, without what it writes.
type Reconciler struct {
	fleet   *Fleet
	inv     *sentral.Inventory
	engines map[string]*engine.Engine
	sites   []string
	clock   time.Time // as the engines see it
}

// NewReconciler begins with an inventory and no documents.
func NewReconciler(f *Fleet) *Reconciler {
	r := &Reconciler{fleet: f, inv: f.Inventory(), engines: map[string]*engine.Engine{}, clock: epoch}
	for s := range f.Sites {
		e := engine.New(f.SiteName(s), reconcile.DefaultPolicy())
		e.Intend(r.inv)
		r.engines[f.SiteName(s)] = e
	}
	r.sites = slices.Sorted(maps.Keys(r.engines))
	return r
}

// Read reads the last documents from the stream, and returns when all have come.
func (r *Reconciler) Read(ctx context.Context, conn *bus.Conn) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := errors.New("all have come")
	err := conn.Observations(ctx, bus.ObservationHandler{
		Observation: func(o *inventory.Observation) { r.engines[o.Site].Observe(o, r.clock) },
		Refused:     func(subject string, err error) { cancel(fmt.Errorf("%s: %w", subject, err)) },
		Ready:       func() { cancel(done) },
	})
	if cause := context.Cause(ctx); !errors.Is(cause, done) {
		return errors.Join(cause, err)
	}
	return nil
}

// Judge makes every engine's first step, as soon as it may: nobody is waited for
// any more. What is pending opens with the second.
func (r *Reconciler) Judge() (open int, err error) {
	for _, site := range r.sites {
		e := r.engines[site]
		e.Delivered()
		e.Listen(r.clock)
		for h := range r.fleet.Hosts {
			if r.fleet.SiteName(h) == site {
				e.Hear(engine.Heartbeat{Host: HostID(h), Site: site, At: r.clock, Epoch: 1})
			}
		}
		out := e.Step(r.clock)
		if out.Waiting != "" {
			return 0, fmt.Errorf("site %s: %s", site, out.Waiting)
		}
		open += out.Status.Findings.Open + out.Status.Findings.Pending
	}
	return open, nil
}

// Found counts findings that are not resolved, by kind.
func (r *Reconciler) Found() map[reconcile.Kind]int {
	found := map[reconcile.Kind]int{}
	for _, e := range r.engines {
		for _, f := range e.Findings() {
			if f.State != reconcile.Resolved {
				found[f.Kind]++
			}
		}
	}
	return found
}

// Change has one host show something else, and gives how long that took to be
// judged: the document taken in, and a step.
func (r *Reconciler) Change(host int, s State) (time.Duration, error) {
	site := r.fleet.SiteName(host)
	documents := r.fleet.Documents(host, s)
	if len(documents) == 0 {
		return 0, nil
	}
	o := documents[len(documents)-1]
	r.clock = r.clock.Add(time.Millisecond)
	e := r.engines[site]
	begin := time.Now()
	taken := e.Observe(o, r.clock)
	out := e.Step(r.clock)
	took := time.Since(begin)
	if taken != engine.Newer || out.Waiting != "" {
		return 0, fmt.Errorf("host %d: its document is %s, waiting for %q", host, taken, out.Waiting)
	}
	return took, nil
}

// Silence lets every host of a site but one fall silent, and gives how long it took
// to judge that.
func (r *Reconciler) Silence(site string) (took time.Duration, findings int) {
	e := r.engines[site]
	r.clock = r.clock.Add(reconcile.DefaultPolicy().StaleAfter + time.Second)
	for h := range r.fleet.Hosts { // every other site speaks
		if other := r.fleet.SiteName(h); other != site {
			r.engines[other].Hear(engine.Heartbeat{Host: HostID(h), Site: other, At: r.clock, Epoch: 1})
		}
	}
	begin := time.Now()
	out := e.Step(r.clock)
	return time.Since(begin), out.Status.Findings.Open + out.Status.Findings.Pending
}

// FullPass runs the pure core once over everything, all sites together.
func (r *Reconciler) FullPass() (time.Duration, int) {
	in := reconcile.Input{Intended: r.inv, Heard: map[uuid.UUID]time.Time{}, Policy: reconcile.DefaultPolicy(), Now: r.clock}
	for h := range r.fleet.Hosts {
		in.Heard[HostID(h)] = r.clock
		for _, o := range r.fleet.Documents(h, 0) {
			in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: r.clock})
		}
	}
	runtime.GC()
	begin := time.Now()
	result := reconcile.Reconcile(in)
	return time.Since(begin), len(result.Findings)
}

// Heap is what the process's live objects take, in bytes.
func Heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
