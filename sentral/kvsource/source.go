package kvsource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/sentral"
)

// Source is a [sentral.Source]: a bucket.
type Source struct {
	js     jetstream.JetStream
	bucket string
	limits limits
	now    func() time.Time

	mu   sync.Mutex
	held *held // as it was read last, nil before
	last *sentral.Inventory
}

// New makes a source of a bucket. Nothing is asked of it yet.
func New(js jetstream.JetStream, bucket string) *Source {
	return &Source{js: js, bucket: bucket, limits: usual, now: time.Now}
}

// Name is the source's, as in [sentral.Inventory.Source].
func (s *Source) Name() string { return "nats-kv:" + s.bucket }

// loadingError says that a load is under way.
type loadingError struct{ marker *marker }

func (e loadingError) Error() string {
	return fmt.Sprintf("a load by %q that began at %s has not ended: wait for it, or run it again", e.marker.By, e.marker.Began.UTC().Format(time.RFC3339))
}

// Read implements [sentral.Source]. A bucket without a new message is not read
// again; the inventory's ReadAt is when that was seen.
func (s *Source) Read(ctx context.Context) (*sentral.Inventory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	inv, err := s.read(ctx)
	switch {
	case err == nil:
		s.last = inv
		return inv, nil
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	return nil, fmt.Errorf("read inventory from %s: %w", s.Name(), err)
}

func (s *Source) read(ctx context.Context) (*sentral.Inventory, error) {
	asking, cancel := context.WithTimeoutCause(ctx, s.limits.answer, fmt.Errorf("no answer came within %s: is the server overloaded?", s.limits.answer))
	defer cancel()
	kv, info, err := s.status(asking)
	if err != nil {
		return nil, err
	}
	same := s.held != nil && s.held.created.Equal(info.Created) && s.held.last == info.State.LastSeq && uint64(len(s.held.values)) <= info.State.Msgs
	if !same {
		h, err := s.collect(ctx, kv, info)
		if err != nil {
			return nil, err
		}
		s.held, s.last = h, nil
	}
	m, err := s.held.check()
	switch {
	case err != nil:
		return nil, err
	case m.State == stateLoading:
		return nil, loadingError{m}
	case s.last != nil:
		inv := *s.last
		inv.ReadAt = s.now().UTC()
		return &inv, nil
	}
	return s.held.inventory(s.Name(), s.now()), nil
}

// Watch implements [sentral.Source]. The bucket is looked at when a message to
// it is heard, and at intervals. A load that is under way is waited for.
func (s *Source) Watch(ctx context.Context, fn func(*sentral.Inventory)) {
	kept := sentral.NewKeeper(s.Name(), fn)
	news := make(chan *nats.Msg, 1)
	// What isn't heard, since the account or the domain is another's, the next
	// look at an interval finds; so it is if the subscription is refused.
	if sub, err := s.js.Conn().ChanSubscribe("$KV."+s.bucket+".>", news); err == nil {
		defer func() { _ = sub.Unsubscribe() }() // the connection may be closed
	}
	var load string // that is under way
	var since time.Time
	for {
		inv, err := s.Read(ctx)
		if ctx.Err() != nil {
			return
		}
		again := s.limits.poll
		if under, ok := errors.AsType[loadingError](err); ok {
			if load != under.marker.Load {
				load, since = under.marker.Load, time.Now()
			}
			again = min(again, s.limits.loading/10)
			if time.Since(since) < s.limits.loading {
				err = nil // nothing to say yet
			}
		}
		if inv != nil || err != nil {
			kept.Take(inv, err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		case <-news:
			s.settle(ctx, news)
		}
	}
}

// settle waits until messages have been quiet for a while, or for ten times that.
func (s *Source) settle(ctx context.Context, news <-chan *nats.Msg) {
	late := time.After(10 * s.limits.quiet)
	for {
		select {
		case <-news:
		case <-time.After(s.limits.quiet):
			return
		case <-late:
			return
		case <-ctx.Done():
			return
		}
	}
}
