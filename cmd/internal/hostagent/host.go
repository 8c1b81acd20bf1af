package hostagent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/identity"
)

// Host is an agent for this host, ready to run.
type Host struct {
	agent      *agent.Agent
	identity   *hostid.Identity
	collectors []collectors.Collector
}

// Open takes the host's identity from the state directory (making one the first
// time) and puts the agent together. The caller closes what it returns.
func Open(ctx context.Context, o Options) (*Host, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if o.Root, err = Root(o.Root); err != nil {
		return nil, err
	}
	self, _ := identity.Read(ctx, o.Root) // its problems are source identity's to say
	kept, err := hostid.Open(o.StateDir, hostid.EvidenceOf(self), time.Now())
	if err != nil {
		return nil, fmt.Errorf("open host identity: %w", err)
	}
	for _, note := range kept.Notes {
		o.Logger.Warn("not as at the last start", "what", note)
	}
	boot, err := identity.BootID(o.Root)
	if err != nil {
		o.Logger.Warn("documents carry no boot ID", "err", err)
	}
	o.readImages = true
	h := &Host{identity: kept, collectors: Collectors(o)}
	h.agent, err = agent.New(agent.Options{
		Collectors: h.collectors, Identity: kept, Connect: o.Connect,
		Site: o.site(), Version: o.Version, BootID: boot, Hostname: hostname,
		Interval: o.Interval, Timeout: o.Timeout, Refresh: o.Refresh, Beat: o.Beat, Logger: o.Logger,
	})
	if err != nil {
		h.Close()
		return nil, err
	}
	o.Logger.Info("host identity", "host", kept.ID(), "epoch", kept.Epoch(), "new", kept.Minted)
	return h, nil
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}

// ID is the host's.
func (h *Host) ID() uuid.UUID { return h.identity.ID() }

// Run observes and publishes until ctx ends.
func (h *Host) Run(ctx context.Context) error { return h.agent.Run(ctx) }

// Status is how the agent is doing.
func (h *Host) Status() agent.Status { return h.agent.Status() }

// Reconnect makes the agent connect to NATS anew.
func (h *Host) Reconnect() { h.agent.Reconnect() }

// Epoch is that of this start.
func (h *Host) Epoch() uint64 { return h.identity.Epoch() }

// Close lets go of the sources and of the state directory. Run must have ended.
func (h *Host) Close() {
	closeAll(h.collectors)
	h.identity.Close()
}
