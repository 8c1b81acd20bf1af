package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// RemoveFinding forgets a finding as it was up to a sequence of the stream: what
// somebody wrote since stays. One that was resolved is kept as such for a
// while before, so a watcher needs no word of its removal.
func (c *Conn) RemoveFinding(ctx context.Context, site, id string, upTo uint64) error {
	subject, err := FindingSubject(site, id)
	if err != nil {
		return fmt.Errorf("remove finding: %w", err)
	}
	stream, err := c.js.Stream(ctx, StreamFindings)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeSequence(upTo+1))
	}
	if err != nil {
		return fmt.Errorf("remove finding %s: %w", id, streamError(err, StreamFindings))
	}
	return nil
}

// Findings returns the last state of every finding of every site. What is there and
// is none (a server's acknowledgement goes wherever a publisher asks for it) is left
// out; the site's reconciler removes it.
func (c *Conn) Findings(ctx context.Context) ([]json.RawMessage, error) {
	messages, pending, err := c.lastValues(ctx, StreamFindings, findingPrefix+".>", 0, ReadOnce)
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
		if isFinding(msg.Subject(), msg.Data()) {
			all = append(all, msg.Data())
		}
		pending = meta.NumPending
	}
	return all, nil
}

// FindingsMade is when the stream that holds the findings was made. It stays what
// it is over restarts and where the stream is replicated, and tells one server's, or
// one cluster's, findings from another's.
func (c *Conn) FindingsMade(ctx context.Context) (time.Time, error) {
	stream, err := c.js.Stream(ctx, StreamFindings)
	if err != nil {
		return time.Time{}, fmt.Errorf("look for the findings: %w", streamError(err, StreamFindings))
	}
	return stream.CachedInfo().Created.UTC(), nil
}

func isFinding(subject string, data []byte) bool {
	var f struct{ ID string }
	return json.Unmarshal(data, &f) == nil && f.ID != "" && strings.HasSuffix(subject, "."+f.ID)
}

// streamError says what is missing where the server only says that it isn't there.
func streamError(err error, stream string) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("the NATS server has no stream %s: it is made by `avstem up` or `avstem serve`: %w", stream, err)
	}
	return err
}
