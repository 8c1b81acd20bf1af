package bus

import (
	"context"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
)

// sequence is the last one read of a stream.
type sequence struct{ n atomic.Uint64 }

func (s *sequence) set(n uint64) { s.n.Store(n) }

func (s *sequence) get() uint64 { return s.n.Load() }

// ObservationHandler takes what is on AVSTEM_OBSERVED. Its functions are called
// one at a time.
type ObservationHandler struct {
	// Observation is called with each document, in the stream's order. After a
	// break a document may come again: what is not newer than what one holds,
	// by [inventory.Observation.Supersedes], is to be ignored.
	Observation func(*inventory.Observation)
	// Refused is called with what can't be taken: not the document of its
	// subject's site, host and source, not to be decoded, or of a newer schema.
	Refused func(subject string, err error)
	// Ready is called once, when the last document of every host and source
	// that there was at the beginning has been delivered.
	Ready func()
	// Behind is called with each document, before it, with how many the stream has
	// behind it. May be nil.
	Behind func(n uint64)
	// Lost is called when reading breaks off; it is taken up again by itself.
	// Until then silence says nothing. May be nil.
	Lost func(error)
}

// Observations delivers the last document of every host and source and then
// each one that is published, until ctx ends or the connection is closed for
// good. It makes the streams if they are gone, and reads everything again when
// the stream was replaced.
func (c *Conn) Observations(ctx context.Context, h ObservationHandler) error {
	return c.follow(ctx, feed{
		stream: StreamObserved,
		filter: observedPrefix + ".>",
		ready:  h.Ready,
		lost:   h.Lost,
		message: func(msg jetstream.Msg) {
			if meta, err := msg.Metadata(); err == nil && h.Behind != nil {
				h.Behind(meta.NumPending)
			}
			o, err := Decode(msg.Subject(), msg.Headers(), msg.Data())
			if err != nil {
				h.Refused(msg.Subject(), err)
				return
			}
			h.Observation(o)
		},
	})
}
