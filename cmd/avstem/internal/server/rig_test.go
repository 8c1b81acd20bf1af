package server

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// rig is a real NATS server with a reconciler and somebody who plays an agent.
type rig struct {
	skew   time.Duration     // of the agent's clock
	lost   []bus.SourceState // documents that it speaks of and that are nowhere
	t      *testing.T
	dir    string
	nats   *embedded.Server
	agent  *bus.Conn
	pub    *bus.Publisher
	reader *bus.Conn
	conns  []*bus.Conn
	epoch  uint64
	gen    uint64
	last   *inventory.Observation
	cpus   int    // of the VM in Sentral
	log    *logs  // of the last reconciler
	turn   func() // ends that of one which leads and of which nothing else runs
	// natsLog is the NATS server's.
	natsLog logs
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, dir: t.TempDir(), epoch: 1, cpus: 2}
	r.start()
	t.Cleanup(func() { r.nats.Close() })
	r.agent, r.reader = r.connect("agent"), r.connect("reader")
	r.pub = r.agent.NewPublisher(uuid.New())
	// An agent can't publish before the streams are there.
	if err := r.reader.EnsureStreams(t.Context()); err != nil {
		t.Fatalf("%v\n%s", err, r.natsLog.text())
	}
	return r
}

func (r *rig) start() {
	r.t.Helper()
	nats, err := embedded.Start(r.t.Context(), embedded.Options{StateDir: r.dir, Logger: r.natsLog.logger()})
	if err != nil {
		r.t.Fatal(err)
	}
	r.nats = nats
}

func (r *rig) connect(name string) *bus.Conn {
	r.t.Helper()
	conn, err := bus.Connect(r.t.Context(), bus.Options{StateDir: r.dir, Name: name, Getenv: func(string) string { return "" }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(conn.Close)
	r.conns = append(r.conns, conn)
	return conn
}

// reconciler runs a server until the test or the returned function ends it. Log
// may be nil.
func (r *rig) reconciler(log *logs) (s *Server, stop func()) {
	r.t.Helper()
	if log == nil {
		log = new(logs)
	}
	return r.reconcilerWith(Options{Logger: log.logger(), Watch: r.watch}, log)
}

// reconcilerWith runs one with options of its own, but for those that are the rig's.
func (r *rig) reconcilerWith(o Options, log *logs) (s *Server, stop func()) {
	r.t.Helper()
	r.log = log
	o.Conn, o.Site, o.Policy = r.connect("reconciler"), "lab", reconcile.DefaultPolicy()
	s = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				r.t.Errorf("reconciler: %v", err)
			}
		})
	}
	r.t.Cleanup(stop)
	return s, stop
}

func (r *rig) watch(ctx context.Context, fn func(*sentral.Inventory)) {
	fn(r.books())
	<-ctx.Done()
}

func (r *rig) books() *sentral.Inventory {
	return &sentral.Inventory{
		Sites:    []sentral.Site{{ID: "lab"}},
		Projects: []sentral.Project{{Tenant: "acme", ID: "web"}},
		Hosts:    []sentral.Host{{ID: "hv-01", HostID: hostID, Name: "hv-01", Site: "lab", State: sentral.HostActive}},
		VMs: []sentral.VM{{ID: vmID.String(), Name: "web-01", Tenant: "acme", Project: "web", Site: "lab", Host: "hv-01",
			State: sentral.VMRunning, VCPUs: &r.cpus}},
		Source: "test", Version: "1", ReadAt: time.Now(),
	}
}

// shows publishes that the VM has so many vCPUs, and beats.
func (r *rig) shows(cpus int) {
	r.t.Helper()
	r.gen++
	o := &inventory.Observation{
		Schema: inventory.Schema, Host: hostID, Site: "lab", Source: "runtime-libvirt", Epoch: r.epoch, Gen: r.gen,
		ObservedAt: time.Now().UTC(), Outcome: inventory.OutcomeComplete, Complete: true,
		Body: inventory.Body{
			Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"},
			VMs: []inventory.VM{{UUID: vmID, Name: "web-01", State: inventory.StateRunning, VCPUs: &cpus,
				Placement: &inventory.Placement{VM: vmID.String(), Tenant: "acme", Project: "web"}}},
		},
	}
	if err := o.Seal(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.pub.Publish(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
	r.last = o
	r.beat()
}

// agentID is this start of the rig's agent.
var agentID = uuid.New()

func (r *rig) beat() {
	r.t.Helper()
	err := r.agent.Beat(bus.Heartbeat{Host: hostID, Site: "lab", Epoch: r.epoch, Incarnation: agentID, At: time.Now().Add(r.skew),
		Sources: append([]bus.SourceState{{Source: r.last.Source, Gen: r.last.Gen, Digest: r.last.Digest}}, r.lost...)})
	if err != nil {
		r.t.Fatal(err)
	}
}

// until beats and asks again until what is wanted is so.
func (r *rig) until(what string, so func() error) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		if r.last != nil {
			r.beat()
		}
		err := so()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: %v\n%s%s", what, err, r.log.text(), r.natsLog.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stored reads the findings as `avstem drift` does, one a line.
func (r *rig) stored() (map[string]reconcile.Finding, []string, error) {
	raw, err := r.reader.Findings(r.t.Context())
	if err != nil {
		return nil, nil, err
	}
	findings, lines := map[string]reconcile.Finding{}, []string{}
	for _, data := range raw {
		var f reconcile.Finding
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, nil, err
		}
		findings[f.ID] = f
		lines = append(lines, fmt.Sprintf("%s %s", f.State, f.Kind))
	}
	slices.Sort(lines)
	return findings, lines, nil
}

func (r *rig) untilStored(want ...string) map[string]reconcile.Finding {
	r.t.Helper()
	var found map[string]reconcile.Finding
	r.until("stored findings", func() (err error) {
		found, err = r.storedAre(want...)
		return err
	})
	return found
}

func (r *rig) storedAre(want ...string) (map[string]reconcile.Finding, error) {
	findings, lines, err := r.stored()
	if diff := cmp.Diff(append([]string{}, want...), lines); err != nil || diff != "" {
		return nil, fmt.Errorf("%v (-want +got):\n%s", err, diff)
	}
	return findings, nil
}

// untilEvents waits until these are all that was told: a finding is written before it
// is told of.
func (r *rig) untilEvents(want ...string) {
	r.t.Helper()
	r.until("what is told is what should be", func() error {
		if diff := cmp.Diff(want, r.events()); diff != "" {
			return fmt.Errorf("(-want +got):\n%s", diff)
		}
		return nil
	})
}

// events reads AVSTEM_DRIFT from its beginning.
func (r *rig) events() []string {
	r.t.Helper()
	consumer, err := r.reader.JetStream().OrderedConsumer(r.t.Context(), bus.StreamDrift, jetstream.OrderedConsumerConfig{})
	if err != nil {
		r.t.Fatal(err)
	}
	info, err := consumer.Info(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	var lines []string
	for range info.NumPending {
		msg, err := consumer.Next()
		if err != nil {
			r.t.Fatal(err)
		}
		lines = append(lines, strings.TrimPrefix(msg.Subject(), "avstem.v1.drift.lab."))
	}
	return lines
}

// logs keeps what was logged.
type logs struct {
	mu   sync.Mutex
	kept strings.Builder
}

func (l *logs) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.Write(line)
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.kept.String()
}

func (l *logs) has(text string) bool { return strings.Contains(l.text(), text) }

func (l *logs) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
