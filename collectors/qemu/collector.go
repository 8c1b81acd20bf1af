package qemu

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/internal/manager"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads the QEMU processes of a host. The zero value reads /proc and
// asks no monitor; [Collector.Close] ends what it started. The fields are set
// before the first pass and not after.
type Collector struct {
	// Root is the directory under which proc, sys and sockets are found; empty
	// means "/".
	Root string
	// NetNS is the network namespace whose links the network collector reads;
	// empty means the process's own. Links of QEMU in another one aren't told.
	NetNS string
	// Monitors are QMP sockets that may be asked, as absolute paths or patterns
	// ([path/filepath.Match]). Nobody else may use them: a monitor serves one
	// client, and the collector stays connected.
	Monitors []string
	// CallTimeout bounds the asking of one monitor; zero means 2 s.
	CallTimeout time.Duration
	Logger      *slog.Logger // nil means none

	once  sync.Once
	known map[int]*process // of the last pass; used by passes only
	boot  int64

	mu      sync.Mutex
	clients map[string]*client // by path
	vms     map[string]string  // the VM behind each monitor, as changes name it
	changed chan<- collectors.Change
	lost    bool // a change could not be told
	closed  bool
}

// Source is "runtime-qemu".
func (c *Collector) Source() string { return "runtime-qemu" }

// Capabilities says where each field comes from.
func (c *Collector) Capabilities() []inventory.Capability { return slices.Clone(capabilities) }

func (c *Collector) setUp() {
	c.once.Do(func() {
		if c.CallTimeout == 0 {
			c.CallTimeout = 2 * time.Second
		}
		if c.Logger == nil {
			c.Logger = slog.New(slog.DiscardHandler)
		}
		c.boot = c.bootTime()
	})
}

// Collect makes one pass: list the processes, ask the monitors that were named,
// then make a VM of each process and of each monitor whose process isn't seen.
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	c.setUp()
	if err := CheckMonitors(c.Monitors); err != nil {
		return fmt.Errorf("read the names of monitors: %w", err)
	}
	processes, listErr := c.processes(ctx)
	if listErr != nil && !errors.Is(listErr, errHidden) {
		return fmt.Errorf("list QEMU's processes: %w", listErr)
	}
	processes = withoutForks(processes)
	if len(processes) == 0 && len(c.Monitors) == 0 && !c.installed() {
		return absentError(listErr)
	}
	monitors := c.named(processes)
	c.forget(monitors)
	c.askAll(ctx, monitors, processes)
	all := c.readAll(processes, monitors)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ask QEMU's monitors: %w", err)
	}
	c.remember(all)
	c.add(b, all, monitors)
	if listErr != nil {
		return &collectors.SourceError{Call: "list /proc", Why: inventory.WhyRefused, Err: listErr,
			Remedy: "run the agent as root, or mount /proc with a gid= that the agent's user is in"}
	}
	b.Enumerated()
	return nil
}

func absentError(listErr error) error {
	err := fmt.Errorf("no process is QEMU's, and it isn't installed: %w", collectors.ErrAbsent)
	remedy := "none is needed where QEMU runs no VMs on this host"
	if listErr != nil {
		err = fmt.Errorf("%w: %w", listErr, collectors.ErrAbsent)
		remedy = "mount /proc below the root that the agent reads, and let the agent see the processes of others"
	}
	return &collectors.SourceError{Call: "list /proc", Why: inventory.WhyAbsent, Err: err, Remedy: remedy}
}

// readAll reads a VM of each process, and of each monitor that answers and whose
// process isn't seen.
func (c *Collector) readAll(processes []*process, monitors []*monitor) []*reading {
	var all []*reading
	for _, p := range processes {
		var own *monitor
		for _, m := range monitors {
			if m.owner == p && (own == nil || own.answers == nil) {
				own = m
			}
		}
		r := c.read(p, own, c.boot)
		if s, err := c.stat(p.pid); gone(err) || err == nil && s.started != p.started {
			continue // it ended while it was read, and what was read may be another's
		}
		all = append(all, r)
	}
	for _, m := range monitors {
		if m.owner == nil && m.answers != nil {
			all = append(all, c.read(nil, m, c.boot))
		}
	}
	identify(all)
	return all
}

// add hands over what was read.
func (c *Collector) add(b *collectors.Builder, all []*reading, monitors []*monitor) {
	told := map[*monitor]bool{}
	for _, r := range all {
		b.VM(r.vm)
		for _, p := range r.list {
			p.Entity = r.entity()
			b.Problem(p)
		}
		for _, m := range monitors {
			if m == r.monitor || (m.owner != nil && m.owner == r.process) {
				told[m] = true
				if p := m.problem(r.entity()); p != nil {
					b.Problem(*p)
				}
			}
		}
	}
	for _, m := range monitors {
		if p := m.problem(""); p != nil && !told[m] {
			b.Problem(*p)
		}
	}
	b.Runtime(c.runtime(all))
}

// runtime describes QEMU. It is many programs and has no version of its own: what
// is told is that of the monitors, where they agree.
func (c *Collector) runtime(all []*reading) inventory.Runtime {
	runtime := inventory.Runtime{Name: "qemu", Platform: "qemu", Endpoint: "/proc", RunningOnly: true}
	versions, platforms := map[string]bool{}, map[string]bool{}
	for _, r := range all {
		if r.monitor != nil && r.monitor.answers != nil {
			versions[r.monitor.answers.version] = true
			runtime.Version = r.monitor.answers.version
		}
		platforms[firstOf(r.vm.Manager.Platform(), "qemu")] = true
	}
	if len(versions) > 1 {
		runtime.Version = ""
	}
	if len(platforms) == 1 {
		for name := range platforms {
			runtime.Platform = name
		}
	} else if len(platforms) == 0 {
		runtime.Platform = firstOf((&inventory.Manager{Name: manager.OfHost(c.Root)}).Platform(), "qemu")
	}
	return runtime
}

// Close ends the connections to monitors. A pass that runs fails.
func (c *Collector) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, cl := range c.clients {
		cl.close()
	}
	c.clients = nil
	return nil
}
