package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/replay"
)

// actor is an agent that shows what it is told to: one VM with some vCPUs.
type actor struct {
	t         *testing.T
	conn      *bus.Conn
	publisher *bus.Publisher
	host      uuid.UUID
	vm        string

	mu     sync.Mutex
	gen    uint64
	doc    *inventory.Observation
	silent bool
}

func newActor(t *testing.T, conn *bus.Conn, host uuid.UUID, vm string) *actor {
	a := &actor{t: t, conn: conn, publisher: conn.NewPublisher(uuid.New()), host: host, vm: vm}
	a.shows(2)
	ctx, cancel := context.WithCancel(context.Background())
	var beating sync.WaitGroup
	beating.Go(func() {
		for tick := time.NewTicker(500 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			a.beat()
		}
	})
	t.Cleanup(func() { cancel(); beating.Wait() })
	return a
}

func (a *actor) beat() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.silent {
		return
	}
	if err := a.conn.Beat(bus.Heartbeat{Host: a.host, Site: "lab", Epoch: 1, At: time.Now(), Incarnation: a.host, Interval: time.Second,
		Sources: []bus.SourceState{{Source: a.doc.Source, Gen: a.doc.Gen, Digest: a.doc.Digest, Outcome: a.doc.Outcome}}}); err != nil {
		a.t.Error(err)
	}
}

// shows publishes that the VM has so many vCPUs.
func (a *actor) shows(cpus int) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.gen++
	a.doc = &inventory.Observation{Schema: inventory.Schema, Host: a.host, Site: "lab", Source: "runtime-libvirt", Epoch: 1, Gen: a.gen,
		ObservedAt: time.Now().UTC(), Outcome: inventory.OutcomeComplete, Complete: true,
		Body: inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}, VMs: []inventory.VM{{
			UUID: uuid.MustParse(a.vm), Name: "vm", State: inventory.StateRunning, VCPUs: &cpus,
			Placement: &inventory.Placement{VM: a.vm, Tenant: "acme", Project: "web", Environment: "prod"}}}}}
	if err := a.doc.Seal(); err != nil {
		a.t.Fatal(err)
	}
	if err := a.publisher.Publish(a.t.Context(), a.doc); err != nil {
		a.t.Fatal(err)
	}
}

func (a *actor) isSilent(silent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.silent = silent
}

const (
	replayedVMs = `
vms:
  - {id: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001, name: web-01, tenant: acme, project: web, environment: prod, site: lab, host: hv-01, vcpus: %d}
  - {id: 0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002, name: web-02, tenant: acme, project: web, environment: prod, site: lab, host: hv-02, vcpus: 2}
`
	replayedSite = `
sites: [{id: lab}]
projects: [{tenant: acme, id: web, environments: [prod]}]
hosts:
  - {id: hv-01, hostID: 6f1c0000-0000-4000-8000-000000000001, name: hv-01, site: lab, platform: libvirt}
  - {id: hv-02, hostID: 6f1c0000-0000-4000-8000-000000000002, name: hv-02, site: lab, platform: libvirt}
`
)

