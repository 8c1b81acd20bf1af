package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Kept is a message as its stream keeps it.
type Kept struct {
	Stream   string
	Subject  string
	Sequence uint64
	Time     time.Time // when the stream took it, by the server's clock
	Header   nats.Header
	Data     []byte // none where headers alone were asked for
}

// Past names what is read of a stream's past.
type Past struct {
	Stream   string
	Subjects []string // may have wildcards; none may overlap
	Since    time.Time
	Headers  bool // without the data
}

// ObservedOf is the subject of everything that a host's sources said.
func ObservedOf(site string, host uuid.UUID) (string, error) {
	if err := checkHost(site, host); err != nil {
		return "", err
	}
	return observedPrefix + "." + site + "." + host.String() + ".*", nil
}

// ObservedIn is the subject of everything that a site's hosts said.
func ObservedIn(site string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	return observedPrefix + "." + site + ".*.*", nil
}

// DriftIn is the subject of all events about findings of a site.
func DriftIn(site string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	return driftPrefix + "." + site + ".>", nil
}

// DriftOf is the subject of all events about findings of a kind.
func DriftOf(site, kind string) (string, error) {
	if err := CheckName("site", site); err != nil {
		return "", err
	}
	if !validKind.MatchString(kind) {
		return "", fmt.Errorf("kind %q of a finding is not one to four names with dots between", kind)
	}
	return driftPrefix + "." + site + ".*." + kind, nil
}

// Read gives every message that is kept, in the stream's order, up to what there
// was when it began. A stream or subject that isn't there has no past, which is no
// error. An error of take ends it.
func (c *Conn) Read(ctx context.Context, p Past, take func(Kept) error) error {
	if len(p.Subjects) == 0 {
		return nil
	}
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: p.Subjects, DeliverPolicy: jetstream.DeliverAllPolicy, HeadersOnly: p.Headers, MaxResetAttempts: 2,
		InactiveThreshold: ReadOnce,
	}
	if !p.Since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &p.Since
	}
	return c.read(ctx, p.Stream, config, take)
}

// read gives what a consumer has to begin with.
func (c *Conn) read(ctx context.Context, stream string, config jetstream.OrderedConsumerConfig, take func(Kept) error) error {
	consumer, err := c.js.OrderedConsumer(ctx, stream, config)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the past of %s: %w", stream, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return fmt.Errorf("read the past of %s: %w", stream, err)
	}
	left := info.NumPending
	if left == 0 {
		c.dropConsumer(stream, consumer)
		return nil
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read the past of %s: %w", stream, err)
	}
	defer func() {
		messages.Stop()
		c.dropConsumer(stream, consumer)
	}()
	for ; left > 0; left-- {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the past of %s: %w", stream, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read the past of %s: %w", stream, err)
		}
		kept := Kept{Stream: stream, Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Time: meta.Timestamp.UTC(), Header: msg.Headers(), Data: msg.Data()}
		if err := take(kept); err != nil {
			return err
		}
		if meta.NumPending == 0 { // what fell out of the stream meanwhile never comes
			return nil
		}
	}
	return nil
}

// dropConsumer ends a consumer that has read what it was for. The server would keep
// it for minutes, and a stream takes so many only.
func (c *Conn) dropConsumer(stream string, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if info := consumer.CachedInfo(); info != nil {
		_ = c.js.DeleteConsumer(ctx, stream, info.Name) // it ends by itself otherwise
	}
}

// Message reads one message by its sequence.
func (c *Conn) Message(ctx context.Context, stream string, sequence uint64) (Kept, error) {
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return Kept{}, fmt.Errorf("read message %d of %s: %w", sequence, stream, streamError(err, stream))
	}
	msg, err := s.GetMsg(ctx, sequence)
	if err != nil {
		return Kept{}, fmt.Errorf("read message %d of %s: %w", sequence, stream, err)
	}
	return Kept{Stream: stream, Subject: msg.Subject, Sequence: msg.Sequence, Time: msg.Time.UTC(), Header: msg.Header, Data: msg.Data}, nil
}

// Subjects counts the messages that are kept of each subject.
func (c *Conn) Subjects(ctx context.Context, stream, filter string) (map[string]uint64, error) {
	s, err := c.js.Stream(ctx, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("list the subjects of %s: %w", stream, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, fmt.Errorf("list the subjects of %s: %w", stream, err)
	}
	return info.State.Subjects, nil
}

// lastUpToAtOnce is how many subjects one request may name (the server refuses to
// answer with more than 1,024 messages), lastUpToBatch how many come at a time.
const (
	lastUpToAtOnce = 500
	lastUpToBatch  = 128
)

// LastUpTo gives the last message that each subject had at a time, in the stream's
// order within each request. A subject that had none, or whose message of then is
// not kept any more, is left out.
func (c *Conn) LastUpTo(ctx context.Context, stream string, subjects []string, at time.Time, take func(Kept) error) error {
	for begin := 0; begin < len(subjects); begin += lastUpToAtOnce {
		chunk := subjects[begin:min(begin+lastUpToAtOnce, len(subjects))]
		for from := uint64(0); ; {
			next, err := c.lastUpTo(ctx, stream, chunk, at, from, take)
			if err != nil {
				return fmt.Errorf("read %s as of %s: %w", stream, at.UTC().Format(time.RFC3339), err)
			}
			if next == 0 {
				break
			}
			from = next
		}
	}
	return nil
}

// lastUpTo makes one request. The server stops after some megabytes: next is then
// the sequence to go on from, else 0.
func (c *Conn) lastUpTo(ctx context.Context, stream string, subjects []string, at time.Time, from uint64, take func(Kept) error) (next uint64, err error) {
	// The server takes what came before the time.
	request, err := json.Marshal(struct {
		MultiLast []string  `json:"multi_last"`
		Seq       uint64    `json:"seq,omitempty"`
		Batch     int       `json:"batch"`
		UpToTime  time.Time `json:"up_to_time"`
	}{subjects, from, lastUpToBatch, at.UTC().Add(time.Nanosecond)})
	if err != nil {
		return 0, err
	}
	inbox := c.nc.NewRespInbox()
	replies, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = replies.Unsubscribe() }()
	if err := replies.SetPendingLimits(-1, -1); err != nil {
		return 0, err
	}
	if err := c.nc.PublishRequest(c.apiPrefix()+"DIRECT.GET."+stream, inbox, request); err != nil {
		return 0, err
	}
	for {
		msg, err := replies.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrNoResponders) {
			return 0, nil // no such stream
		} else if err != nil {
			return 0, err
		}
		switch status := msg.Header.Get("Status"); status {
		case "":
		case "204": // the end of what is sent
			if left, _ := strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); left == 0 {
				return 0, nil
			}
			last, err := strconv.ParseUint(msg.Header.Get("Nats-Last-Sequence"), 10, 64)
			return last + 1, err
		case "404":
			return 0, nil
		default:
			return 0, fmt.Errorf("the server answers %s %s", status, msg.Header.Get("Description"))
		}
		kept, err := directly(stream, msg)
		if err != nil {
			return 0, err
		}
		if err := take(kept); err != nil {
			return 0, err
		}
	}
}

// directly reads a message that came by direct get.
func directly(stream string, msg *nats.Msg) (Kept, error) {
	sequence, err := strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return Kept{}, fmt.Errorf("the answer has no sequence: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return Kept{}, fmt.Errorf("the answer has no time: %w", err)
	}
	return Kept{
		Stream: stream, Subject: msg.Header.Get(jetstream.SubjectHeader), Sequence: sequence, Time: at.UTC(), Header: msg.Header, Data: msg.Data,
	}, nil
}
