package libvirt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/internal/manager"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads one libvirt daemon. The zero value reads the system's QEMU
// driver; [Collector.Close] ends what it started. The fields are set before the
// first pass and not after.
type Collector struct {
	// Sockets are tried in order; nil means the read-only sockets of libvirtd
	// and virtqemud.
	Sockets []string
	// URI is the driver's; "" means qemu:///system.
	URI string
	// Root is put before the default sockets and before the paths of disk
	// images, for an agent that sees the host's files below a directory.
	Root string
	// CallTimeout bounds each call to the daemon; zero means 10 s.
	CallTimeout time.Duration
	// SlowWait is how long a pass waits for disk sizes that have never been read,
	// so that a first document has them; zero means 3 s, negative not at all.
	SlowWait time.Duration
	Logger   *slog.Logger // nil means none

	mu    sync.Mutex
	once  sync.Once
	seed  maphash.Seed          // of the sums in known
	hot   *client               // of the passes; nil before the first and after a loss
	known map[uuid.UUID]*parsed // written between readings only
	// Of the definitions of running domains, written between readings only: what is
	// known of each, which domains have one, of which events told since the last
	// pass, and how many passes there were.
	defined    map[uuid.UUID]*definition
	persistent map[uuid.UUID]bool
	changed    map[uuid.UUID]bool
	passes     uint64
	touched    map[uuid.UUID]bool // by events, for the next pass
	lane       *lane
	pools      *pools
	bases      bases
	closed     bool
}

// Source is "runtime-libvirt".
func (c *Collector) Source() string { return "runtime-libvirt" }

// Capabilities says where each field comes from.
func (c *Collector) Capabilities() []inventory.Capability { return slices.Clone(capabilities) }

func (c *Collector) setUp() {
	c.once.Do(func() {
		c.seed = maphash.MakeSeed()
		if c.URI == "" {
			c.URI = "qemu:///system"
		}
		if c.CallTimeout == 0 {
			c.CallTimeout = 10 * time.Second
		}
		if c.SlowWait == 0 {
			c.SlowWait = 3 * time.Second
		}
		if c.Logger == nil {
			c.Logger = slog.New(slog.DiscardHandler)
		}
		c.lane = newLane(c)
		c.pools = newPools(c)
		c.bases.ended = make(chan struct{})
	})
}

// Collect makes one pass: list, then XML and state of each domain, then what the
// slow lane knows of their disks, and what was last read of the pools.
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) (err error) {
	c.setUp()
	var here []*reading
	defer func() { c.bases.note(here, err) }()
	cl, doms, err := c.listSettled(ctx)
	if err != nil {
		return err
	}
	c.pools.start()
	version := c.version(ctx, cl, b)
	hints, err := cl.states(ctx)
	if err != nil {
		c.Logger.Debug("no states at once", "source", c.Source(), "err", err)
	}
	c.passes++
	c.persistent, c.changed = doms.persistent, c.takeTouched()
	readings, lost := c.readAll(ctx, doms.all, hints)
	here = make([]*reading, 0, len(readings))
	for i := range readings {
		r := &readings[i]
		if r.gone {
			continue
		}
		persistent := doms.persistent[r.vm.UUID]
		r.vm.Persistent = &persistent
		here = append(here, r)
	}
	if lost == nil {
		c.resolveNetworks(ctx, cl, here)
	}
	c.lane.addSizes(ctx, here, lost == nil)
	for _, r := range here {
		b.VM(r.vm)
		for _, p := range r.problems {
			b.Problem(p)
		}
	}
	c.pools.add(ctx, b, c.SlowWait)
	c.addRuntime(b, cl, version, here)
	if lost != nil {
		return fmt.Errorf("read the domains: %w", lost)
	}
	b.Enumerated()
	return nil
}

// addRuntime describes the runtime. The hypervisor's version comes from the slow
// lane: the daemon may have to start the emulator to learn it.
func (c *Collector) addRuntime(b *collectors.Builder, cl *client, version version, vms []*reading) {
	runtime := inventory.Runtime{Name: "libvirt-" + strings.ToLower(cmp.Or(version.driver, "unknown")),
		Platform: platform(vms, c.Root), Version: version.library, Endpoint: cl.socket}
	hypervisor, problem := c.lane.hypervisor()
	switch {
	case problem != nil:
		b.Problem(*problem)
	case version.driver != "" && hypervisor != 0:
		runtime.Hypervisor = version.driver + " " + versionText(hypervisor)
	}
	b.Runtime(runtime)
}

// platform is what an operator would call the whole: the manager, where every VM
// on the host carries the same one's marks, or where there is none and the host
// has a manager's files, and else libvirt itself.
func platform(vms []*reading, root string) string {
	name := ""
	for _, r := range vms {
		own := r.vm.Manager.Platform()
		if own == "" || name != "" && own != name {
			return "libvirt"
		}
		name = own
	}
	host := inventory.Manager{Name: manager.OfHost(root)}
	return cmp.Or(name, host.Platform(), "libvirt")
}

// version is what a connection says of itself.
type version struct{ driver, library string }

// version asks for the driver's name ("QEMU") and the daemon's version.
func (c *Collector) version(ctx context.Context, cl *client, b *collectors.Builder) version {
	var v version
	err := cl.call(ctx, "virConnectGetType", func(lv *golibvirt.Libvirt) (err error) {
		v.driver, err = lv.ConnectGetType()
		return err
	})
	if err != nil {
		b.Problem(problemOf("", "runtime.name", err))
	}
	err = cl.call(ctx, "virConnectGetLibVersion", func(lv *golibvirt.Libvirt) error {
		n, err := lv.ConnectGetLibVersion()
		v.library = versionText(n)
		return err
	})
	if err != nil {
		b.Problem(problemOf("", "runtime.version", err))
	}
	return v
}

// versionText writes libvirt's number, 1,000,000 × major + 1,000 × minor + release.
func versionText(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", n/1_000_000, n/1_000%1_000, n%1_000)
}

// problemOf describes an error of a call. An entity of "" with a field means the
// field everywhere.
func problemOf(entity string, field inventory.Field, err error) inventory.Problem {
	p := inventory.Problem{Entity: entity, Field: field, Call: "libvirt", Why: whyOf(err), Error: err.Error()}
	if se, ok := errors.AsType[*collectors.SourceError](err); ok {
		p.Call, p.Why, p.Remedy, p.Error = se.Call, se.Why, se.Remedy, se.Err.Error()
	}
	return p
}

// Close ends the slow lane and the connections. A pass that runs fails.
func (c *Collector) Close() error {
	c.setUp()
	c.mu.Lock()
	c.closed = true
	if c.hot != nil {
		c.hot.close(nil)
		c.hot = nil
	}
	c.mu.Unlock()
	c.lane.close()
	c.pools.close()
	return nil
}
