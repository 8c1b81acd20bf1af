package incus

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/test/rig"
)

// hearer keeps what a Watch told.
type hearer struct {
	mu    sync.Mutex
	told  []collectors.Change
	ended chan error
}

// watch listens until the test ends.
func watch(t *testing.T, c *Collector) *hearer {
	t.Helper()
	h := &hearer{ended: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ended <- c.Watch(ctx, func(change collectors.Change) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.told = append(h.told, change)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	h.await(t, collectors.Change{Event: "watching"})
	return h
}

// await waits for a change, forgets what was told up to it, and returns that.
func (h *hearer) await(t *testing.T, want collectors.Change) []collectors.Change {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		h.mu.Lock()
		if i := slices.Index(h.told, want); i >= 0 {
			before := slices.Clone(h.told[:i])
			h.told = h.told[i+1:]
			h.mu.Unlock()
			return before
		}
		h.mu.Unlock()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.Fatalf("%+v was never told; told were %+v", want, h.told)
	return nil
}

// TestWatch follows a container's life by the events of a real daemon.
func TestWatch(t *testing.T) {
	forBoth(t, func(t *testing.T, r *runtime) {
		c := r.collector()
		h := watch(t, c)
		// One that no pass has seen yet may be anything.
		r.launch(t, "watched", "-n", "br0")
		h.await(t, collectors.Change{Event: "instance-started"})
		entity := vmOf(t, complete(t, c), "default/watched").Entity()
		for _, step := range []struct{ do, event string }{
			{"pause watched", "instance-paused"},
			{"start watched", "instance-resumed"},
			{"config set watched user.dataverket.tenant=acme", "instance-updated"},
			{"config device add watched p2p nic nictype=p2p name=eth7", "instance-updated"},
			{"snapshot watched s0", "instance-snapshot-created"},
			{"stop --force watched", "instance-stopped"},
		} {
			r.do(t, step.do)
			h.await(t, collectors.Change{Entity: entity, Event: step.event})
		}
		r.do(t, "start watched\nexec watched -- /bin/sh -c :\nprofile create watched\nprofile delete watched\ndelete --force watched")
		for _, change := range h.await(t, collectors.Change{Entity: entity, Event: "instance-deleted"}) {
			if change.Event == "instance-exec" {
				t.Error("a command in the container is told")
			}
			if change.Event == "profile-created" && change.Entity != "" {
				t.Errorf("a profile is told as %+v", change)
			}
		}
	})
}

// TestWatchOfADaemonThatDies: its end is the watch's, since nobody is there to
// listen to any more.
func TestWatchOfADaemonThatDies(t *testing.T) {
	r := on(rig.ForTestWith(t, rig.Options{LXD: true}), LXD)
	h := watch(t, r.collector())
	if err := r.kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-h.ended:
		h.ended <- err
		if se, ok := errors.AsType[*collectors.SourceError](err); !ok || se.Remedy == "" {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it goes on")
	}
}

// fakeEvents serves an event socket that speaks to each listener in its way.
func fakeEvents(t *testing.T, speak func(ctx context.Context, conn *websocket.Conn, n int)) *Collector {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /1.0", func(w http.ResponseWriter, _ *http.Request) {
		synced(w, `{"environment": {"server": "lxd", "server_name": "m1", "server_clustered": true}}`)
	})
	var listeners atomic.Int32
	mux.HandleFunc("GET /1.0/events", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		speak(r.Context(), conn, int(listeners.Add(1)))
	})
	return &Collector{Flavor: LXD, Sockets: []string{fakeDaemon(t, mux)}, CallTimeout: 5 * time.Second}
}

// TestWatchOfAFakeThatHangsUp: a listener that the daemon disconnects, as it does
// with a slow one, listens again and says that anything may have changed.
func TestWatchOfAFakeThatHangsUp(t *testing.T) {
	c := fakeEvents(t, func(ctx context.Context, conn *websocket.Conn, n int) {
		if n < 3 {
			return
		}
		for _, text := range []string{
			`{"location": "m2", "metadata": {"action": "instance-stopped", "source": "/1.0/instances/elsewhere"}}`,
			`{"location": "m1", "metadata": {"action": "instance-exec", "source": "/1.0/instances/a"}}`,
			`{"location": "m1", "metadata": {"action": "image-created", "source": "/1.0/images/a"}}`,
			`{"location": "m1", "metadata": {"action": "instance-snapshot-deleted", "source": "/1.0/instances/a%20b/snapshots/s?project=acme"}}`,
			`not JSON`,
		} {
			if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
				return
			}
		}
		<-conn.CloseRead(ctx).Done()
	})
	c.known = map[string]identity{"acme/a b": {}}
	h := watch(t, c)
	before := h.await(t, collectors.Change{Event: "an event that can't be decoded"})
	want := []collectors.Change{{Event: "listening again"}, {Event: "listening again"}, {Entity: "vm:acme/a b", Event: "instance-snapshot-deleted"}}
	if diff := cmp.Diff(want, before); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWatchOfAFakeThatFloods: an event that is too large ends a connection and
// no more.
func TestWatchOfAFakeThatFloods(t *testing.T) {
	h := watch(t, fakeEvents(t, func(ctx context.Context, conn *websocket.Conn, n int) {
		if n == 1 {
			_ = conn.Write(ctx, websocket.MessageText, make([]byte, eventLimit+1)) // the reader hangs up
		}
		<-conn.CloseRead(ctx).Done()
	}))
	h.await(t, collectors.Change{Event: "listening again"})
}

// TestWatchOfASilentSocket gives up when nobody answers.
func TestWatchOfASilentSocket(t *testing.T) {
	c := &Collector{Sockets: []string{silentSocket(t)}, CallTimeout: 100 * time.Millisecond}
	err := c.Watch(t.Context(), func(collectors.Change) { t.Error("something was told") })
	if !errors.Is(err, errSilent) {
		t.Errorf("it ended with %v", err)
	}
}
