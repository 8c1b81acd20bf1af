package probe

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// eyes see what avstem would see of the VM: by passes of the runtime's collector,
// and by its events.
type eyes struct {
	runner   collectors.Runner
	interval time.Duration

	mu    sync.Mutex
	heard []event
	news  chan struct{} // has one element while something was heard

	stop  context.CancelFunc
	ended sync.WaitGroup
}

type event struct {
	collectors.Change
	at time.Time
}

// open begins to listen, where the collector's source tells of changes.
func open(ctx context.Context, c collectors.Collector, interval time.Duration) *eyes {
	ctx, stop := context.WithCancel(ctx)
	e := &eyes{runner: collectors.Runner{Collector: c}, interval: interval, news: make(chan struct{}, 1), stop: stop}
	if w, tells := c.(collectors.Watcher); tells {
		e.ended.Go(func() { e.listen(ctx, w) })
		e.awaitListening(ctx, time.Time{}, listenWithin)
	}
	return e
}

// listenWithin is how long a watch may take to begin. One that never does leaves
// the passes: nothing is told by event.
const listenWithin = 5 * time.Second

// listen watches, and again where the source has gone away and may come back.
func (e *eyes) listen(ctx context.Context, w collectors.Watcher) {
	for ctx.Err() == nil {
		_ = w.Watch(ctx, e.hear)
		select {
		case <-ctx.Done():
		case <-time.After(e.interval / 4):
		}
	}
}

// awaitListening waits until a watch has begun since the time given: it says so
// by a change of everything.
func (e *eyes) awaitListening(ctx context.Context, since time.Time, limit time.Duration) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !e.listens(since) {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			return
		case <-e.news:
		}
	}
}

func (e *eyes) listens(since time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.heard, func(h event) bool { return h.begins() && h.at.After(since) })
}

// begins says whether a watch says by it that it has begun (see
// [collectors.Watcher]), and not that something happened.
func (h *event) begins() bool {
	return h.Entity == "" && (strings.HasPrefix(h.Event, "watching") || strings.HasPrefix(h.Event, "listening"))
}

// names says whether it is about the VM of a name, which may have a project before
// it, or of an ID. A clone's name only begins like its VM's.
func (h *event) names(name string) bool {
	entity, ofVM := strings.CutPrefix(h.Entity, "vm:")
	return ofVM && name != "" && (entity == name || strings.HasSuffix(entity, "/"+name))
}

func (e *eyes) close() {
	e.stop()
	e.ended.Wait()
}

func (e *eyes) hear(change collectors.Change) {
	e.mu.Lock()
	e.heard = append(e.heard, event{change, time.Now()})
	e.mu.Unlock()
	select {
	case e.news <- struct{}{}:
	default:
	}
}

// forget drops what was heard so far.
func (e *eyes) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.heard = nil
}

// first gives the first event about a VM since the last forget. A guest
// without a system boots, finds nothing, and boots again: that it does tells of no
// other step than the one that asks for it.
func (e *eyes) first(step string, vm *VM, seen *inventory.VM) *event {
	names := []string{vm.Name}
	if vm.UUID != uuid.Nil {
		names = append(names, vm.UUID.String())
	}
	if seen != nil {
		names = append(names, seen.Key())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.heard {
		if step != "reboot" && slices.Contains([]string{"reboot", "RESET"}, e.heard[i].Event) {
			continue
		}
		if e.heard[i].Entity == "" && !e.heard[i].begins() { // it may be about any VM, and is heeded
			return &e.heard[i]
		}
		for _, name := range names {
			if e.heard[i].names(name) {
				return &e.heard[i]
			}
		}
	}
	return nil
}

// look makes a pass and finds the VM in it: nil where a complete pass doesn't
// have it, and false where the pass can't tell.
func (e *eyes) look(ctx context.Context, name string, id uuid.UUID) (seen *inventory.VM, tells bool) {
	o := e.runner.Run(ctx)
	for i := range o.VMs {
		vm := &o.VMs[i]
		if id != uuid.Nil && vm.UUID == id || id == uuid.Nil && vm.Name == name {
			return vm, true
		}
	}
	return nil, o.Complete
}

// await makes passes until the VM is as wanted or the time is over: at once, when
// something was heard, and each interval. It gives what was last seen.
func (e *eyes) await(ctx context.Context, limit time.Duration, vm *VM, wanted func(*inventory.VM) bool) (seen *inventory.VM, at time.Time, as bool) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(e.interval)
	defer tick.Stop()
	for {
		now, tells := e.look(ctx, vm.Name, vm.UUID)
		if tells {
			seen = now
			if wanted(now) {
				return now, time.Now(), true
			}
		}
		select {
		case <-ctx.Done():
			return seen, time.Time{}, false
		case <-deadline.C:
			return seen, time.Time{}, false
		case <-e.news:
		case <-tick.C:
		}
	}
}
