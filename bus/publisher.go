package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
)

// ErrNoStream says that the server has no stream to publish on.
var ErrNoStream = errors.New("the NATS server has no stream " + StreamObserved + ": it is made by `avstem up` or `avstem serve`")

// CloneError says that another agent publishes under this one's identity.
type CloneError struct {
	Host uuid.UUID
	// Epoch is this agent's, Other the other's.
	Epoch, Other uint64
	// Elsewhere says that the other was heard on another machine, which calls itself
	// Hostname.
	Elsewhere bool
	Hostname  string
}

func (e *CloneError) Error() string {
	where, then := "", ""
	if e.Elsewhere {
		where, then = " on another machine", ", then start this agent again"
		if e.Hostname != "" {
			where += " (" + e.Hostname + ")"
		}
	}
	return fmt.Sprintf("another agent publishes as host %s%s (its epoch is %d, ours %d): was this host or its state directory copied? "+
		"stop the copy and give it an identity of its own with `avstem-agent identity renew`%s", e.Host, where, e.Other, e.Epoch, then)
}

// Publisher publishes the observations of one start of one agent. It is used by
// one goroutine.
type Publisher struct {
	conn        *Conn
	incarnation uuid.UUID
	// last is the sequence that each subject's last document should have. A
	// subject that isn't in it is read before it is written.
	last map[string]uint64
}

// NewPublisher makes a publisher. The incarnation is a UUID of this start.
func (c *Conn) NewPublisher(incarnation uuid.UUID) *Publisher {
	return &Publisher{conn: c, incarnation: incarnation, last: map[string]uint64{}}
}

// Forget drops what is known of the streams, for use after a reconnect: what is
// there is then read before the next publish.
func (p *Publisher) Forget() { clear(p.last) }

// Publish puts a document on its subject and waits until the stream has it. A
// document that is there already (its acknowledgement was lost) is not written
// twice. The errors that a caller may want to tell apart are [*CloneError],
// [*TooLargeError] and [ErrNoStream]; after any other it may try again.
func (p *Publisher) Publish(ctx context.Context, o *inventory.Observation) error {
	msg, err := encode(o)
	if err != nil {
		return err
	}
	msg.Header.Set(headerIncarnation, p.incarnation.String())
	// The reconnect buffer is off, so a size above the limit would be an error
	// of the client's as well; this one says what to do.
	if size, limit := int64(msg.Size()), p.conn.nc.MaxPayload(); limit > 0 && size > limit {
		return &TooLargeError{Subject: msg.Subject, Size: size, Limit: limit}
	}
	// Once for a sequence that turned out wrong, once for a reader that lagged
	// behind the stream's leader, and once more.
	for range 3 {
		var done bool
		if done, err = p.attempt(ctx, o, msg); errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%w: the NATS server doesn't answer: see its log; its disk may be full", err)
		} else if done {
			return err
		}
	}
	return fmt.Errorf("publish on %s: the subject changes as fast as it is read: %w", msg.Subject, err)
}

// attempt is done unless the sequence was wrong.
func (p *Publisher) attempt(ctx context.Context, o *inventory.Observation, msg *nats.Msg) (done bool, err error) {
	seq, known := p.last[msg.Subject]
	blind := false
	if !known {
		held, err := p.conn.lastObservation(ctx, msg.Subject)
		if blind = errors.Is(err, errNobodyReads); err != nil && !blind {
			return true, fmt.Errorf("publish on %s: read what is there: %w", msg.Subject, err)
		}
		if there, err := p.judge(held, o); there || err != nil {
			p.last[msg.Subject] = held.seq
			return true, err
		}
		seq = held.seq
	}
	ack, err := p.conn.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(seq))
	switch {
	case err == nil:
		p.last[msg.Subject] = ack.Sequence
		return true, nil
	case isWrongSequence(err):
		delete(p.last, msg.Subject)
		// Where nobody reads for us, the refusal tells what to replace: that another
		// agent lives under our name is then for its heartbeats to say.
		if is, told := sequenceIn(err); blind && told {
			p.last[msg.Subject] = is
		}
		return false, err
	case errors.Is(err, jetstream.ErrNoStreamResponse):
		err = ErrNoStream
	}
	// The document may or may not be there: look before the next one.
	delete(p.last, msg.Subject)
	return true, fmt.Errorf("publish on %s: %w", msg.Subject, err)
}

// judge says what the document on our subject means: ours (or newer) is there
// already, a clone wrote it, or it is to be replaced. One that is older or can't
// be read is left from an earlier start or came back with an old backup of the
// stream.
func (p *Publisher) judge(held heldObservation, o *inventory.Observation) (there bool, err error) {
	switch {
	case held.doc == nil:
		return false, nil
	case held.incarnation == p.incarnation:
		return !o.Supersedes(held.doc), nil
	case held.doc.Epoch >= o.Epoch:
		return false, &CloneError{Host: o.Host, Epoch: o.Epoch, Other: held.doc.Epoch}
	}
	return false, nil
}

func isWrongSequence(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// sequenceIn reads the sequence out of "wrong last sequence: 17", which is the only
// place where the server says it.
func sequenceIn(err error) (seq uint64, told bool) {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if !ok {
		return 0, false
	}
	_, number, _ := strings.Cut(api.Description, "wrong last sequence: ")
	seq, bad := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
	return seq, bad == nil
}

// heldObservation is the last message on a subject; seq 0 means that there is none.
type heldObservation struct {
	seq         uint64
	incarnation uuid.UUID
	doc         *inventory.Observation
}

// lastObservation reads by direct get, whose subject names the subject that is
// read; a host with credentials of its own asks its reconciler to.
func (c *Conn) lastObservation(ctx context.Context, subject string) (heldObservation, error) {
	read := func() (*nats.Msg, error) { return c.nc.RequestWithContext(ctx, c.directGet(subject), nil) }
	if c.publishesOnly {
		read = func() (*nats.Msg, error) { return c.askHeld(ctx, subject) }
	}
	reply, err := read()
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return heldObservation{}, ErrNoStream
	case err != nil:
		return heldObservation{}, err
	}
	if status := reply.Header.Get("Status"); status == statusNone {
		return heldObservation{}, nil
	} else if status != "" {
		return heldObservation{}, fmt.Errorf("the server answers %s %s", status, reply.Header.Get("Description"))
	}
	// The server adds its headers to the message's own, behind them.
	sequences := reply.Header.Values(jetstream.SequenceHeader)
	seq, err := strconv.ParseUint(last(sequences), 10, 64)
	if err != nil {
		return heldObservation{}, fmt.Errorf("the answer has no sequence: %w", err)
	}
	held := heldObservation{seq: seq}
	if held.doc, err = Decode(subject, reply.Header, reply.Data); err == nil {
		held.incarnation, _ = uuid.Parse(reply.Header.Get(headerIncarnation))
	}
	return held, nil
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// directGet is the subject of JetStream's API at which the last message of a
// subject of AVSTEM_OBSERVED is read.
func (c *Conn) directGet(subject string) string {
	return c.apiPrefix() + "DIRECT.GET." + StreamObserved + "." + subject
}

// apiPrefix is where the JetStream API is.
func (c *Conn) apiPrefix() string {
	switch options := c.js.Options(); {
	case options.APIPrefix != "":
		return options.APIPrefix
	case options.Domain != "":
		return "$JS." + options.Domain + ".API."
	}
	return "$JS.API."
}
