package bus

import (
	"context"
	"runtime"
	"sync"
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
// the stream was replaced. After another break it goes on where it broke off, so that
// a reader that is slower than hosts publish gets on all the same.
//
// Documents are decoded on all CPUs, which is what takes the time when all hosts'
// come at once, and delivered one by one in the stream's order. They share what is
// equal in them, so the handler is only to read them.
func (c *Conn) Observations(ctx context.Context, h ObservationHandler) error {
	d := newDecoders(h)
	defer d.end()
	return c.follow(ctx, feed{
		stream: StreamObserved,
		filter: observedPrefix + ".>",
		ready:  func() { d.say(h.Ready) },
		lost: func(err error) {
			if h.Lost != nil {
				d.say(func() { h.Lost(err) })
			}
		},
		message: d.add,
	})
}

// decoders decode messages and deliver them in the order in which they were added.
type decoders struct {
	handler ObservationHandler
	queue   chan turn // in order; its capacity bounds what is under way
	work    chan work
	tasks   sync.WaitGroup
}

// turn is what is to be delivered next: what a message comes to, or a call.
type turn struct {
	decoded <-chan func()
	call    func()
}

type work struct {
	msg     jetstream.Msg
	decoded chan<- func()
}

func newDecoders(h ObservationHandler) *decoders {
	n := runtime.GOMAXPROCS(0)
	d := &decoders{handler: h, queue: make(chan turn, 4*n), work: make(chan work)}
	for range n {
		d.tasks.Go(func() {
			decoder := NewDecoder()
			defer decoder.Close()
			for w := range d.work {
				w.decoded <- d.decode(decoder, w.msg)
			}
		})
	}
	d.tasks.Go(func() {
		for t := range d.queue {
			if t.decoded != nil {
				t.call = <-t.decoded
			}
			t.call()
		}
	})
	return d
}

func (d *decoders) add(msg jetstream.Msg) {
	decoded := make(chan func(), 1)
	d.queue <- turn{decoded: decoded}
	d.work <- work{msg, decoded}
}

// say makes a call when its turn has come.
func (d *decoders) say(call func()) {
	if call != nil {
		d.queue <- turn{call: call}
	}
}

// decode gives what is to be done about a message when its turn has come.
func (d *decoders) decode(decoder *Decoder, msg jetstream.Msg) func() {
	behind := func() {
		if meta, err := msg.Metadata(); err == nil && d.handler.Behind != nil {
			d.handler.Behind(meta.NumPending)
		}
	}
	o, err := decoder.Decode(msg.Subject(), msg.Headers(), msg.Data())
	if err != nil {
		return func() { behind(); d.handler.Refused(msg.Subject(), err) }
	}
	return func() { behind(); d.handler.Observation(o) }
}

// end returns when everything that was added has been delivered.
func (d *decoders) end() {
	close(d.work)
	close(d.queue)
	d.tasks.Wait()
}
