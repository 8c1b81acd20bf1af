package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
)

// manyHosts publishes a document of each of so many hosts.
func manyHosts(t *testing.T, p *Publisher, hosts int, gen uint64) {
	t.Helper()
	for h := range hosts {
		o := observation(t, 1, gen)
		o.Host = uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, h))
		publish(t, p, o)
	}
}

// TestSlowReaderGetsOn: all hosts publish at once to a reader that takes its time. Each
// document comes once, and none before an older one of its host.
func TestSlowReaderGetsOn(t *testing.T) {
	const hosts = 300
	c := ready(t)
	p := c.NewPublisher(startA)
	manyHosts(t, p, hosts, 1)
	docs, lost := make(chan *inventory.Observation, 3*hosts), make(chan error, 100)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Observations(ctx, ObservationHandler{
			Observation: func(o *inventory.Observation) {
				time.Sleep(2 * time.Millisecond)
				docs <- o
			},
			Refused: func(subject string, err error) { t.Errorf("%s: %v", subject, err) },
			Ready:   func() {},
			Lost:    func(err error) { lost <- err },
		})
	}()
	t.Cleanup(func() {
		end()
		<-ended
	})
	go manyHosts(t, p, hosts, 2)
	newest := map[uuid.UUID]uint64{}
	for n, current := 0, 0; current < hosts; n++ {
		o := take(t, docs)
		if o.Gen <= newest[o.Host] {
			t.Fatalf("the %d. document is %d of host %s, which was taken already", n, o.Gen, o.Host)
		}
		if newest[o.Host] = o.Gen; o.Gen == 2 {
			current++
		}
	}
	if len(lost) > 0 {
		t.Errorf("reading broke off: %v", <-lost)
	}
}

// TestReaderGoesOnWhereItBrokeOff: after a break what was read doesn't come again,
// unless there is less to read of the last values than of what came since.
func TestReaderGoesOnWhereItBrokeOff(t *testing.T) {
	const hosts = 20
	c := ready(t)
	p := c.NewPublisher(startA)
	manyHosts(t, p, hosts, 1)
	var at readTo
	// read gives the generations that come until it is ready, and breaks off at
	// so many.
	read := func(most int) (gens []uint64) {
		ctx, cut := context.WithCancel(t.Context())
		err := c.followOnce(ctx, feed{stream: StreamObserved, filter: observedPrefix + ".>", ready: cut, message: func(msg jetstream.Msg) {
			o, err := Decode(msg.Subject(), msg.Headers(), msg.Data())
			if err != nil {
				t.Error(err)
				return
			}
			if gens = append(gens, o.Gen); len(gens) == most {
				cut()
			}
		}}, &at)
		if !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		return gens
	}
	first := read(5) // or a few more, that were on their way
	manyHosts(t, p, 3, 2)
	if got, want := append(first, read(0)...), append(slices.Repeat([]uint64{1}, hosts), 2, 2, 2); !slices.Equal(got, want) || len(first) == hosts {
		t.Errorf("with a break after %d came %v, want %v", len(first), got, want)
	}
	if got := read(0); len(got) > 0 {
		t.Errorf("of what was read came %v again", got)
	}
	for gen := range uint64(hosts + 1) {
		manyHosts(t, p, 1, 3+gen)
	}
	if got := read(0); len(got) != hosts {
		t.Errorf("after many changes of one host came %v, want each host's last", got)
	}
	if err := c.js.DeleteStream(t.Context(), StreamObserved); err != nil {
		t.Fatal(err)
	}
	ensure(t, c)
	p.Forget()
	manyHosts(t, p, 2, 100)
	if got := read(0); !slices.Equal(got, []uint64{100, 100}) {
		t.Errorf("of another stream came %v", got)
	}
}
