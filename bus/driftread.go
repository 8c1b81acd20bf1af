package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// DriftEvents gives each event of the site, or with "" of every site, that was
// published since the given time, oldest first, until there is no more. Whole is
// from when on the stream has every event: what was before is gone with its age, or
// was before there was a stream. What is no event of ours is passed over.
func (c *Conn) DriftEvents(ctx context.Context, site string, since time.Time, fn func(DriftEvent)) (whole time.Time, err error) {
	subject := driftPrefix + ".>"
	if site != "" {
		if err := CheckName("site", site); err != nil {
			return time.Time{}, fmt.Errorf("read drift events: %w", err)
		}
		subject = driftPrefix + "." + site + ".>"
	}
	whole, err = c.driftEvents(ctx, subject, since, fn)
	if err != nil {
		return time.Time{}, fmt.Errorf("read drift events: %w", streamError(err, StreamDrift))
	}
	return whole, nil
}

func (c *Conn) driftEvents(ctx context.Context, subject string, since time.Time, fn func(DriftEvent)) (time.Time, error) {
	stream, err := c.js.Stream(ctx, StreamDrift)
	if err != nil {
		return time.Time{}, err
	}
	info := stream.CachedInfo()
	whole := info.Created
	if info.State.FirstSeq > 1 {
		whole = info.State.FirstTime
	}
	consumer, err := c.js.OrderedConsumer(ctx, StreamDrift, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject}, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since, MaxResetAttempts: 2,
		InactiveThreshold: ReadOnce,
	})
	if err != nil {
		return time.Time{}, err
	}
	pending, err := consumer.Info(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if pending.NumPending == 0 {
		return whole, nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return time.Time{}, err
	}
	defer messages.Stop()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return time.Time{}, err
		}
		if e, err := parseDrift(msg.Subject(), msg.Headers(), msg.Data()); err == nil {
			fn(e)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return time.Time{}, err
		}
		if meta.NumPending == 0 {
			return whole, nil
		}
	}
}

// parseDrift reads an event back from its message.
func parseDrift(subject string, header nats.Header, data []byte) (DriftEvent, error) {
	tokens := strings.SplitN(strings.TrimPrefix(subject, driftPrefix+"."), ".", 3)
	if len(tokens) != 3 {
		return DriftEvent{}, fmt.Errorf("subject %q is none of a drift event", subject)
	}
	if v := header.Get("ce-specversion"); v != "1.0" {
		return DriftEvent{}, fmt.Errorf("drift event on %s is of version %q of CloudEvents", subject, v)
	}
	at, err := time.Parse(time.RFC3339Nano, header.Get("ce-time"))
	if err != nil {
		return DriftEvent{}, fmt.Errorf("drift event on %s: %w", subject, err)
	}
	e := DriftEvent{ID: header.Get("ce-id"), Site: tokens[0], Action: DriftAction(tokens[1]), Kind: tokens[2],
		Subject: header.Get("ce-subject"), Time: at, Finding: data}
	if e.ID == "" || e.Subject == "" {
		return DriftEvent{}, errors.New("drift event on " + subject + " has no ID or subject")
	}
	return e, nil
}
