package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/reconcile"
)

// What was planted is what is found, no more and no less.
func TestPlantedDriftIsFound(t *testing.T) {
	f := New(Plan{Hosts: 60, VMs: 20, Sites: 3, DriftEvery: 5})
	in := reconcile.Input{Intended: f.Inventory(), Policy: reconcile.DefaultPolicy(), Now: epoch}
	for host := range f.Hosts {
		for _, o := range f.Documents(host, 0) {
			in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: epoch})
		}
	}
	found := map[reconcile.Kind]int{}
	for _, finding := range reconcile.Reconcile(in).Findings {
		found[finding.Kind]++
	}
	if diff := cmp.Diff(f.Expected(), found); diff != "" {
		t.Errorf("findings by kind (-planted +found):\n%s", diff)
	}
	if len(found) < 15 {
		t.Errorf("only %d kinds", len(found))
	}
}

// Over real NATS, before every host changed, while it is changed, and when it has
// changed back.
func TestReconcilersFindItOverNATS(t *testing.T) {
	nats, err := embedded.Start(t.Context(), embedded.Options{StateDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer nats.Close()
	conn, err := nats.Connect("fleet")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := New(Plan{Hosts: 45, VMs: 10, Sites: 3, DriftEvery: 7})
	hosts, r := NewHosts(f, conn), NewReconciler(f)
	counts := map[State]int{}
	for s := range State(3) {
		if err := hosts.Publish(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(t.Context(), conn); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Judge(); err != nil {
			t.Fatal(err)
		}
		found := r.Found()
		counts[s] = found[reconcile.VMVCPUs]
		found[reconcile.VMVCPUs] = f.Expected()[reconcile.VMVCPUs]
		if diff := cmp.Diff(f.Expected(), found); diff != "" {
			t.Errorf("state %d: findings but vm.vcpus by kind (-planted +found):\n%s", s, diff)
		}
	}
	if planted := f.Expected()[reconcile.VMVCPUs]; counts[0] != planted || counts[1] <= planted+20 || counts[2] != planted {
		t.Errorf("vm.vcpus: %v in the states, of which %d were planted", counts, planted)
	}
}
