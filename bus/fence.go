package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// FenceLanes is how many findings may be written at one time: a stream takes
// one write after the other of those that expect the same.
const FenceLanes = 8

// Fence is what the holder of a lease states with each write. A process that was
// held up (stopped, swapped out, cut off) while its lease ended may wake up in the
// middle of a write; no clock of its own can keep it from that, but the stream
// can: the next holder put down a mark of its own first, and the stream refuses
// what expects the former one.
//
// The marks are messages of AVSTEM_FINDINGS itself, as a stream compares sequences
// only with what it has: avstem.v1.fence.SITE.LANE. They also tell who reads from a
// replica whether it is behind: all that a former holder wrote stands before them.
//
// Drift events have none, as marks among them would have to be messages of
// AVSTEM_DRIFT, which everybody reads. They don't need any. An event is told once the
// finding is written, under the fence, that names it; so what a former holder may
// still tell, the next one has read of, and tells itself if it isn't told yet
// ([Told]), under the same ID. Whichever comes second, the stream drops, as it knows
// IDs for [driftDedupe]. Nothing comes later than that: it would have to come over
// the connection that the process had when it was held up, and a server closes one
// that leaves three pings unanswered, by its defaults after six minutes.
type Fence struct {
	site string
	seq  [FenceLanes]uint64 // of the marks
}

// Lane is the condition on writing a finding. Of each lane one write may be under
// way at a time.
func (f *Fence) Lane(lane int) jetstream.PublishOpt {
	return jetstream.WithExpectLastSequenceForSubject(f.seq[lane], fenceSubject(f.site, lane))
}

// Last is the highest sequence of a mark.
func (f *Fence) Last() uint64 { return slices.Max(f.seq[:]) }

func fenceSubject(site string, lane int) string {
	return strings.Join([]string{fencePrefix, site, strconv.Itoa(lane)}, ".")
}

// IsFencedOff says whether a write was refused for its condition: another one's
// marks stand there, or none do.
func IsFencedOff(err error) bool { return isWrongSequence(err) }

// Raise puts down the marks: from then on nobody writes who had the lease
// before. It is called by a new holder before it reads, and by one whose writes
// are refused although it has the lease, as the stream may be another one.
//
// What is there is read first, then the lease is renewed, and then the marks are
// written if what was read is still there: so a former holder that wakes up here
// cannot put its marks over those of the next one, which had to be written since.
func (l *Lease) Raise(ctx context.Context) (*Fence, error) {
	var err error
	for range 3 { // another one may still have been raising its own
		var f *Fence
		if f, err = l.raise(ctx); err == nil {
			return f, nil
		}
		if !isWrongSequence(err) {
			break
		}
	}
	return nil, fmt.Errorf("fence off former reconcilers of site %s: %w", l.site, err)
}

func (l *Lease) raise(ctx context.Context) (*Fence, error) {
	f := &Fence{site: l.site}
	stream, err := l.conn.js.Stream(ctx, StreamFindings)
	if err != nil {
		return nil, err
	}
	for lane := range f.seq {
		msg, err := stream.GetLastMsgForSubject(ctx, fenceSubject(l.site, lane))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.seq[lane] = msg.Sequence
	}
	if err := l.Renew(ctx); err != nil {
		return nil, err
	}
	for lane, seq := range f.seq {
		ack, err := l.conn.js.Publish(ctx, fenceSubject(l.site, lane), []byte(l.record.Holder),
			jetstream.WithExpectLastSequencePerSubject(seq), jetstream.WithRetryAttempts(0))
		if err != nil {
			return nil, err
		}
		f.seq[lane] = ack.Sequence
	}
	return f, nil
}
