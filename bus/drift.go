package bus

import (
	"context"
	"encoding/json"
	"errors"
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
	msg, err := driftMessage(e)
	if err == nil {
		_, err = c.js.PublishMsg(ctx, msg)
	}
	return driftError(e, err)
}

// SendDrift is [Conn.PublishDrift] for who has many, and doesn't wait: the function
// that it gives does. What is sent first comes first, unless it is refused.
func (c *Conn) SendDrift(e DriftEvent) (wait func(context.Context) error, err error) {
	msg, err := driftMessage(e)
	if err != nil {
		return nil, driftError(e, err)
	}
	// Sent again by itself, it would come after those that follow it.
	ack, err := c.js.PublishMsgAsync(msg, jetstream.WithRetryAttempts(0))
	if err != nil {
		return nil, driftError(e, err)
	}
	return func(ctx context.Context) error {
		select {
		case <-ack.Ok():
			return nil
		case err := <-ack.Err():
			return driftError(e, err)
		case <-ctx.Done():
			return driftError(e, ctx.Err())
		}
	}, nil
}

func driftError(e DriftEvent, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("publish drift event of finding %s: %w", e.Subject, streamError(err, StreamDrift))
}

func driftMessage(e DriftEvent) (*nats.Msg, error) {
	subject, err := driftSubject(e.Site, e.Action, e.Kind)
	if err != nil {
		return nil, err
	}
	if e.ID == "" {
		return nil, errors.New("it has no ID")
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
		nats.MsgIdHdr:        e.ID, // it may be said again where an acknowledgement was lost
	} {
		msg.Header.Set(name, value)
	}
	return msg, nil
}
