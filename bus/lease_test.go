package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// await takes the lease in the background.
func await(t *testing.T, c *Conn, holder string, waiting func(string)) <-chan *Lease {
	t.Helper()
	taken := make(chan *Lease, 1)
	go func() {
		if l, err := c.AwaitLease(t.Context(), "osl1", holder, waiting); err == nil {
			taken <- l
		}
	}()
	return taken
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s: nothing came in a minute", what)
		panic("not reached")
	}
}

// renewed renews a lease until the returned function is called, which gives it back.
func renewed(t *testing.T, l *Lease) (giveBack func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Keep(ctx) }()
	var once sync.Once
	var err error
	giveBack = func() error {
		once.Do(func() {
			cancel()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() { _ = giveBack() }) // told where it matters
	return giveBack
}

func TestLeaseThatIsGivenBackIsTakenAtOnce(t *testing.T) {
	n := startServer(t)
	first := receive(t, "first", await(t, n.connect(t), "first", nil))
	giveBack := renewed(t, first)
	told := make(chan string, 10)
	second := await(t, n.connect(t), "second", func(holder string) { told <- holder })
	if holder := receive(t, "who has it", told); holder != "first" {
		t.Errorf("it is said to be %q's", holder)
	}
	if !first.Holds() {
		t.Error("the first doesn't hold it")
	}
	if err := giveBack(); err != nil {
		t.Error(err)
	}
	if first.Holds() {
		t.Error("what was given back is held")
	}
	if l := receive(t, "second", second); !l.Holds() {
		t.Error("the second doesn't hold it")
	}
}

func TestLeaseIsHeldForLongerThanItLasts(t *testing.T) {
	n := startServer(t)
	first := receive(t, "first", await(t, n.connect(t), "first", nil))
	renewed(t, first)
	second := await(t, n.connect(t), "second", nil)
	select {
	case <-second:
		t.Fatal("it was taken from one who renews it")
	case <-time.After(LeaseFor + 2*time.Second):
	}
	if !first.Holds() {
		t.Error("the first doesn't hold it")
	}
}

func TestLeaseThatIsNotRenewedIsTaken(t *testing.T) {
	n := startServer(t)
	first := receive(t, "first", await(t, n.connect(t), "first", nil))
	second := receive(t, "second", await(t, n.connect(t), "second", nil))
	if first.Holds() || !second.Holds() {
		t.Errorf("held by first: %v, by second: %v", first.Holds(), second.Holds())
	}
	err := first.Renew(t.Context())
	if lost, ok := errors.AsType[*LostLeaseError](err); !ok || lost.Holder != "second" {
		t.Errorf("the first renews it: %v", err)
	}
	if err := second.Renew(t.Context()); err != nil {
		t.Error(err)
	}
}

// A server that restarts, and a bucket that somebody deletes, are no reason to
// lead no more.
func TestLeaseOutlivesServerAndBucket(t *testing.T) {
	n := startServer(t)
	c := n.connect(t)
	l := receive(t, "lease", await(t, c, "first", nil))
	n.stop()
	if err := l.Renew(t.Context()); err == nil {
		t.Error("it was renewed without a server")
	}
	n.start(t)
	for deadline := time.Now().Add(time.Minute); !c.nc.IsConnected(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it doesn't connect again")
		}
	}
	if err := l.Renew(t.Context()); err != nil {
		t.Errorf("after a restart of the server: %v", err)
	}
	if err := c.js.DeleteKeyValue(t.Context(), BucketLeases); err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(t.Context()); err != nil || !l.Holds() {
		t.Errorf("after the bucket was deleted: %v", err)
	}
}

// What is not seen says nothing: neither a break in looking nor somebody else's
// clock makes a lease free.
func TestLeaseStands(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	type look struct {
		rev  uint64
		at   int
		free bool
	}
	for name, looks := range map[string][]look{
		"unrenewed":            {{7, 0, false}, {7, 900, false}, {7, 1800, false}, {7, 2700, false}, {7, 3000, true}},
		"renewed late":         {{7, 0, false}, {7, 900, false}, {7, 1800, false}, {7, 2700, false}, {8, 2999, false}, {8, 3900, false}},
		"who waits was paused": {{7, 0, false}, {7, 900, false}, {7, 30_000, false}, {7, 30_900, false}},
	} {
		t.Run(name, func(t *testing.T) {
			var w leaseWaiter
			for _, l := range looks {
				if got := w.stands(l.rev, at(l.at)); got != l.free {
					t.Errorf("at %d ms: free is %v", l.at, got)
				}
			}
		})
	}
}

