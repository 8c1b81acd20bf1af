package bus

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
)

var (
	startA = uuid.MustParse("aaaaaaaa-0000-4000-8000-000000000001")
	startB = uuid.MustParse("bbbbbbbb-0000-4000-8000-000000000002")
)

func publish(t *testing.T, p *Publisher, o *inventory.Observation) {
	t.Helper()
	if err := p.Publish(within(t, 10*time.Second), o); err != nil {
		t.Fatal(err)
	}
}

// stored lists the (epoch, gen) that the stream has on hostA's subject.
func stored(t *testing.T, c *Conn) [][2]uint64 {
	t.Helper()
	messages, pending, err := c.lastValues(t.Context(), StreamObserved, observedPrefix+".>", 0, ReadOnce)
	if err != nil {
		t.Fatal(err)
	}
	messages.Stop()
	if pending == 0 {
		return nil
	}
	consumer, err := c.js.OrderedConsumer(t.Context(), StreamObserved, jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var all [][2]uint64
	for {
		msg, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Decode(msg.Subject(), msg.Headers(), msg.Data())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, [2]uint64{o.Epoch, o.Gen})
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		if meta.NumPending == 0 {
			return all
		}
	}
}

func wantStored(t *testing.T, c *Conn, want ...[2]uint64) {
	t.Helper()
	got := stored(t, c)
	if len(got) != len(want) {
		t.Fatalf("the stream has %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the stream has %v, want %v", got, want)
		}
	}
}

func TestPublishedDocumentsFollowEachOther(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1, "eth0"))
	publish(t, p, observation(t, 1, 2, "eth0", "eth1"))
	wantStored(t, c, [2]uint64{1, 1}, [2]uint64{1, 2})
}

func TestNextStartGoesOnFromTheLast(t *testing.T) {
	c := ready(t)
	publish(t, c.NewPublisher(startA), observation(t, 1, 7))
	publish(t, c.NewPublisher(startB), observation(t, 2, 1))
	wantStored(t, c, [2]uint64{1, 7}, [2]uint64{2, 1})
}

func TestLostAcknowledgementIsNoSecondDocument(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	// What a publisher knows when the answer to its second document is lost.
	before := p.last[mustSubject(t)]
	publish(t, p, observation(t, 1, 2))
	p.last[mustSubject(t)] = before
	publish(t, p, observation(t, 1, 2))
	wantStored(t, c, [2]uint64{1, 1}, [2]uint64{1, 2})
	publish(t, p, observation(t, 1, 3))
	wantStored(t, c, [2]uint64{1, 1}, [2]uint64{1, 2}, [2]uint64{1, 3})
}

