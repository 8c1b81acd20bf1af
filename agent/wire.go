package agent

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

// askedRest is how long no other question is answered after one: a reconciler asks
// each ten seconds at most, and nobody else is to keep an agent busy.
const askedRest = 5 * time.Second

// wire is what an agent does with one connection.
type wire struct {
	publish func(context.Context, *inventory.Observation) error
	forget  func() // what is known of the stream
	beat    func(bus.Heartbeat) error
	server  func() string   // that it goes to, "" while it is away
	again   <-chan struct{} // holds one after a reconnect, and when a reader lacks a document
	gone    <-chan struct{} // closed when the connection won't come back
	close   func()
}

// connect makes a wire, trying until it can.
func (a *Agent) connect(ctx context.Context) (*wire, bool) {
	select {
	case <-a.anew: // what is about to be done
	default:
	}
	said := ""
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		w, err := a.dial(ctx)
		switch {
		case err == nil:
			return w, true
		case ctx.Err() != nil:
			return nil, false
		case err.Error() != said:
			var looked []string
			if none, ok := errors.AsType[*bus.NoServerError](err); ok {
				looked = none.Tried
			}
			a.log.Warn("not connected to NATS; trying again", "err", err, "looked", looked)
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil, false
		case <-a.anew:
			wait, said = time.Second, ""
		case <-time.After(jitter(wait)):
		}
	}
}

func (a *Agent) dial(ctx context.Context) (*wire, error) {
	conn, err := a.o.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := conn.CheckServer(); err != nil {
		conn.Close()
		return nil, err
	}
	_, err = conn.HeartbeatsOf(a.o.Site, a.o.Identity.ID(), bus.HeartbeatHandler{
		Beat:    a.heard,
		Refused: func(_ string, err error) { a.log.Warn("heartbeat under our name can't be read", "err", err) },
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	again := make(chan struct{}, 1)
	var asked time.Time // its handler is called once at a time
	if _, err := conn.Asked(a.o.Site, a.o.Identity.ID(), func() {
		if asked.IsZero() || time.Since(asked) >= askedRest {
			asked = time.Now()
			signal(again)
		}
	}); err != nil {
		conn.Close()
		return nil, err
	}
	publisher := conn.NewPublisher(a.incarnation)
	w := &wire{publish: publisher.Publish, forget: publisher.Forget, beat: conn.Beat, again: again}
	w.server = func() string {
		if !conn.NATS().IsConnected() {
			return ""
		}
		return conn.Server()
	}
	w.gone = watch(conn.NATS(), again)
	a.conn.Store(conn)
	w.close = func() {
		a.conn.Store(nil)
		conn.Close()
		<-w.gone
	}
	a.log.Info("connected to NATS", "server", conn.Server())
	return w, nil
}

// watch turns the connection's states into signals until it is closed.
func watch(nc *nats.Conn, back chan<- struct{}) (gone <-chan struct{}) {
	closed := make(chan struct{})
	states := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	go func() {
		defer close(closed)
		for state := range states {
			if state == nats.CLOSED {
				return
			}
			signal(back)
		}
	}()
	return closed
}

// signal leaves one in a channel that holds one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// heard takes a heartbeat under our own name.
func (a *Agent) heard(beat bus.Heartbeat) {
	switch beat.Incarnation {
	case uuid.Nil:
	case a.incarnation:
		if a.clone.count() {
			a.board.wake()
		}
	default:
		a.suspect(&bus.CloneError{Host: beat.Host, Epoch: a.o.Identity.Epoch(), Other: beat.Epoch, Hostname: beat.Hostname,
			Elsewhere: beat.BootID == "" || beat.BootID != a.o.BootID})
	}
}

func (a *Agent) suspect(err *bus.CloneError) {
	if a.clone.raise(err.Error(), err.Other, err.Elsewhere) {
		a.log.Error("publishing is stopped: this host's identity is used twice", "err", err)
	}
}
