package network

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dataverket/avstem/collectors"
)

const (
	// watchBuffer is what the kernel may queue of events, where it lets us have
	// it: by default some fifty of them fit.
	watchBuffer = 1 << 20
	// watchProbe is how often ovsdb-server is asked whether it is still there.
	watchProbe = 15 * time.Second
)

// Watch tells of changes of links, their addresses and their VLANs, by
// rtnetlink's groups, and of Open vSwitch's, by OVSDB's monitor. It ends with
// ctx, or when rtnetlink fails; an OVSDB that goes away, isn't there yet or
// doesn't answer is waited for. Nobody tells of what sysfs and LLDP know.
func (c *Collector) Watch(ctx context.Context, changed func(collectors.Change)) error {
	w := watch{Collector: c, changes: make(chan collectors.Change), buffer: watchBuffer, probe: watchProbe}
	return w.run(ctx, changed)
}

// watch is one Watch under way. Its two listeners send what they hear to one
// channel, so that one goroutine calls back; while it is busy they wait, and
// the kernel and ovsdb-server queue for them.
type watch struct {
	*Collector
	changes chan collectors.Change
	buffer  int
	probe   time.Duration
	// watching is set before it is said, so that whoever begins to listen later
	// knows that a pass may have begun before.
	watching atomic.Bool
}

func (w *watch) run(ctx context.Context, changed func(collectors.Change)) error {
	socket, err := w.subscribe()
	if err != nil {
		return fmt.Errorf("watch network: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var listeners sync.WaitGroup
	defer listeners.Wait()
	defer cancel(nil)
	listeners.Go(func() { cancel(w.hearRoute(ctx, socket)) })
	attempted := make(chan struct{})
	listeners.Go(func() { w.hearOVSDB(ctx, sync.OnceFunc(func() { close(attempted) })) })

	// Should ovsdb-server hang, its coming back will be a change of everything.
	patience := time.NewTimer(ovsPatience)
	defer patience.Stop()
	select {
	case <-ctx.Done():
		return fmt.Errorf("watch network: %w", context.Cause(ctx))
	case <-attempted:
	case <-patience.C:
	}
	w.watching.Store(true)
	changed(collectors.Change{Event: "watching"})
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch network: %w", context.Cause(ctx))
		case change := <-w.changes:
			changed(change)
		}
	}
}

// tell hands a change on, unless nobody listens any more.
func (w *watch) tell(ctx context.Context, change collectors.Change) {
	select {
	case w.changes <- change:
	case <-ctx.Done():
	}
}
