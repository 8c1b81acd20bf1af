package incus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads one daemon. The zero value reads the system's Incus. The
// fields are set before the first pass and not after.
type Collector struct {
	// Flavor is Incus or LXD; its zero value means Incus.
	Flavor Flavor
	// Sockets are tried in order; nil means the flavor's usual ones.
	Sockets []string
	// Root is put before the usual sockets, for an agent that sees the host's
	// files below a directory.
	Root string
	// CallTimeout bounds each call to the daemon; zero means 10 s.
	CallTimeout time.Duration
	Logger      *slog.Logger // nil means none

	mu sync.Mutex
	// known is who the instances were in the last pass, by native ID: for those
	// that can't be read in this one, and for events, which tell names.
	known map[string]identity
}

// identity is who an instance is.
type identity struct {
	uuid uuid.UUID
	kind string // its VM.Type
}

func (c *Collector) flavor() *Flavor {
	if c.Flavor.name == "" {
		return &Incus
	}
	return &c.Flavor
}

// Source is "runtime-incus" or "runtime-lxd".
func (c *Collector) Source() string { return "runtime-" + c.flavor().name }

// Capabilities says where each field comes from.
func (c *Collector) Capabilities() []inventory.Capability { return slices.Clone(capabilities) }

// connect finds the daemon.
func (c *Collector) connect(ctx context.Context) (*client, error) {
	sockets := c.Sockets
	if len(sockets) == 0 {
		sockets = c.flavor().socketsBelow(c.Root)
	}
	return connect(ctx, c.flavor(), sockets, cmp.Or(c.CallTimeout, 10*time.Second))
}

// Collect makes one pass: the server, the list, then what each instance refers
// to.
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("collect %s: %w", c.Source(), context.Cause(ctx))
	}
	cl, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer cl.close()
	s, err := cl.server(ctx)
	if err != nil {
		return err
	}
	b.Runtime(runtimeOf(s, cl))
	cl.member = s.Environment.Clustered
	all, err := c.list(ctx, cl, s)
	if err != nil {
		return err
	}
	readings := c.identify(all)
	around := &surroundings{cl: cl}
	pools, problems := around.askPools(ctx)
	around.complete(ctx, readings)
	if err := ctx.Err(); err != nil {
		return &collectors.SourceError{Call: instanceCall, Why: inventory.WhyTimedOut, Err: context.Cause(ctx), Remedy: c.flavor().remedy(err)}
	}
	for _, p := range pools {
		b.StoragePool(p)
	}
	for _, p := range problems {
		b.Problem(p)
	}
	whole := true
	for i := range readings {
		r := &readings[i]
		if r.gone {
			continue
		}
		b.VM(r.vm)
		for _, p := range r.problems {
			b.Problem(p)
		}
		whole = whole && !r.unidentified
	}
	// While one can't be identified it may be any, and no other is gone.
	if whole {
		b.Enumerated()
	}
	return nil
}

// server asks what answers, and refuses what is no daemon of the flavor.
func (c *client) server(ctx context.Context) (*server, error) {
	var s server
	if err := c.get(ctx, "/1.0", nil, &s); err != nil {
		return nil, err
	}
	var err error
	why := inventory.WhyBroken
	remedy := "name the socket that " + c.flavor.title + " listens on"
	switch {
	case s.Environment.Server == "" && s.Auth == "untrusted":
		err, why, remedy = errors.New("the daemon doesn't trust us"), inventory.WhyRefused, c.flavor.remedyRefused()
	case s.Environment.Server != c.flavor.name:
		err = fmt.Errorf("%q answers here, and no %s", s.Environment.Server, c.flavor.title)
	}
	if err != nil {
		return nil, &collectors.SourceError{Call: "GET /1.0", Why: why, Remedy: remedy, Err: err}
	}
	return &s, nil
}

// runtimeOf describes the daemon.
func runtimeOf(s *server, cl *client) inventory.Runtime {
	env := &s.Environment
	r := inventory.Runtime{Name: env.Server, Platform: env.Server, Version: env.Version, Endpoint: cl.socket,
		Hypervisor: drivers(env.Driver, env.DriverVersion)}
	if env.Clustered {
		r.Member = env.Name
	}
	return r
}

// drivers pairs what the daemon drives with its versions: "lxc | qemu" and
// "5.0.2 | 7.2.0" are "LXC 5.0.2, QEMU 7.2.0".
func drivers(names, versions string) string {
	var pairs []string
	version := strings.Split(versions, " | ")
	for i, name := range strings.Split(names, " | ") {
		pair := strings.ToUpper(name)
		if i < len(version) {
			pair = strings.TrimSpace(pair + " " + version[i])
		}
		if pair != "" {
			pairs = append(pairs, pair)
		}
	}
	return strings.Join(pairs, ", ")
}

// problemOf describes an error of a call.
func problemOf(entity string, field inventory.Field, err error) inventory.Problem {
	p := inventory.Problem{Entity: entity, Field: field, Call: instanceCall, Why: whyOf(err), Error: err.Error()}
	if se, ok := errors.AsType[*collectors.SourceError](err); ok {
		p.Call, p.Why, p.Remedy, p.Error = se.Call, se.Why, se.Remedy, se.Err.Error()
	}
	return p
}
