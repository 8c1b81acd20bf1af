package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// checkEvery is how often a reader asks whether the stream is still the one
// that it reads.
const checkEvery = 10 * time.Second

// ReadOnce is for how long a server keeps the consumer of who reads once and
// goes: a script that asks each second must not use up the consumers of a server.
const ReadOnce = 10 * time.Second

// errReplaced says that the stream was deleted and made again, or came back
// older than what was read of it. A consumer would wait for a sequence that the
// new stream reaches in hours.
var errReplaced = errors.New("the stream was replaced")

// feed is one subscription to the last values of a stream and what follows.
type feed struct {
	stream, filter string
	message        func(jetstream.Msg)
	ready          func() // all last values have been delivered; once
	lost           func(error)
}

// readTo is how far a stream was read.
type readTo struct {
	created time.Time // which stream that is
	seen    sequence
}

// after is the sequence after which reading goes on, 0 where the last values are to be
// read: the stream is another one, or came back older, or there is less to read of
// the last values than of all that came since. So who is slow gets on over any number
// of breaks, and who was away for long isn't told of what is past.
func (p *readTo) after(info *jetstream.StreamInfo) uint64 {
	seen := p.seen.get()
	if !info.Created.Equal(p.created) || info.State.LastSeq < seen || info.State.LastSeq-seen > info.State.NumSubjects {
		return 0
	}
	return seen
}

// follow delivers until ctx ends, over reconnects, restarts and streams that
// are deleted. After such a break values may come again.
func (c *Conn) follow(ctx context.Context, f feed) error {
	announce := f.ready
	f.ready = func() {
		if announce != nil {
			announce()
			announce = nil
		}
	}
	var at readTo
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		began := time.Now()
		err := c.followOnce(ctx, f, &at)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if _, old := errors.AsType[*VersionError](err); old || c.nc.IsClosed() {
			return fmt.Errorf("read stream %s: %w", f.stream, err)
		}
		if f.lost != nil {
			f.lost(fmt.Errorf("read stream %s: %w", f.stream, err))
		}
		if time.Since(began) > time.Minute {
			wait = 100 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

func (c *Conn) followOnce(ctx context.Context, f feed, at *readTo) error {
	if !c.nc.IsConnected() {
		return nats.ErrDisconnected
	}
	stream, err := c.js.Stream(ctx, f.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		// The stream is a cache: without it there is nothing yet, which is no
		// reason to give up.
		if err = c.EnsureStreams(ctx); err == nil {
			stream, err = c.js.Stream(ctx, f.stream)
		}
	}
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	after := at.after(info)
	messages, pending, err := c.lastValues(ctx, f.stream, f.filter, after, 0)
	if err != nil {
		return err
	}
	at.created = info.Created
	at.seen.set(after)
	defer messages.Stop()
	if pending == 0 {
		f.ready()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() { cancel(c.watchStream(ctx, stream, info.Created, &at.seen)) }()
	for {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return errors.Join(context.Cause(ctx), err)
		}
		f.message(msg)
		meta, err := msg.Metadata()
		if err != nil {
			return err
		}
		at.seen.set(meta.Sequence.Stream)
		if meta.NumPending == 0 {
			f.ready()
		}
	}
}

// lastValues begins an ordered consumer over the last message of every subject
// and all that follow, or over all after a sequence, and says how many messages there
// are to begin with. The server forgets the consumer when nothing was asked of it for a while; 0 leaves that to
// the server, which takes minutes.
func (c *Conn) lastValues(ctx context.Context, stream, filter string, after uint64, forget time.Duration) (jetstream.MessagesContext, uint64, error) {
	config := jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter},
		DeliverPolicy:  jetstream.DeliverLastPerSubjectPolicy,

		InactiveThreshold: forget,
		// After that we begin anew ourselves: nats.go can't be interrupted
		// while it tries again, and tries for ever on a stream that is gone.
		MaxResetAttempts: 2,
	}
	if after > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	}
	consumer, err := c.js.OrderedConsumer(ctx, stream, config)
	if err != nil {
		return nil, 0, err
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, 0, err
	}
	messages, err := consumer.Messages()
	return messages, info.NumPending, err
}

// watchStream returns when the stream is not the one that is being read, asking
// after each reconnect and now and then.
func (c *Conn) watchStream(ctx context.Context, stream jetstream.Stream, created time.Time, seen *sequence) error {
	up := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(up)
	tick := time.NewTicker(c.checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-up:
		case <-tick.C:
		}
		least := seen.get() // before asking: messages may come meanwhile
		info, err := stream.Info(ctx)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return err
		case err != nil: // away for now; the consumer heals when it is back
		case !info.Created.Equal(created) || info.State.LastSeq < least:
			return errReplaced
		}
	}
}
