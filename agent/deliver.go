package agent

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

const (
	// publishWithin is how long a stream has to acknowledge a document.
	publishWithin = 10 * time.Second
	retryFirst    = time.Second
	retryMost     = 30 * time.Second
)

// stayConnected publishes and beats over one connection after another.
func (a *Agent) stayConnected(ctx context.Context) {
	for {
		w, ok := a.connect(ctx)
		if !ok {
			return
		}
		a.hold(w)
		asked := a.serve(ctx, w)
		a.hold(nil)
		w.close()
		if ctx.Err() != nil {
			return
		}
		if !asked {
			a.log.Warn("NATS connection was closed; connecting anew")
		}
		a.board.again()
	}
}

func (a *Agent) hold(w *wire) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.wire = w
}

// serve publishes and beats until ctx ends, the wire is gone or another one is
// asked for.
func (a *Agent) serve(ctx context.Context, w *wire) (asked bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var tasks sync.WaitGroup
	tasks.Go(func() { a.beat(ctx, w) })
	tasks.Go(func() {
		select {
		case <-w.gone:
			cancel()
		case <-a.anew:
			asked = true
			cancel()
		case <-ctx.Done():
		}
	})
	a.deliver(ctx, w)
	tasks.Wait()
	return asked
}

// deliver publishes what is due, and what could not be published again after a
// while.
func (a *Agent) deliver(ctx context.Context, w *wire) {
	retry := retryFirst
	said := ""
	for {
		var again <-chan time.Time
		err := a.deliverOnce(ctx, w)
		switch {
		case ctx.Err() != nil:
			return
		case a.clone.why() != "": // its end wakes us
		case err != nil:
			if err.Error() != said {
				a.log.Warn("observation is not published; trying again", "err", err)
				said = err.Error()
			}
			again = time.After(jitter(retry))
			retry = min(2*retry, retryMost)
		default:
			retry, said = retryFirst, ""
		}
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-a.board.changed:
		case <-w.again:
			retry = retryFirst
			w.forget()
			a.board.again()
		}
	}
}

// deliverOnce publishes everything that is due. One document that can't be
// published doesn't keep back the others; the first error is returned.
func (a *Agent) deliverOnce(ctx context.Context, w *wire) error {
	if !a.cleared() {
		return nil
	}
	var first error
	for _, o := range a.board.due() {
		if a.clone.why() != "" || ctx.Err() != nil {
			break
		}
		err := a.publish(ctx, w, o)
		tooLarge, isTooLarge := errors.AsType[*bus.TooLargeError](err)
		clone, isClone := errors.AsType[*bus.CloneError](err)
		switch {
		case err == nil:
			a.ledger.published(o.Source)
			a.board.settle(o, "")
		case isTooLarge:
			// The heartbeat carries it, so that readers know what they miss.
			a.log.Error("observation is too large to be published", "source", o.Source, "err", tooLarge)
			a.board.settle(o, tooLarge.Error())
		case isClone:
			a.suspect(clone)
		case first == nil:
			first = err
		}
	}
	return first
}

func (a *Agent) publish(ctx context.Context, w *wire, o *inventory.Observation) error {
	ctx, cancel := context.WithTimeout(ctx, publishWithin)
	defer cancel()
	return w.publish(ctx, o)
}

// cleared says whether there is no suspicion of a clone, ending one that has
// been silent for long enough: its epoch is passed and everything said again.
func (a *Agent) cleared() bool {
	if a.clone.why() == "" {
		return true
	}
	used, over := a.clone.drop()
	if !over {
		return false
	}
	epoch, err := a.o.Identity.Pass(used)
	if err != nil {
		a.log.Error("epoch can't be moved on; trying again", "err", err)
		a.clone.raise(err.Error(), used, false)
		return false
	}
	a.log.Info("nobody else uses this host's identity: publishing again", "epoch", epoch)
	a.board.restamp()
	return true
}

// beat sends heartbeats until ctx ends.
func (a *Agent) beat(ctx context.Context, w *wire) {
	for {
		// One that fails is followed by the next, and the connection's own
		// events are in the log.
		if err := w.beat(a.heartbeat()); err != nil {
			a.log.Debug("heartbeat is lost", "err", err)
		}
		if !sleep(ctx, jitter(a.o.Beat)) {
			return
		}
	}
}

func (a *Agent) heartbeat() bus.Heartbeat {
	return bus.Heartbeat{
		Host: a.o.Identity.ID(), Site: a.o.Site, Hostname: a.o.Hostname(), Version: a.o.Version, BootID: a.o.BootID,
		Epoch: a.o.Identity.Epoch(), Incarnation: a.incarnation, At: time.Now().UTC(), Interval: a.o.Beat,
		Problem: a.clone.why(), Sources: a.board.states(),
	}
}
