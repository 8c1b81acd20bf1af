package qemu

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/dataverket/avstem/collectors/internal/manager"
	"github.com/dataverket/avstem/inventory"
)

// monitor is a named monitor and what became of asking it.
type monitor struct {
	path     string
	explicit bool     // it was named itself, and not found by a pattern
	owner    *process // nil where it isn't known
	refused  string   // the manager whose monitor it is
	answers  *answers
	err      error
}

// named finds the monitors that the operator named, and whose each is.
func (c *Collector) named(processes []*process) []*monitor {
	var all []*monitor
	seen := map[string]bool{}
	add := func(path string, explicit bool) {
		if seen[runPath(path)] {
			return
		}
		seen[runPath(path)] = true
		m := &monitor{path: path, explicit: explicit}
		chardev, runBy := "", ""
		for _, p := range processes {
			if name, found := p.listens(path); found {
				m.owner, chardev, runBy = p, name, p.inv.runBy()
			}
		}
		m.refused = heldBy(path, chardev, runBy)
		all = append(all, m)
	}
	for _, pattern := range c.Monitors {
		if !strings.ContainsAny(pattern, "*?[") {
			add(pattern, true)
			continue
		}
		paths, _ := filepath.Glob(filepath.Join("/", c.Root, pattern)) // checked by CheckMonitors
		for _, path := range paths {
			add(strings.TrimPrefix(path, strings.TrimSuffix(filepath.Join("/", c.Root), "/")), false)
		}
	}
	slices.SortFunc(all, func(a, b *monitor) int { return strings.Compare(a.path, b.path) })
	return all
}

// CheckMonitors says what is wrong with paths and patterns of monitors.
func CheckMonitors(patterns []string) error {
	for _, pattern := range patterns {
		if _, err := filepath.Match(pattern, "/"); err != nil {
			return fmt.Errorf("%q: %w", pattern, err)
		}
		if !filepath.IsAbs(pattern) {
			return fmt.Errorf("%q is no absolute path", pattern)
		}
	}
	return nil
}

// inFlight is how many monitors are asked at a time: one that doesn't answer
// costs its own deadline and an eighth of the way of the others.
const inFlight = 8

// askAll asks every monitor that may be asked, each for CallTimeout at most.
func (c *Collector) askAll(ctx context.Context, all []*monitor, processes []*process) {
	slots := make(chan struct{}, inFlight)
	var tasks sync.WaitGroup
	for _, m := range all {
		if m.refused != "" {
			continue
		}
		slots <- struct{}{}
		tasks.Go(func() {
			defer func() { <-slots }()
			c.askOne(ctx, m, processes)
		})
	}
	tasks.Wait()
}

func (c *Collector) askOne(ctx context.Context, m *monitor, processes []*process) {
	ctx, cancel := context.WithTimeout(ctx, c.CallTimeout)
	defer cancel()
	cl, err := c.client(ctx, m.path)
	if err != nil {
		m.err = err
		return
	}
	if m.owner == nil {
		if m.refused = c.listener(cl.peer); m.refused != "" {
			cl.close()
			return
		}
		if i := slices.IndexFunc(processes, func(p *process) bool { return p.pid == cl.peer }); i >= 0 {
			m.owner = processes[i]
		}
	}
	if m.answers, m.err = ask(ctx, cl); m.err != nil && ctx.Err() != nil {
		cl.close() // what it says later would be an answer to nothing
	}
}

// client gives the connection to a monitor: it is kept, since a second one would
// wait for the first.
func (c *Collector) client(ctx context.Context, path string) (*client, error) {
	c.mu.Lock()
	cl, closed := c.clients[path], c.closed
	c.mu.Unlock()
	switch {
	case closed:
		return nil, errors.New("the collector was closed")
	case cl != nil && !cl.ended():
		return cl, nil
	}
	cl, err := dial(ctx, filepath.Join("/", c.Root, path), func(event string) { c.tell(path, event) })
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		cl.close()
		return nil, errors.New("the collector was closed")
	}
	if c.clients == nil {
		c.clients = map[string]*client{}
	}
	c.clients[path] = cl
	return cl, nil
}

// forget closes the connections to monitors that are no longer named or there.
func (c *Collector) forget(all []*monitor) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for path, cl := range c.clients {
		if cl.ended() || !slices.ContainsFunc(all, func(m *monitor) bool { return m.path == path }) {
			cl.close()
			delete(c.clients, path)
		}
	}
}

// absent says whether nobody listens on the socket: its VM doesn't run.
func (m *monitor) absent() bool {
	return errors.Is(m.err, fs.ErrNotExist) || errors.Is(m.err, syscall.ECONNREFUSED)
}

const ownMonitor = "give avstem a monitor of its own: start QEMU with -qmp unix:PATH,server=on,wait=off for it alone"

// problem says what kept a monitor from telling of its VM, if anything did.
func (m *monitor) problem(entity string) *inventory.Problem {
	call := "connect " + m.path
	err := m.err
	if m.refused != "" {
		err = fmt.Errorf("it is %s's own monitor: a second client would keep %s out", words(m.refused), words(m.refused))
	}
	if err == nil {
		return nil
	}
	p := problem(entity, "", call, err, ownMonitor)
	switch {
	case m.refused != "":
		p.Why = inventory.WhyRefused
	case m.absent():
		if !m.explicit { // a socket file that its QEMU left
			return nil
		}
		p.Why, p.Remedy = inventory.WhyAbsent, "nobody listens there: its VM doesn't run, or has its monitor elsewhere"
	case errors.Is(m.err, errBusy), errors.Is(m.err, context.DeadlineExceeded):
		p.Why = inventory.WhyTimedOut
	case errors.Is(m.err, fs.ErrPermission):
		p.Remedy = "let the agent's user write to the socket (its mode, or an ACL)"
	case errors.Is(m.err, errNotQMP):
		p.Remedy = "name the socket of a QMP monitor (mode=control), not of a human monitor or a serial console"
	}
	switch {
	case entity == "":
	case m.refused != "": // the VM is seen as well as without it
		p.Field = "vm.asOf"
	default: // a process that doesn't answer may be anything
		p.Field = "vm.state"
	}
	return &p
}

// words is how people call a manager.
func words(name string) string {
	switch name {
	case manager.Libvirt:
		return "libvirt"
	case manager.Proxmox:
		return "Proxmox VE"
	case manager.Incus:
		return "Incus"
	case manager.LXD:
		return "LXD"
	}
	return name
}
