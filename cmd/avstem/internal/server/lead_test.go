package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// standing waits until a reconciler of the site stands by and would know what to
// say.
func (r *rig) standing(s *Server, log *logs) {
	r.t.Helper()
	r.until("the second stands by", func() error {
		if !log.has("standing by") || s.leading.Load() {
			return errors.New("it doesn't")
		}
		if waiting := s.engine.Status(time.Now()).Waiting; waiting != "" {
			return errors.New(waiting)
		}
		return nil
	})
}

// wantSame says that a takeover neither lost, doubled nor reopened anything.
func (r *rig) wantSame(before map[string]reconcile.Finding, events ...string) {
	r.t.Helper()
	var after map[string]reconcile.Finding
	r.until("findings are as before", func() (err error) {
		after, _, err = r.stored()
		return err
	})
	for id, f := range before {
		got := after[id]
		if !got.FirstSeen.Equal(f.FirstSeen) || !got.Since.Equal(f.Since) || got.Flaps != f.Flaps {
			r.t.Errorf("%s: first seen %s and then %s, since %s and then %s, flaps %d and then %d", f.Kind,
				f.FirstSeen, got.FirstSeen, f.Since, got.Since, f.Flaps, got.Flaps)
		}
	}
	r.untilEvents(events...)
}

func TestStandbyTakesOverWhenTheFirstStops(t *testing.T) {
	r := newRig(t)
	first, stop := r.reconciler(nil)
	r.shows(4)
	before := r.untilStored("open vm.vcpus")
	var log logs
	second, _ := r.reconciler(&log)
	r.standing(second, &log)
	if !first.leading.Load() {
		t.Fatal("the first doesn't lead")
	}
	stop()
	r.until("the second leads", func() error { return r.answers(second) })
	r.wantSame(before, "opened.vm.vcpus")
	r.shows(5) // it is at work
	r.until("the second writes", func() error { return r.storedOtherThan(before) })
	r.wantSame(before, "opened.vm.vcpus", "changed.vm.vcpus")
}

// answers says whether the site's questions are answered by s, from a step.
func (r *rig) answers(s *Server) error {
	reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab.status", nil, time.Second)
	if err != nil {
		return err
	}
	var status Status
	if err := json.Unmarshal(reply.Data, &status); err != nil {
		return err
	}
	if status.Reconciler != s.store.self || !status.Ready {
		return fmt.Errorf("ready: %v, by %s", status.Ready, status.Reconciler)
	}
	return nil
}

// A leader that is cut off must stop by itself, and what it still would write
// when the network heals must not undo what the other one wrote.
func TestStandbyTakesOverWhenTheFirstIsCutOff(t *testing.T) {
	r := newRig(t)
	wire := newWire(t, r.nats.Socket())
	var firstLog, secondLog logs
	first := r.reconcilerOver(wire.dial(t), &firstLog)
	r.shows(4)
	before := r.untilStored("open vm.vcpus")
	second, _ := r.reconciler(&secondLog)
	r.standing(second, &secondLog)

	cut := time.Now()
	wire.cut()
	r.until("the second leads", func() error { return r.answers(second) })
	t.Logf("taken over after %s", time.Since(cut).Round(time.Millisecond))
	r.wantSame(before, "opened.vm.vcpus")
	r.shows(5) // unheard by the first
	r.until("the second writes", func() error { return r.storedOtherThan(before) })
	now, _, err := r.stored()
	if err != nil {
		t.Fatal(err)
	}
	// What the first still has to say, it may say no more.
	stale := before[keyOf(before)]
	stale.Message = "from before"
	first.out.add(engine.Outcome{Changed: []reconcile.Finding{stale}, Events: []reconcile.Event{{Change: reconcile.Changed, Finding: stale}}}, "lab")

	wire.heal()
	r.until("the first stands by", func() error {
		if first.leading.Load() || !firstLog.has("standing by") {
			return errors.New("it doesn't")
		}
		return nil
	})
	after, _, err := r.stored()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(now, after); diff != "" {
		t.Errorf("findings after it healed (-before +after):\n%s", diff)
	}
	r.wantSame(before, "opened.vm.vcpus", "changed.vm.vcpus")
}

func keyOf(findings map[string]reconcile.Finding) string {
	for id := range findings {
		return id
	}
	return ""
}

// A crash between a finding and its events, and between the event and the next
// finding, tells each once.
func TestEventsThatACrashLeftUntoldAreToldOnce(t *testing.T) {
	r := newRig(t)
	s := r.leading("crashed")
	now := time.Now().UTC()
	finding := func(id string, kind reconcile.Kind) reconcile.Finding {
		return reconcile.Finding{ID: id, Kind: kind, State: reconcile.Open, Verdict: reconcile.Confirmed, FirstSeen: now, Since: now, LastSeen: now,
			Subject: reconcile.Subject{Type: "vm", ID: id, Site: "lab"}}
	}
	told, untold := finding("f-told", reconcile.VMState), finding("f-untold", reconcile.VMMemory)
	for _, f := range []*reconcile.Finding{&told, &untold} {
		e := newEvent(reconcile.Event{Change: reconcile.Opened, Finding: *f}, "lab")
		named := []string{"opened " + e.ID}
		if f == &untold { // it changed before it was told of
			f.Message = "it is another one now"
			named = append(named, "changed "+newEvent(reconcile.Event{Change: reconcile.Changed, Finding: *f}, "lab").ID)
		}
		if err := s.store.put(t.Context(), 0, f, named); err != nil {
			t.Fatal(err)
		}
		if f == &told {
			var err error
			if e.Finding, err = encode(f); err != nil {
				t.Fatal(err)
			}
			if err := s.o.Conn.PublishDrift(t.Context(), e.DriftEvent); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.endTurn()
	r.reconciler(nil)
	r.shows(2)
	r.until("all are told", func() error {
		if got := r.events(); len(got) < 3 {
			return fmt.Errorf("only %v", got)
		}
		return nil
	})
	if got := strings.Join(r.events(), " "); !strings.HasPrefix(got, "opened.vm.state opened.vm.memory changed.vm.memory") || strings.Count(got, "opened.") != 2 {
		t.Errorf("events: %s", got)
	}
}

// wire leads to the NATS server and can be cut: nothing passes then, and nobody
// is told.
type wire struct {
	t      *testing.T
	socket string
	listen net.Listener

	mu    sync.Mutex
	whole chan struct{} // closed while the wire is whole
	isCut bool
}

func newWire(t *testing.T, socket string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, socket: socket, listen: l, whole: make(chan struct{})}
	close(w.whole)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("unix", socket)
			if err != nil {
				from.Close()
				continue
			}
			go w.pass(from, to)
			go w.pass(to, from)
		}
	}()
	return w
}

func (w *wire) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		w.mu.Lock()
		whole := w.whole
		w.mu.Unlock()
		<-whole
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				return
			}
			return
		}
	}
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole, w.isCut = make(chan struct{}), true
	w.t.Cleanup(w.heal)
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isCut {
		close(w.whole)
		w.isCut = false
	}
}

func (w *wire) dial(t *testing.T) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial("nats://"+w.listen.Addr().String(), new(logs).logger(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// reconcilerOver runs a server over a connection of its own.
func (r *rig) reconcilerOver(conn *bus.Conn, log *logs) *Server {
	s := New(Options{Conn: conn, Site: "lab", Policy: reconcile.DefaultPolicy(), Logger: log.logger(), Watch: r.watch})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("reconciler: %v", err)
		}
	})
	return s
}
