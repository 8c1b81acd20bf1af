package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// The rhythm of a server.
const (
	settle     = 100 * time.Millisecond // news gather for so long
	restFactor = 4                      // and a step is followed by a rest of as many times what it took
	beatEvery  = 10 * time.Second
	// drainWithin is how long a pace is waited for after the last document.
	drainWithin = 5 * time.Minute
)

// Live is a reconciler at work, by the real clock: it takes documents as they are
// published, steps in the rhythm of a server, and writes findings and events.
type Live struct {
	r     *Reconciler
	conn  *bus.Conn
	base  time.Time // what the engines' clock was at began
	began time.Time
	end   context.CancelCauseFunc
	tasks sync.WaitGroup
	ready chan struct{}

	mu     sync.Mutex
	behind []uint64 // with each document, how many the stream had behind it

	taken, told atomic.Int64 // documents and events
	longest     atomic.Int64 // step, in ns
	breaks      atomic.Int64 // of reading
	busy        atomic.Int64 // sites that may be stepping or writing
}

// errEnded is why a [Live] ends in order.
var errEnded = errors.New("it was told to end")

// Live begins, and returns when everything that was published before has been read.
func (r *Reconciler) Live(ctx context.Context, conn *bus.Conn) (*Live, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &Live{r: r, conn: conn, base: r.clock.Add(time.Second), began: time.Now(), end: cancel, ready: make(chan struct{})}
	l.tasks.Go(func() {
		if err := conn.Observations(ctx, l.handler(cancel)); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	l.tasks.Go(func() { l.beat(ctx) })
	for _, site := range r.sites {
		l.tasks.Go(func() { l.step(ctx, site, cancel) })
	}
	select {
	case <-l.ready:
		l.taken.Store(0)
		return l, nil
	case <-ctx.Done():
		l.tasks.Wait()
		return nil, context.Cause(ctx)
	}
}

func (l *Live) now() time.Time { return l.base.Add(time.Since(l.began)) }

func (l *Live) handler(cancel context.CancelCauseFunc) bus.ObservationHandler {
	return bus.ObservationHandler{
		Observation: func(o *inventory.Observation) {
			if l.r.observe(o, l.now()) == engine.Newer {
				l.taken.Add(1)
			}
		},
		Refused: func(subject string, err error) {
			if key, unknown := bus.ParseObservedSubject(subject); unknown != nil || key.Source != sourceImages {
				cancel(fmt.Errorf("%s: %w", subject, err))
			}
		},
		Ready: func() { close(l.ready) },
		Lost:  func(error) { l.breaks.Add(1) },
		Behind: func(n uint64) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.behind = append(l.behind, n)
		},
	}
}

// beat has the hosts heard as often as agents speak.
func (l *Live) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		l.r.beat(l.now(), l.r.fleet.speaks)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// step judges a site whenever there is news.
func (l *Live) step(ctx context.Context, site string, cancel context.CancelCauseFunc) {
	rest := settle
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		l.busy.Add(1)
		took, err := l.judge(ctx, site)
		l.busy.Add(-1)
		if err != nil {
			cancel(err)
			return
		}
		rest = max(settle, restFactor*took)
	}
}

// judge makes a step if one is due, and gives how long it took.
func (l *Live) judge(ctx context.Context, site string) (took time.Duration, err error) {
	e := l.r.engines[site]
	if !e.Due(l.now()) {
		return 0, nil
	}
	begin := time.Now()
	out := e.Step(l.now())
	took = time.Since(begin)
	l.longest.Store(max(l.longest.Load(), int64(took)))
	return took, l.write(ctx, site, out)
}

// write puts findings and then events on their streams.
func (l *Live) write(ctx context.Context, site string, out engine.Outcome) error {
	for i := range out.Changed {
		f := &out.Changed[i]
		data, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode finding %s: %w", f.ID, err)
		}
		subject, err := bus.FindingSubject(site, f.ID)
		if err != nil {
			return err
		}
		if _, err := l.conn.JetStream().PublishAsync(subject, data); err != nil {
			return fmt.Errorf("write finding %s: %w", f.ID, err)
		}
	}
	for i := range out.Events {
		if err := Tell(ctx, l.conn, site, []reconcile.Event{out.Events[i]}); err != nil {
			return err
		}
		l.told.Add(1)
	}
	return nil
}

// Pace is how a reconciler kept up while something was published.
type Pace struct {
	Documents, Events int64
	// Taken is how many of the documents were taken in the end, Breaks how often
	// reading broke off, after which everything is read again.
	Taken, Breaks int64
	Drained       time.Duration // of it after the last was published
	// Behind is how many documents were on the stream and not read yet, on the mean of
	// the first half of the documents and of the second, and at most.
	Behind      [2]float64
	MostBehind  uint64
	LongestStep time.Duration
	Used        // until all was taken, judged and told
}

func (l *Live) Follow(ctx context.Context, publish func() (documents int, err error)) (Pace, error) {
	events, breaks, watch := l.told.Load(), l.breaks.Load(), Start()
	l.taken.Store(0)
	l.mu.Lock()
	l.behind = nil
	l.mu.Unlock()
	l.longest.Store(0)
	n, err := publish()
	if err != nil {
		return Pace{}, err
	}
	published := time.Now()
	for l.taken.Load() < int64(n) || l.due() {
		if time.Since(published) > drainWithin {
			break
		}
		select {
		case <-ctx.Done():
			return Pace{}, context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
	p := Pace{
		Taken: l.taken.Load(), Breaks: l.breaks.Load() - breaks,
		Documents: int64(n), Events: l.told.Load() - events, Drained: time.Since(published),
		LongestStep: time.Duration(l.longest.Load()), Used: watch.Used(),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if half := len(l.behind) / 2; half > 0 {
		p.Behind, p.MostBehind = [2]float64{mean(l.behind[:half]), mean(l.behind[half:])}, slices.Max(l.behind)
	}
	return p, nil
}

func mean(all []uint64) (m float64) {
	for _, n := range all {
		m += float64(n) / float64(len(all))
	}
	return m
}

// due says whether some site has news that it hasn't judged or told yet.
func (l *Live) due() bool {
	now := l.now()
	for _, site := range l.r.sites {
		if l.r.engines[site].Due(now) {
			return true
		}
	}
	return l.busy.Load() > 0
}

// End ends it; the reconciler goes on by its own clock.
func (l *Live) End() {
	l.end(errEnded)
	l.tasks.Wait()
	l.r.clock = l.now()
}
