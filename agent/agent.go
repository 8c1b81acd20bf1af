package agent

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors"
)

// The defaults of [Options].
const (
	DefaultInterval = 30 * time.Second
	DefaultRefresh  = 10 * time.Minute
	DefaultBeat     = 10 * time.Second
)

// Options are an agent's. Collectors, Identity and Connect are needed.
type Options struct {
	Collectors []collectors.Collector
	Identity   *hostid.Identity
	// Connect is called until it succeeds, and again if the connection is lost
	// for good. The agent closes what it returns.
	Connect func(context.Context) (*bus.Conn, error)

	Site     string        // "" means bus.DefaultSite
	Version  string        // of the agent, for its heartbeats
	BootID   string        // of the kernel
	Hostname func() string // asked at each heartbeat, as it may change; nil means none

	Interval time.Duration // between two passes of one collector that no event caused; jittered by a tenth
	Timeout  time.Duration // of one pass; zero means the runner's default
	Refresh  time.Duration // a document is published at least this often, changed or not
	Beat     time.Duration // between two heartbeats; jittered by a tenth

	Logger *slog.Logger // nil means none
}

// Agent observes one host.
type Agent struct {
	o           Options
	log         *slog.Logger
	incarnation uuid.UUID
	board       *board
	clone       *suspicion
	ledger      *ledger
	conn        atomic.Pointer[bus.Conn] // nil while there is none
	anew        chan struct{}            // holds one when the connection is to be made anew

	mu   sync.Mutex
	wire *wire // nil while there is none
}

// New makes an agent.
func New(o Options) (*Agent, error) {
	switch {
	case len(o.Collectors) == 0:
		return nil, errors.New("make agent: it has no collectors")
	case o.Identity == nil || o.Connect == nil:
		return nil, errors.New("make agent: it has no identity or no way to connect")
	}
	setDefault(&o.Site, bus.DefaultSite)
	setDefault(&o.Interval, DefaultInterval)
	setDefault(&o.Refresh, DefaultRefresh)
	setDefault(&o.Beat, DefaultBeat)
	if o.Hostname == nil {
		o.Hostname = func() string { return "" }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	for _, c := range o.Collectors {
		if err := (bus.Key{Site: o.Site, Host: o.Identity.ID(), Source: c.Source()}).Check(); err != nil {
			return nil, err
		}
	}
	return &Agent{
		o: o, log: o.Logger, incarnation: uuid.New(),
		board: newBoard(o),
		clone: &suspicion{}, ledger: newLedger(),
		anew: make(chan struct{}, 1),
	}, nil
}

func setDefault[T comparable](value *T, to T) {
	var zero T
	if *value == zero {
		*value = to
	}
}

// Run observes and publishes until ctx ends, and returns when everything that
// it started has ended.
func (a *Agent) Run(ctx context.Context) error {
	var tasks sync.WaitGroup
	for _, c := range a.o.Collectors {
		tasks.Go(func() { a.observe(ctx, c) })
	}
	tasks.Go(func() { a.stayConnected(ctx) })
	tasks.Wait()
	return nil
}

// observe passes over one source for as long as ctx lasts: at each interval, and
// when the source tells of a change.
func (a *Agent) observe(ctx context.Context, c collectors.Collector) {
	due := newSchedule(a.o.Interval)
	defer due.stop()
	if w, tells := c.(collectors.Watcher); tells {
		defer a.listen(ctx, w, due.told)()
	}
	runner := &collectors.Runner{Collector: c, Timeout: a.o.Timeout}
	for {
		byEvent, ok := due.next(ctx)
		if !ok {
			return
		}
		began := time.Now()
		o := runner.Run(ctx)
		if ctx.Err() != nil {
			return // it may have been cut short: say nothing
		}
		a.ledger.passed(o, time.Since(began), time.Now())
		if err := a.board.offer(o, time.Now()); err != nil {
			a.log.Error("observation can't be sealed", "source", o.Source, "err", err)
		}
		due.done(byEvent, time.Since(began))
	}
}

// jitter spreads what many agents do at one interval: it gives d, give or take
// a tenth.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// sleep waits for d, and says false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