func mustSubject(t *testing.T) string {
	t.Helper()
	s, err := ObservedSubject(Key{DefaultSite, hostA, "network"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestForgettingDoesNotPublishTwice(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	p.Forget()
	publish(t, p, observation(t, 1, 1))
	wantStored(t, c, [2]uint64{1, 1})
}

func TestStoreThatWasResetIsFilledAgain(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	for gen := range uint64(3) {
		publish(t, p, observation(t, 1, gen+1))
	}
	if err := c.js.DeleteStream(t.Context(), StreamObserved); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(within(t, 10*time.Second), observation(t, 1, 4)); !errors.Is(err, ErrNoStream) {
		t.Fatalf("without a stream: got %v", err)
	}
	ensure(t, c)
	publish(t, p, observation(t, 1, 4))
	wantStored(t, c, [2]uint64{1, 4})
}

func TestStoreThatCameBackOlderIsBroughtUpToDate(t *testing.T) {
	c := ready(t)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 4, 1))
	publish(t, p, observation(t, 4, 2))
	// An old backup: an earlier start's document, under other sequences.
	if err := c.js.DeleteStream(t.Context(), StreamObserved); err != nil {
		t.Fatal(err)
	}
	ensure(t, c)
	publish(t, c.NewPublisher(startB), observation(t, 3, 9))
	publish(t, p, observation(t, 4, 3))
	wantStored(t, c, [2]uint64{3, 9}, [2]uint64{4, 3})
}

func TestUnreadableDocumentOnOurSubjectIsReplaced(t *testing.T) {
	c := ready(t)
	if _, err := c.js.Publish(t.Context(), mustSubject(t), []byte("junk")); err != nil {
		t.Fatal(err)
	}
	publish(t, c.NewPublisher(startA), observation(t, 1, 1))
	held, err := c.lastObservation(t.Context(), mustSubject(t))
	if err != nil || held.seq != 2 || held.incarnation != startA {
		t.Fatalf("got %+v, %v", held, err)
	}
}

func TestCloneIsNoticed(t *testing.T) {
	for name, epochs := range map[string][2]uint64{
		"copied and started later":      {5, 6},
		"copied while stopped":          {5, 5},
		"started with an older counter": {5, 3},
	} {
		t.Run(name, func(t *testing.T) {
			c := ready(t)
			first, second := c.NewPublisher(startA), c.NewPublisher(startB)
			publish(t, first, observation(t, epochs[0], 1))
			err := second.Publish(within(t, 10*time.Second), observation(t, epochs[1], 1))
			if err == nil { // then the first must notice
				err = first.Publish(within(t, 10*time.Second), observation(t, epochs[0], 2))
			}
			clone, ok := errors.AsType[*CloneError](err)
			if !ok {
				t.Fatalf("nobody noticed: %v", err)
			}
			if clone.Host != hostA || !strings.Contains(err.Error(), "stop the copy") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestDocumentPastTheServersLimitIsRefusedWhole(t *testing.T) {
	n := startServer(t, func(o *server.Options) { o.MaxPayload = 2000 })
	c := n.connect(t)
	ensure(t, c)
	p := c.NewPublisher(startA)
	err := p.Publish(t.Context(), observation(t, 1, 1, manyLinks(100)...))
	large, ok := errors.AsType[*TooLargeError](err)
	if !ok || large.Limit != 2000 || large.Size <= 2000 {
		t.Fatalf("got %v", err)
	}
	wantStored(t, c)
	publish(t, p, observation(t, 1, 2, "eth0"))
}

func TestPublishWithoutStreamsSaysWhatMakesThem(t *testing.T) {
	c := startServer(t).connect(t)
	err := c.NewPublisher(startA).Publish(within(t, 10*time.Second), observation(t, 1, 1))
	if !errors.Is(err, ErrNoStream) {
		t.Fatalf("got %v", err)
	}
}

// A server whose disk is full answers nothing at all.
func TestPublishWithoutAnAnswerSaysWhereToLook(t *testing.T) {
	c := startServer(t).connect(t)
	if _, err := c.nc.Subscribe("$JS.API.DIRECT.GET."+StreamObserved+".>", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := c.NewPublisher(startA).Publish(ctx, observation(t, 1, 1))
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "its disk may be full") {
		t.Errorf("got %v", err)
	}
}

func TestPublishWhileTheServerIsAwayFailsAtOnceAndLater(t *testing.T) {
	n := startServer(t)
	c := n.connect(t)
	ensure(t, c)
	p := c.NewPublisher(startA)
	publish(t, p, observation(t, 1, 1))
	n.stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Publish(ctx, observation(t, 1, 2)); err == nil {
		t.Fatal("it was published on nothing")
	}
	back := c.nc.StatusChanged(nats.CONNECTED)
	n.start(t)
	<-back
	publish(t, p, observation(t, 1, 2))
	wantStored(t, c, [2]uint64{1, 1}, [2]uint64{1, 2})
}

// A host with an agent's credentials tries what would let it speak for others.
func TestAgentsCannotEmptyOrRewriteTheStream(t *testing.T) {
	c := ready(t)
	publish(t, c.NewPublisher(startA), observation(t, 1, 1))
	rollup := nats.NewMsg(mustSubject(t))
	rollup.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupAll)
	if _, err := c.js.PublishMsg(t.Context(), rollup); err == nil {
		t.Error("a rollup was taken")
	}
	ttl := nats.NewMsg(mustSubject(t))
	ttl.Header.Set("Nats-TTL", "1s")
	if _, err := c.js.PublishMsg(t.Context(), ttl); err == nil {
		t.Error("a message with a TTL was taken")
	}
	stream, err := c.js.Stream(t.Context(), StreamObserved)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err == nil {
		t.Error("the stream was purged")
	}
	if err := stream.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("a message was deleted")
	}
	wantLast := observation(t, 1, 1)
	if held, err := c.lastObservation(t.Context(), mustSubject(t)); err != nil || held.doc == nil || held.doc.Digest != wantLast.Digest {
		t.Errorf("the document is %+v, %v", held, err)
	}
}

func BenchmarkPublish50VMs(b *testing.B) {
	c := startServer(b, func(o *server.Options) { o.SyncAlways = true }).connect(b)
	ensure(b, c)
	doc := withVMs(b, 50)
	p := c.NewPublisher(startA)
	plain := nats.NewMsg("avstem.v1.observed.default." + startB.String() + ".network")
	msg, err := encode(doc)
	if err != nil {
		b.Fatal(err)
	}
	plain.Data = msg.Data
	var ours, bare time.Duration
	for b.Loop() {
		doc.Gen++
		began := time.Now()
		if err := p.Publish(b.Context(), doc); err != nil {
			b.Fatal(err)
		}
		ours += time.Since(began)
		began = time.Now()
		if _, err := c.js.PublishMsg(b.Context(), plain); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(began)
	}
	b.ReportMetric(float64(ours)/float64(bare), "x-js.PublishMsg")
}
