package bus

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DriftAction is what happened to a finding.
type DriftAction string

// The events in a finding's life.
const (
	DriftOpened   DriftAction = "opened"
	DriftChanged  DriftAction = "changed"
	DriftResolved DriftAction = "resolved"
)

// DriftEvent is an event about one finding.
type DriftEvent struct {
	ID      string // of the event; the same ID is kept once
	Action  DriftAction
	Kind    string // of the finding, as "nic.vlan"
	Site    string
	Subject string // the finding's ID
	Time    time.Time
	Finding json.RawMessage
}

// PublishDrift publishes the event on AVSTEM_DRIFT as a CloudEvent in binary
// mode (CloudEvents 1.0, NATS protocol binding), with the finding as its data,
// and waits until the stream has it.
func (c *Conn) PublishDrift(ctx context.Context, e DriftEvent) error {
	subject, err := driftSubject(e.Site, e.Action, e.Kind)
	if err != nil {
		return fmt.Errorf("publish drift event: %w", err)
	}
	if e.ID == "" {
		return fmt.Errorf("publish drift event of finding %s: it has no ID", e.Subject)
	}
	msg := nats.NewMsg(subject)
	msg.Data = e.Finding
	for name, value := range map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              e.ID,
		"ce-source":          "avstem/" + e.Site,
		"ce-type":            "avstem.v1.drift." + string(e.Action),
		"ce-subject":         e.Subject,
		"ce-time":            e.Time.UTC().Format(time.RFC3339Nano),
		"ce-datacontenttype": "application/json",
		"Content-Type":       "application/json",
		nats.MsgIdHdr:        e.ID, // a reconciler that starts again may say it again
	} {
		msg.Header.Set(name, value)
	}
	if _, err := c.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("publish drift event of finding %s: %w", e.Subject, streamError(err, StreamDrift))
	}
	return nil
}

// DriftTold gives the IDs of the events of a site that the stream took since a
// time.
func (c *Conn) DriftTold(ctx context.Context, site string, since time.Time) (map[string]bool, error) {
	if err := CheckName("site", site); err != nil {
		return nil, fmt.Errorf("read drift events: %w", err)
	}
	consumer, err := c.js.OrderedConsumer(ctx, StreamDrift, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{driftPrefix + "." + site + ".>"}, HeadersOnly: true,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
		MaxResetAttempts: 2, InactiveThreshold: ReadOnce,
	})
	if err != nil {
		return nil, fmt.Errorf("read drift events: %w", streamError(err, StreamDrift))
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read drift events: %w", err)
	}
	told := map[string]bool{}
	if info.NumPending == 0 {
		return told, nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read drift events: %w", err)
	}
	defer messages.Stop()
	for pending := info.NumPending; pending > 0; {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read drift events: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read drift events: %w", err)
		}
		told[msg.Headers().Get("ce-id")] = true
		pending = meta.NumPending
	}
	return told, nil
}
