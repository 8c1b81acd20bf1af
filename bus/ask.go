package bus

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

// Ask asks a host's agent to publish again what it holds, for a reader that
// lacks a document of which a heartbeat spoke. It doesn't wait: the documents
// come on the stream, or the next heartbeat shows that they didn't.
func (c *Conn) Ask(site string, host uuid.UUID) error {
	subject, err := resyncSubject(site, host)
	if err == nil {
		err = c.nc.Publish(subject, nil)
	}
	if err != nil {
		return fmt.Errorf("ask for documents again: %w", err)
	}
	return nil
}

// Asked calls again each time that a reader asks the host's agent, until the
// subscription is ended or the connection closed.
func (c *Conn) Asked(site string, host uuid.UUID, again func()) (*nats.Subscription, error) {
	subject, err := resyncSubject(site, host)
	if err != nil {
		return nil, fmt.Errorf("subscribe to questions: %w", err)
	}
	sub, err := c.nc.Subscribe(subject, func(*nats.Msg) { again() })
	if err != nil {
		return nil, fmt.Errorf("subscribe to questions: %w", err)
	}
	return sub, nil
}