// put writes a finding on a lane.
func put(ctx context.Context, c *Conn, f *Fence, lane int, id string) error {
	subject, err := FindingSubject("osl1", id)
	if err != nil {
		return err
	}
	_, err = c.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: fmt.Appendf(nil, `{"id":%q}`, id)}, f.Lane(lane), jetstream.WithRetryAttempts(0))
	return err
}

// send tells an event.
func send(ctx context.Context, c *Conn, e DriftEvent) error {
	wait, err := c.SendDrift(e)
	if err != nil {
		return err
	}
	return wait(ctx)
}

func TestFormerHolderIsFencedOff(t *testing.T) {
	n := startServer(t)
	a, b := n.connect(t), n.connect(t)
	ensure(t, a)
	first := receive(t, "first", await(t, a, "first", nil))
	old, err := first.Raise(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	event := DriftEvent{ID: "e-1", Action: DriftOpened, Kind: "nic.vlan", Site: "osl1", Subject: "f-1", Finding: []byte("{}")}
	if err := errors.Join(put(t.Context(), a, old, 0, "f-1"), a.PublishDrift(t.Context(), event)); err != nil {
		t.Fatal(err)
	}
	second := receive(t, "second", await(t, b, "second", nil))
	fence, err := second.Raise(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The first wakes up, with what it knew.
	for lane := range FenceLanes {
		if err := put(t.Context(), a, old, lane, fmt.Sprintf("f-%d", lane)); !isWrongSequence(err) {
			t.Errorf("lane %d takes a former holder's finding: %v", lane, err)
		}
	}
	event.ID = "e-2"
	if _, err := first.Raise(t.Context()); err == nil {
		t.Error("a former holder raises a fence")
	}
	if err := errors.Join(put(t.Context(), b, fence, 0, "f-1"), send(t.Context(), b, event)); err != nil {
		t.Errorf("the holder can't write: %v", err)
	}
	told := func(since Told) (ids []string) {
		t.Helper()
		told, err := b.DriftTold(t.Context(), "osl1", since)
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(told))
	}
	now, err := b.ToldNow(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	event.ID = "e-3"
	if err := send(t.Context(), b, event); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"e-3"}, told(now)); diff != "" {
		t.Errorf("told since (-want +got):\n%s", diff)
	}
	for what, since := range map[string]Told{"ever": {}, "in another stream": {Drift: now.Drift, Made: now.Made.Add(-time.Hour)}, "in an older copy": {Drift: now.Drift + 2, Made: now.Made}} {
		if diff := cmp.Diff([]string{"e-1", "e-2", "e-3"}, told(since)); diff != "" {
			t.Errorf("told %s (-want +got):\n%s", what, diff)
		}
	}
}

// Many findings are written at once where three servers have to agree on each.
func TestFenceLanesDoNotHinderOneAnotherInACluster(t *testing.T) {
	c := startCluster(t, 3)[0].connect(t)
	ctx := within(t, time.Minute)
	for err := c.EnsureStreams(t.Context()); err != nil; err = c.EnsureStreams(t.Context()) { // until the cluster has a leader
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	lease, err := c.AwaitLease(ctx, "osl1", "first", nil)
	if err != nil {
		t.Fatal(err)
	}
	fence, err := lease.Raise(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var lanes sync.WaitGroup
	for lane := range FenceLanes {
		lanes.Go(func() {
			for i := range 25 {
				if err := put(ctx, c, fence, lane, fmt.Sprintf("f-%d-%d", lane, i)); err != nil {
					t.Errorf("lane %d, write %d: %v", lane, i, err)
					return
				}
			}
		})
	}
	lanes.Wait()
	for { // who reads from a replica may be behind for a moment
		all, err := c.Findings(ctx)
		if err == nil && len(all) == FenceLanes*25 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("%d findings, %v", len(all), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	kv, err := c.js.KeyValue(ctx, BucketLeases)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := kv.Status(ctx); err != nil || status.(*jetstream.KeyValueBucketStatus).StreamInfo().Config.Replicas != 3 {
		t.Errorf("the leases have %+v, %v", status, err)
	}
}

func TestLeaseThatCannotBeTaken(t *testing.T) {
	n := startServer(t, func(o *server.Options) { o.JetStream = false })
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := n.connect(t).AwaitLease(ctx, "osl1", "first", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without JetStream: %v", err)
	}
	if _, err := n.connect(t).AwaitLease(t.Context(), "*", "first", nil); err == nil {
		t.Error("a lease of all sites was taken")
	}
}
