package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
)

const (
	heldPrefix = "avstem.v1.held"
	// heldWithin is how long a reconciler has to say what the stream holds. A host
	// that hears nothing publishes without.
	heldWithin = 3 * time.Second
	// JetStream's words, and ours, for what isn't there.
	statusNone     = "404"
	statusNoStream = "503"
)

// errNobodyReads says that no reconciler is there to read for this host.
var errNobodyReads = errors.New("nobody reads for this host")

// heldSubject is where a host asks what the stream holds of it.
func heldSubject(site string, host uuid.UUID) (string, error) {
	if err := checkHost(site, host); err != nil {
		return "", err
	}
	return strings.Join([]string{heldPrefix, site, host.String()}, "."), nil
}

// AnswerHeld reads for the hosts of a site, which may not ask JetStream
// themselves ([TagHost]), each its own last document, until the subscription is
// ended or the connection closed. A question whose answer would go anywhere but
// to the asking host's own inbox gets none: refused is called with it.
func (c *Conn) AnswerHeld(site string, refused func(subject string, err error)) (*nats.Subscription, error) {
	if err := CheckName("site", site); err != nil {
		return nil, fmt.Errorf("read for hosts: %w", err)
	}
	// Of several reconcilers one answers.
	sub, err := c.nc.QueueSubscribe(heldPrefix+"."+site+".*", "held", func(msg *nats.Msg) {
		if err := c.answerHeld(msg); err != nil {
			refused(msg.Subject, err)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read for hosts: %w", err)
	}
	return sub, nil
}

func (c *Conn) answerHeld(msg *nats.Msg) error {
	tokens, err := split(msg.Subject, heldPrefix, 2)
	if err != nil {
		return err
	}
	host, err := parseHost(msg.Subject, tokens[1])
	if err != nil {
		return err
	}
	if !strings.HasPrefix(msg.Reply, InboxPrefix(host.String())+".") {
		return fmt.Errorf("read for host %s: the answer is to go to %q, which is not its inbox: a host can only speak for itself", host, msg.Reply)
	}
	subject, err := ObservedSubject(Key{tokens[0], host, string(msg.Data)})
	if err != nil {
		return fmt.Errorf("read for host %s: %w", host, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), heldWithin)
	defer cancel()
	found, err := c.nc.RequestWithContext(ctx, c.directGet(subject), nil)
	answer := nats.NewMsg(msg.Reply)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		answer.Header.Set("Status", statusNoStream)
	case err != nil:
		return fmt.Errorf("read for host %s: %w", host, err)
	default:
		answer.Header, answer.Data = found.Header, found.Data
	}
	if err := c.nc.PublishMsg(answer); err != nil {
		return fmt.Errorf("read for host %s: %w", host, err)
	}
	return nil
}

// askHeld asks a reconciler for our own last document.
func (c *Conn) askHeld(ctx context.Context, subject string) (*nats.Msg, error) {
	key, err := ParseObservedSubject(subject)
	if err != nil {
		return nil, err
	}
	ask, err := heldSubject(key.Site, key.Host)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, heldWithin)
	defer cancel()
	reply, err := c.nc.RequestWithContext(within, ask, []byte(key.Source))
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return nil, errNobodyReads
	case err != nil:
		return nil, err
	case reply.Header.Get("Status") == statusNoStream:
		return nil, ErrNoStream
	}
	return reply, nil
}
