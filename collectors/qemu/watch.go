package qemu

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
)

// lookEvery is how often the list of processes is looked through for new ones,
// which nothing tells an ordinary user of. A process that ends is told by a
// descriptor of it, and what happens to a VM by its monitor.
const lookEvery = 2 * time.Second

// Watch tells of QEMU processes that come and go, and of the events of the
// monitors that passes have connected to.
func (c *Collector) Watch(ctx context.Context, changed func(collectors.Change)) error {
	c.setUp()
	changes := make(chan collectors.Change, 64)
	if err := c.listen(changes); err != nil {
		return err
	}
	defer c.listen(nil)
	w := &watcher{c: c, seen: map[int]bool{}, vms: map[int]*watched{}, ended: make(chan int, 1), changed: changed}
	defer w.close()
	if err := w.look(false); err != nil {
		return err
	}
	changed(collectors.Change{Event: "watching"})
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("watch QEMU: %w", ctx.Err())
		case change := <-changes:
			if c.overran() {
				change = collectors.Change{Event: "more events than could be told"}
			}
			changed(change)
		case pid := <-w.ended:
			w.forget(pid, "process ended")
		case <-tick.C:
			if err := w.look(true); err != nil {
				return err
			}
		}
	}
}

// listen takes the channel that events of monitors go to.
func (c *Collector) listen(changes chan<- collectors.Change) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes != nil && c.changed != nil {
		return errors.New("watch QEMU: it is watched already")
	}
	c.changed, c.lost = changes, false
	return nil
}

// tell hands an event of a monitor on, if somebody watches.
func (c *Collector) tell(path, event string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		return
	}
	select {
	case c.changed <- collectors.Change{Entity: c.vms[path], Event: event}:
	default:
		c.lost = true
	}
}

// overran says whether an event was lost, once.
func (c *Collector) overran() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	lost := c.lost
	c.lost = false
	return lost
}

// remember keeps which VM is behind which monitor, for its events.
func (c *Collector) remember(all []*reading) {
	vms := map[string]string{}
	for _, r := range all {
		if r.monitor != nil {
			vms[r.monitor.path] = r.entity()
		}
	}
	c.mu.Lock()
	c.vms = vms
	c.mu.Unlock()
}

// watcher is one watch's list of processes.
type watcher struct {
	c       *Collector
	seen    map[int]bool // every process of the last look
	vms     map[int]*watched
	ended   chan int
	changed func(collectors.Change)
}

// watched is a QEMU process that is waited for.
type watched struct {
	entity string
	file   *os.File // of its pidfd; nil where it can't be had
	stop   chan struct{}
	done   chan struct{} // closed when nobody waits any more
}

// look finds QEMU processes that weren't there at the last look, and such as are
// gone. A new process may become QEMU a moment after it was first seen, so those
// of the last look are read once more.
func (w *watcher) look(tell bool) error {
	names, err := collectors.ReadNames(w.c.Root, "/proc")
	if err != nil {
		return fmt.Errorf("watch QEMU: %w", err)
	}
	now := make(map[int]bool, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		settled, before := w.seen[pid]
		now[pid] = before
		if settled || w.vms[pid] != nil {
			continue
		}
		if p, err := w.c.process(pid, nil); err == nil && p != nil {
			w.wait(p)
			if tell {
				w.changed(collectors.Change{Entity: w.vms[pid].entity, Event: "process started"})
			}
		}
	}
	w.seen = now
	for pid, vm := range w.vms {
		if _, there := now[pid]; !there && vm.file == nil {
			w.forget(pid, "process ended")
		}
	}
	return nil
}

// entityOf names a process's VM in changes; one without a UUID is any of them.
func entityOf(p *process) string {
	r := &reading{}
	r.readInvocation(p.inv)
	if r.vm.UUID == ([16]byte{}) {
		return ""
	}
	return r.entity()
}

// wait begins to wait for a process's end. Below another root PIDs may be those
// of another system, so there the next look has to tell.
func (w *watcher) wait(p *process) {
	vm := &watched{entity: entityOf(p), stop: make(chan struct{}), done: make(chan struct{})}
	w.vms[p.pid] = vm
	if w.c.Root != "" {
		close(vm.done)
		return
	}
	fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		close(vm.done)
		return
	}
	vm.file = os.NewFile(uintptr(fd), "pidfd")
	raw, err := vm.file.SyscallConn()
	if err != nil {
		vm.file.Close()
		vm.file = nil
		close(vm.done)
		return
	}
	go func() {
		defer close(vm.done)
		err := raw.Read(func(fd uintptr) bool {
			ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(ready, 0)
			return n > 0 && err == nil
		})
		if err != nil {
			return // it was closed
		}
		select {
		case w.ended <- p.pid:
		case <-vm.stop:
		}
	}()
}

func (w *watcher) forget(pid int, event string) {
	vm := w.vms[pid]
	if vm == nil {
		return
	}
	delete(w.vms, pid)
	vm.close()
	w.changed(collectors.Change{Entity: vm.entity, Event: event})
}

// close ends the waiting.
func (vm *watched) close() {
	close(vm.stop)
	if vm.file != nil {
		vm.file.Close()
	}
	<-vm.done
}

func (w *watcher) close() {
	for _, vm := range w.vms {
		vm.close()
	}
}
