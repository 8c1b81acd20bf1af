package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams.
const (
	StreamObserved = "AVSTEM_OBSERVED"
	StreamFindings = "AVSTEM_FINDINGS"
	StreamDrift    = "AVSTEM_DRIFT"
	StreamIntended = "AVSTEM_INTENDED"
)

// KeptOfEach is how many documents of one (host, source), and how many versions
// of one record, are kept.
const KeptOfEach = history

const (
	// history is how many documents of one (host, source) are kept: with one
	// each ten minutes, when nothing changes, half a day.
	history = 64
	// driftAge and driftCount bound the events that others may catch up on.
	driftAge   = 30 * 24 * time.Hour
	driftCount = 1_000_000
	// driftDedupe is how long the ID of an event is remembered, in case that a
	// reconciler and the one that took over tell it both ([Fence]): well longer than a
	// server keeps the connection of a process that is held up, also where its pings
	// are rarer than by default.
	driftDedupe = 30 * time.Minute
	// noDedupe is the least that a server takes (0 would be its default of two
	// minutes). Deduplication by Msg-Id is per stream, not per subject: a host
	// could have another's document dropped by using its ID first, if we gave
	// documents one, which we don't.
	noDedupe = 100 * time.Millisecond
)

// streamConfigs are the streams' settings. Agents write to AVSTEM_OBSERVED, so
// nothing in it lets a writer remove or replace what another wrote: a rollup
// header would empty the stream, and TTLs need rollup.
func streamConfigs(replicas int) []jetstream.StreamConfig {
	return []jetstream.StreamConfig{{
		Name:              StreamObserved,
		Description:       "what each host's sources showed last, and some of what they showed before",
		Subjects:          []string{observedPrefix + ".*.*.*"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		MaxMsgsPerSubject: history,
		Discard:           jetstream.DiscardOld,
		Duplicates:        noDedupe,
		DenyDelete:        true,
		DenyPurge:         true,
		AllowRollup:       false,
		AllowDirect:       true, // an agent may be let read its own subject, and no other
	}, {
		Name:              StreamFindings,
		Description:       "the last state of each finding",
		Subjects:          []string{findingPrefix + ".*.*", fencePrefix + ".*.*"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		MaxMsgsPerSubject: 1,
		Discard:           jetstream.DiscardOld,
		Duplicates:        noDedupe,
		DenyDelete:        true,
		AllowRollup:       false,
		AllowDirect:       true,
	}, {
		Name:        StreamDrift,
		Description: "events about findings, as CloudEvents",
		Subjects:    []string{driftPrefix + ".>"},
		Storage:     jetstream.FileStorage,
		Replicas:    replicas,
		MaxAge:      driftAge,
		MaxMsgs:     driftCount,
		Duplicates:  driftDedupe,
		Discard:     jetstream.DiscardOld,
		DenyDelete:  true,
		AllowRollup: false,
		AllowDirect: true,
	}, {
		// Written when a record changes, so that 64 versions reach far, and unlike
		// documents never again while it stays.
		Name:              StreamIntended,
		Description:       "what the system of record said of each thing last, and some of what it said before",
		Subjects:          []string{intendedPrefix + ".*.*.*"},
		Storage:           jetstream.FileStorage,
		Replicas:          replicas,
		MaxMsgsPerSubject: history,
		Discard:           jetstream.DiscardOld,
		Duplicates:        noDedupe,
		DenyDelete:        true,
		AllowRollup:       false,
		AllowDirect:       true,
	}}
}

// EnsureStreams creates the streams that aren't there and brings the others to
// our settings. A stream that exists keeps its number of replicas; a new one has
// three on a cluster and one on a single server. A server that is too old to
// keep what it acknowledged is refused with [*VersionError].
func (c *Conn) EnsureStreams(ctx context.Context) error {
	if err := c.CheckServer(); err != nil {
		return err
	}
	for _, cfg := range streamConfigs(c.replicas()) {
		if err := c.ensureStream(ctx, cfg); err != nil {
			return fmt.Errorf("create stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}

func (c *Conn) ensureStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	held, err := c.js.Stream(ctx, cfg.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = c.js.CreateStream(ctx, cfg)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return err
		}
		// Somebody else was as quick as we were.
		return c.ensureStream(ctx, cfg)
	case err != nil:
		return err
	}
	now := held.CachedInfo().Config
	cfg.Replicas = now.Replicas
	cfg.Placement, cfg.RePublish = now.Placement, now.RePublish // an operator's choice
	_, err = c.js.UpdateStream(ctx, cfg)
	return err
}

func (c *Conn) replicas() int {
	if c.nc.ConnectedClusterName() != "" {
		return 3
	}
	return 1
}
