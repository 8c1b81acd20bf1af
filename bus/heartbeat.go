package bus

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/inventory"
)

// heartbeatSchema is the heartbeat's version.
const heartbeatSchema = "avstem.heartbeat/v1"

// Heartbeat says that an agent is alive and what it last saw, so that a reader
// can tell silence from calm, and a document that was lost from one that never
// was. It is not stored.
type Heartbeat struct {
	Schema   string    `json:"schema"`
	Host     uuid.UUID `json:"host"`
	Site     string    `json:"site"`
	Hostname string    `json:"hostname,omitempty"`
	Version  string    `json:"version,omitempty"` // of the agent
	Epoch    uint64    `json:"epoch"`
	// Incarnation is a UUID of this start of the agent. Two that beat for one
	// host at one time are clones.
	Incarnation uuid.UUID     `json:"incarnation"`
	BootID      string        `json:"bootID,omitempty"`
	At          time.Time     `json:"at"`            // the host's clock: for showing it is wrong, never for order
	Interval    time.Duration `json:"intervalNanos"` // until the next one, about
	// Problem is why the agent publishes nothing, where it doesn't.
	Problem string `json:"problem,omitempty"`
	// Sources is the newest document of each source, published or not.
	Sources []SourceState `json:"sources,omitempty"`
}

// SourceState is the newest document of one source.
type SourceState struct {
	Source  string            `json:"source"`
	Gen     uint64            `json:"gen"`
	Digest  string            `json:"digest"`
	Outcome inventory.Outcome `json:"outcome"`
	// Problem is why this document could not be published.
	Problem string `json:"problem,omitempty"`
}

// Beat publishes a heartbeat. It doesn't wait: one that is lost is followed by
// the next.
func (c *Conn) Beat(h Heartbeat) error {
	subject, err := heartbeatSubject(h.Site, h.Host)
	if err != nil {
		return fmt.Errorf("publish heartbeat: %w", err)
	}
	h.Schema = heartbeatSchema
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("publish heartbeat: encode: %w", err)
	}
	if err := c.nc.Publish(subject, data); err != nil {
		return fmt.Errorf("publish heartbeat: %w", err)
	}
	return nil
}

// HeartbeatHandler takes heartbeats.
type HeartbeatHandler struct {
	Beat func(Heartbeat)
	// Refused is called with what is no heartbeat of its subject's host.
	Refused func(subject string, err error)
}

// Heartbeats subscribes to every host's heartbeats until the subscription is
// ended or the connection closed.
func (c *Conn) Heartbeats(h HeartbeatHandler) (*nats.Subscription, error) {
	return c.heartbeats(heartbeatPrefix+".*.*", h)
}

// HeartbeatsOf subscribes to those of one host.
func (c *Conn) HeartbeatsOf(site string, host uuid.UUID, h HeartbeatHandler) (*nats.Subscription, error) {
	subject, err := heartbeatSubject(site, host)
	if err != nil {
		return nil, fmt.Errorf("subscribe to heartbeats: %w", err)
	}
	return c.heartbeats(subject, h)
}

func (c *Conn) heartbeats(subject string, h HeartbeatHandler) (*nats.Subscription, error) {
	sub, err := c.nc.Subscribe(subject, func(msg *nats.Msg) {
		beat, err := decodeHeartbeat(msg.Subject, msg.Data)
		if err != nil {
			h.Refused(msg.Subject, err)
			return
		}
		h.Beat(beat)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to heartbeats: %w", err)
	}
	return sub, nil
}

func decodeHeartbeat(subject string, data []byte) (Heartbeat, error) {
	site, host, err := parseHeartbeatSubject(subject)
	if err != nil {
		return Heartbeat{}, fmt.Errorf("read heartbeat: %w", err)
	}
	var h Heartbeat
	if err := json.Unmarshal(data, &h); err != nil {
		return Heartbeat{}, fmt.Errorf("read heartbeat on %s: %w", subject, err)
	}
	switch {
	case h.Schema != heartbeatSchema:
		return Heartbeat{}, fmt.Errorf("read heartbeat on %s: schema %q is not %s", subject, h.Schema, heartbeatSchema)
	case h.Host != host || h.Site != site:
		return Heartbeat{}, fmt.Errorf("read heartbeat on %s: it claims to be of host %s in site %q: a host can only speak for itself", subject, h.Host, h.Site)
	}
	return h, nil
}
