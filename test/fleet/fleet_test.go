package fleet

import (
	"testing"

	"github.com/google/go-cmp/cmp"

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
