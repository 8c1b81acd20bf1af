package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// A second runtime's document that was made at the same moment is another source of
// what is missing, although nothing else of the host is otherwise.
func TestMissingNamesTheSourceOfNow(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	host := uuid.MustParse("19d7aa79-edef-5a8a-857f-5403be3f6300")
	in := reconcile.Input{Now: now, Policy: reconcile.DefaultPolicy(), Heard: map[uuid.UUID]time.Time{host: now}, Intended: &sentral.Inventory{
		Sites: []sentral.Site{{ID: "osl1"}}, Projects: []sentral.Project{{Tenant: "acme", ID: "web"}}, ReadAt: now,
		Hosts: []sentral.Host{{ID: "hv1", HostID: host, Site: "osl1", Platform: "qemu", State: sentral.HostActive}},
		VMs: []sentral.VM{{ID: "00000000-0000-4000-8000-000000000001", Name: "web-01", Tenant: "acme", Project: "web", Site: "osl1",
			Host: "hv1", State: sentral.VMRunning}},
	}}
	book := reconcile.NewBook(in.Policy)
	book.Intend(in.Intended)
	for _, source := range []string{"runtime-qemu", "runtime-libvirt"} {
		o := &inventory.Observation{Schema: inventory.Schema, Host: host, Site: "osl1", Source: source, Epoch: 1, Gen: 1, ObservedAt: now,
			Outcome: inventory.OutcomeComplete, Complete: true,
			Capabilities: []inventory.Capability{{Field: "vm.uuid", From: source, Known: inventory.KnownDirect}},
			Body:         inventory.Body{Runtime: &inventory.Runtime{Name: "qemu", Platform: "qemu", RunningOnly: source == "runtime-qemu"}}}
		if source == "runtime-qemu" {
			o.Capabilities = append(o.Capabilities, inventory.Capability{Field: "runtime.runningOnly", From: source, Known: inventory.KnownDirect})
		}
		doc := reconcile.Document{Observation: o, Received: now}
		in.Observed = append(in.Observed, doc)
		book.Observe(doc)
		book.Hear(host, now)
		book.Settle(now)
		whole := reconcile.Reconcile(in)
		if diff := differs(t, whole.Findings, book.Findings()); diff != "" {
			t.Errorf("with %s the book differs from a pass:\n%s", source, diff)
		}
	}
}
