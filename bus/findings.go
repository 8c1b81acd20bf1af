package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// PutFinding keeps the JSON of a finding as its last state and waits until the
// stream has it. Only the reconciler does so.
func (c *Conn) PutFinding(ctx context.Context, site, id string, finding json.RawMessage) error {
	subject, err := FindingSubject(site, id)
	if err != nil {
		return fmt.Errorf("keep finding: %w", err)
	}
	if _, err := c.js.Publish(ctx, subject, finding); err != nil {
		return fmt.Errorf("keep finding %s: %w", id, streamError(err, StreamFindings))
	}
	return nil
}

// RemoveFinding forgets a finding. One that was resolved is kept as such for a
// while before, so a watcher needs no word of its removal.
func (c *Conn) RemoveFinding(ctx context.Context, site, id string) error {
	subject, err := FindingSubject(site, id)
	if err != nil {
		return fmt.Errorf("remove finding: %w", err)
	}
	stream, err := c.js.Stream(ctx, StreamFindings)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	}
	if err != nil {
		return fmt.Errorf("remove finding %s: %w", id, streamError(err, StreamFindings))
	}
	return nil
}

// Findings returns the last state of every finding of every site.
func (c *Conn) Findings(ctx context.Context) ([]json.RawMessage, error) {
	messages, pending, err := c.lastValues(ctx, StreamFindings, findingPrefix+".>")
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", streamError(err, StreamFindings))
	}
	defer messages.Stop()
	var all []json.RawMessage
	for pending > 0 {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		all = append(all, msg.Data())
		pending = meta.NumPending
	}
	return all, nil
}

// FindingHandler takes what is on AVSTEM_FINDINGS. Its functions are called one
// at a time.
type FindingHandler struct {
	Finding func(json.RawMessage)
	Ready   func()      // the last states that there were at the beginning have come; may be nil
	Lost    func(error) // as in [ObservationHandler]; may be nil
}

// WatchFindings delivers the last state of every finding and then each change,
// until ctx ends.
func (c *Conn) WatchFindings(ctx context.Context, h FindingHandler) error {
	return c.follow(ctx, feed{
		stream:  StreamFindings,
		filter:  findingPrefix + ".>",
		ready:   h.Ready,
		lost:    h.Lost,
		message: func(msg jetstream.Msg) { h.Finding(msg.Data()) },
	})
}

// streamError says what is missing where the server only says that it isn't there.
func streamError(err error, stream string) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("the NATS server has no stream %s: it is made by `avstem up` or `avstem serve`: %w", stream, err)
	}
	return err
}
