package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/sentral"
)

const (
	// startWithin is how long the streams may take to be made and read.
	startWithin = 30 * time.Second
	// beginAgain is the pause after streams that could not be made yet.
	beginAgain = 2 * time.Second
)

// Options are a server's. Conn, Site and Watch are needed.
type Options struct {
	Conn *bus.Conn // closed by the caller, after Run
	Site string
	// Watch calls fn with the inventory, and again when it differs, until ctx ends.
	Watch  func(ctx context.Context, fn func(*sentral.Inventory))
	Policy reconcile.Policy
	// WatchPolicy calls fn with another policy, or with why there is no newer one,
	// until ctx ends; may be nil.
	WatchPolicy func(ctx context.Context, fn func(reconcile.Policy, error))
	// Keep is the file in which the inventory in use is kept over a restart, so
	// that one which lost much meanwhile is noticed; "" keeps none.
	Keep   string
	Logger *slog.Logger
	// Listening is called once, when everything that hosts say from then on is
	// heard: an agent that begins sooner is heard at its second heartbeat. May be nil.
	Listening func()
	// Observed is called with each document that is taken; may be nil.
	Observed func(*inventory.Observation)
	// Stepped is called with how long each step took; may be nil.
	Stepped func(time.Duration)
}

// Server runs the reconciler of one site.
type Server struct {
	o       Options
	log     *slog.Logger
	engine  *engine.Engine
	store   *store
	out     *outbox
	kept    keeper
	agents  *agents
	pulse   pulse
	hearing hearing
	lacks   atomic.Pointer[string] // what of NATS it waits for before it begins, nil for nothing
	ledger  *ledger
	news    chan struct{} // holds one when a step may be due

	leading atomic.Bool // it has the lease

	counts  engine.Counts           // as logged last
	holes   map[holeKey]bool        // as logged last
	asked   map[uuid.UUID]time.Time // when each host was asked last
	waiting string
	ready   bool
}

// New makes a server.
func New(o Options) *Server {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	hostname, _ := os.Hostname()
	// Who it is stands with every finding it writes, so that two can be told apart.
	self := fmt.Sprintf("%s %s/%d", uuid.New(), hostname, os.Getpid())
	store := newStore(o.Conn, o.Site, self)
	return &Server{
		o: o, log: o.Logger,
		engine: engine.New(o.Site, o.Policy),
		store:  store,
		out:    newOutbox(),
		agents: newAgents(),
		ledger: newLedger(o.Conn, o.Site, o.Policy, store.holds, o.Logger),
		news:   make(chan struct{}, 1),
		asked:  map[uuid.UUID]time.Time{},
	}
}

// Run reconciles whenever it has the site's lease, until ctx ends, and then writes
// what is left to write. While another one has it, both books are kept current, so
// that nothing has to be read when it is our turn. An error means that it could
// not begin, or that the connection was closed for good.
func (s *Server) Run(ctx context.Context) error {
	if err := s.begin(ctx); ctx.Err() != nil {
		return nil // it was stopped before it had begun
	} else if err != nil {
		return fmt.Errorf("start the reconciler: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	beats, err := s.o.Conn.Heartbeats(s.heartbeats())
	if err != nil {
		return fmt.Errorf("start the reconciler: %w", err)
	}
	held, err := s.o.Conn.AnswerHeld(s.o.Site, func(subject string, err error) {
		s.log.Warn("a host's question is not answered", "subject", subject, "err", err)
	})
	if err != nil {
		return fmt.Errorf("start the reconciler: %w", errors.Join(err, beats.Unsubscribe()))
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { s.keepListening(ctx) })
	tasks.Go(func() { s.keepOn(ctx) })
	tasks.Go(func() {
		s.recall(ctx)
		s.o.Watch(ctx, s.intend)
	})
	tasks.Go(func() {
		if err := s.o.Conn.Observations(ctx, s.observations()); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	tasks.Go(func() {
		if err := s.takeTurns(ctx); err != nil && ctx.Err() == nil {
			cancel(err)
		}
	})
	tasks.Go(func() {
		if err := s.o.Conn.Tasks(ctx, s.o.Site, s.tasks()); err != nil {
			s.log.Warn("Maskin's tasks can't be heard", "err", err)
		}
	})
	if s.o.WatchPolicy != nil {
		tasks.Go(func() { s.o.WatchPolicy(ctx, s.judge) })
	}
	<-ctx.Done()
	// Neither fails but on a connection that is closed already.
	_ = beats.Unsubscribe()
	_ = held.Unsubscribe()
	tasks.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// begin makes the streams, and waits while JetStream doesn't answer yet, as that of a
// cluster which is about to start.
func (s *Server) begin(ctx context.Context) error {
	said := ""
	for {
		err := s.ensureStreams(ctx)
		if err == nil || ctx.Err() != nil || !bus.IsAway(err) {
			s.lacks.Store(nil)
			return err
		}
		if why := "waiting for JetStream: " + err.Error(); why != said {
			said = why
			s.lacks.Store(&why)
			s.log.Warn("JetStream is waited for", "err", err)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(beginAgain):
		}
	}
}

func (s *Server) ensureStreams(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	return s.o.Conn.EnsureStreams(ctx)
}

// Refuse notes something of a host that was refused elsewhere.
func (s *Server) Refuse(r reconcile.Refusal) {
	s.engine.Refuse(r)
	s.poke()
}

func (s *Server) poke() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}
