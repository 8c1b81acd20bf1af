package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/reconcile"
)

// A new kind of finding is planted, or it is said why it can't be.
func TestEveryKindIsPlantedOrExplained(t *testing.T) {
	f := New(Plan{Hosts: 1200, VMs: 20, Sites: 3, DriftEvery: 5})
	expected := f.Expected()
	for _, info := range reconcile.Kinds() {
		if _, explained := Unplanted[info.Kind]; explained == (expected[info.Kind] > 0) {
			t.Errorf("%s: planted %d times, explained %v: one of both", info.Kind, expected[info.Kind], explained)
		}
	}
	planted := f.Planted()
	for _, d := range VMDrifts {
		if planted[d.Name] == 0 {
			t.Errorf("no VM drifts so: %s", d.Name)
		}
	}
	for _, d := range HostDrifts {
		if planted[d.Name] == 0 {
			t.Errorf("no host drifts so: %s", d.Name)
		}
	}
}

// What was planted is what the pure core finds, no more and no less.
func TestPlantedDriftIsFound(t *testing.T) {
	f := New(Plan{Hosts: 120, VMs: 20, Sites: 3, DriftEvery: 5})
	result := reconcile.Reconcile(f.Input(f.Inventory(), epoch))
	all, _ := reconcile.Advance(nil, result, f.Policy(), epoch)
	found := map[reconcile.Kind]int{}
	for _, finding := range all {
		found[finding.Kind]++
	}
	if diff := cmp.Diff(f.Expected(), found); diff != "" {
		t.Errorf("findings by kind (-planted +found):\n%s", diff)
	}
}

// Without drift, a fleet of three platforms makes no finding.
func TestAFleetInOrderIsSilent(t *testing.T) {
	f := New(Plan{Hosts: 36, VMs: 10, Sites: 3})
	inv := f.Inventory()
	for _, finding := range reconcile.Reconcile(f.Input(inv, epoch)).Findings {
		t.Errorf("found: %s", finding.Message)
	}
	if len(inv.Problems) > 0 || len(inv.VMs) != 360 {
		t.Errorf("%d VMs are recorded; problems: %v", len(inv.VMs), inv.Problems)
	}
}

// rig is a fleet on a NATS server, with the reconcilers of its sites.
type rig struct {
	*Fleet
	conn  *bus.Conn
	hosts *Hosts
	r     *Reconciler
}

func newRig(t *testing.T, p Plan) *rig {
	t.Helper()
	nats, err := embedded.Start(t.Context(), embedded.Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	conn, err := nats.Connect("fleet")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := New(p)
	g := &rig{Fleet: f, conn: conn, hosts: NewHosts(f, conn), r: NewReconciler(f)}
	if _, err := g.hosts.All(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.read(t)
	if _, err := g.r.Judge(); err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *rig) read(t *testing.T) {
	t.Helper()
	if err := g.r.Read(t.Context(), g.conn); err != nil {
		t.Fatal(err)
	}
}

// Over real NATS, once all have been heard for a while, and after one VM of every
// host was changed and changed back.
func TestReconcilersFindItOverNATS(t *testing.T) {
	g := newRig(t, Plan{Hosts: 120, VMs: 10, Sites: 3, DriftEvery: 4})
	w := NewWorld(g.Fleet, g.r.Intended())
	var resized []int
	for h := range g.Hosts {
		if vm := h*g.VMs + 3; g.hostDrift(h) == nil && w.Settled(vm) {
			resized = append(resized, vm)
		}
	}
	for round, vcpus := range []int{0, 3, 2} {
		for _, vm := range resized {
			if vcpus > 0 {
				w.Resize(vm, vcpus)
			}
		}
		if _, err := g.hosts.Changed(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		g.read(t)
		for range 2 { // a clock is measured more than once
			if _, err := g.r.Wait(silentFor, Everybody); err != nil {
				t.Fatal(err)
			}
		}
		want := g.ExpectedBySites()
		if vcpus == 3 {
			want[reconcile.VMVCPUs] += len(resized)
		}
		if diff := cmp.Diff(want, g.r.Found()); diff != "" {
			t.Errorf("round %d: findings by kind (-planted +found):\n%s", round, diff)
		}
	}
	if len(resized) < g.Hosts/3 {
		t.Errorf("only %d VMs were resized", len(resized))
	}
}