// TestReplayTellsWhatTheReconcilerTold lets a real reconciler judge a real stretch of
// time, in which everything that is replayed changes, and holds the replay by the
// policy of then to the events that it published.
func TestReplayTellsWhatTheReconcilerTold(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	nats, err := embedded.Start(t.Context(), embedded.Options{StateDir: p.state})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	file := filepath.Join(t.TempDir(), "policy.yaml")
	decide := func(name, text string) {
		if err := os.WriteFile(name, []byte("schema: avstem.policy/v1\nstaleAfter: 5s\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	decide(file, "graces: {vm.vcpus: 1s}\n")
	p.write("inventory.yaml", replayedSite)
	p.write("vms.yaml", fmt.Sprintf(replayedVMs, 2))
	p.start("serve", "--inventory", p.inventory, "--state-dir", p.state, "--site", "lab", "--policy", file)
	conn, err := nats.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	awaitStatus(t, p)
	first := newActor(t, conn, uuid.MustParse("6f1c0000-0000-4000-8000-000000000001"), "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")
	second := newActor(t, conn, uuid.MustParse("6f1c0000-0000-4000-8000-000000000002"), "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002")
	state := func(kind reconcile.Kind, name string, want reconcile.State) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
			found := p.drift(kind)
			if slices.ContainsFunc(found, func(f reconcile.Finding) bool {
				return f.Kind == kind && f.Subject.Name == name && f.State == want
			}) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s of %s is not %s: %+v", kind, name, want, found)
			}
		}
	}
	second.shows(8)
	state(reconcile.VMVCPUs, "web-02", reconcile.Open)
	since := time.Now().UTC()

	first.shows(4) // a host's change
	state(reconcile.VMVCPUs, "web-01", reconcile.Open)
	p.write("vms.yaml", fmt.Sprintf(replayedVMs, 4)) // Sentral's
	state(reconcile.VMVCPUs, "web-01", reconcile.Resolved)
	second.isSilent(true) // one that isn't kept anywhere
	state(reconcile.HostStale, "hv-02", reconcile.Open)
	second.isSilent(false)
	state(reconcile.HostStale, "hv-02", reconcile.Resolved)
	decide(file, "graces: {vm.vcpus: 6s}\n") // the policy's
	awaitKeptPolicy(t, conn, func(p *reconcile.Policy) bool { return p.Grace[reconcile.VMVCPUs] == 6*time.Second })
	first.shows(1)
	state(reconcile.VMVCPUs, "web-01", reconcile.Open)
	second.shows(2)
	state(reconcile.VMVCPUs, "web-02", reconcile.Resolved)

	ago := func() string { return time.Since(since).Round(time.Millisecond).String() }
	replayed := func(args ...string) (c replay.Comparison) {
		t.Helper()
		args = append([]string{"replay", "--state-dir", p.state, "--since", ago(), "-o", "json"}, args...)
		if err := json.Unmarshal([]byte(p.must(args...)), &c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := replayed("--policy", file)
	if r := c.Recorded; r.Told != 6 || r.Same != r.Told || len(r.Extra)+len(r.Missing) > 0 {
		t.Errorf("the replay tells other things than the reconciler: %+v", r)
	}
	// By another policy: what is open for seconds isn't told, and what stands is accepted.
	tried := filepath.Join(t.TempDir(), "new.yaml")
	decide(tried, `
graces: {vm.vcpus: 10m}
suppressions:
  - {id: web-02, match: {kind: vm.vcpus, subject: web-02}, value: 8, reason: known, owner: kari, expires: 2999-01-01}
  - {id: nobody, match: {kind: vm.memory}, value: "*", reason: old, owner: kari, expires: 2999-01-01}
`)
	c = replayed("--policy", tried)
	var got []string
	for _, f := range c.Findings {
		if f.Kind == reconcile.VMVCPUs {
			got = append(got, fmt.Sprintf("%s against:%t policy:%t %s", f.Subject.Name, f.Against != nil, f.Policy != nil, f.WhyNot))
		}
	}
	want := []string{"web-02 against:true policy:false suppressed by web-02", "web-01 against:true policy:false it is pending still"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what both have (-want +got):\n%s", diff)
	}
	if s := c.Suppressions; len(s) != 2 || s[0].Suppressed != 1 || s[1].Suppressed+s[1].Lapsed != 0 {
		t.Errorf("suppressions: %+v", s)
	}
	until := time.Now().UTC().Format(time.RFC3339)
	args := []string{"replay", "--state-dir", p.state, "--policy", tried, "--until", until, "-o", "csv"}
	if diff := cmp.Diff(p.must(args...), p.must(args...)); diff != "" {
		t.Errorf("the second time differs (-first +second):\n%s", diff)
	}
}

// awaitStatus waits until the reconciler answers.
func awaitStatus(t *testing.T, p *place) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		code, _, stderr := p.try("drift", "--state-dir", p.state)
		if code == 0 && stderr == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("no reconciler judges: %s", stderr)
		}
	}
}

// awaitKeptPolicy waits until such a policy is judged by, and stands among what was
// intended, where a replay finds when it began.
func awaitKeptPolicy(t *testing.T, conn *bus.Conn, such func(*reconcile.Policy) bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		kept := false
		err := conn.IntendedNow(t.Context(), "lab", history.PolicyID.Type, func(k bus.Kept) error {
			e, err := server.RecordOf(k)
			kept = err == nil && such(e.Policy)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if kept {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the policy isn't kept")
		}
	}
}
