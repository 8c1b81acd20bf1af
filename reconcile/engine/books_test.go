package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

var (
	begin   = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	hostID  = uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e001")
	vmID    = uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")
	second  = time.Second
	policy  = reconcile.DefaultPolicy()
	twoCPUs = 2
)

// books is an inventory with one host and one VM of two vCPUs on it.
func books() *sentral.Inventory {
	return &sentral.Inventory{
		Sites:    []sentral.Site{{ID: "lab"}},
		Projects: []sentral.Project{{Tenant: "acme", ID: "web"}},
		Hosts:    []sentral.Host{{ID: "hv-01", HostID: hostID, Name: "hv-01", Site: "lab", State: sentral.HostActive}},
		VMs: []sentral.VM{{ID: vmID.String(), Name: "web-01", Tenant: "acme", Project: "web", Site: "lab",
			Host: "hv-01", State: sentral.VMRunning, VCPUs: &twoCPUs}},
		Source: "test", Version: "1", ReadAt: begin,
	}
}

// shown is the document of a runtime that shows the VM with so many vCPUs, or no
// VM for none.
func shown(t testing.TB, epoch, gen uint64, cpus int) *inventory.Observation {
	body := inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}}
	if cpus > 0 {
		body.VMs = []inventory.VM{{UUID: vmID, Name: "web-01", State: inventory.StateRunning, VCPUs: &cpus,
			Placement: &inventory.Placement{VM: vmID.String(), Tenant: "acme", Project: "web"}}}
	}
	return document(t, hostID, "runtime-libvirt", epoch, gen, body)
}

func document(t testing.TB, host uuid.UUID, source string, epoch, gen uint64, body inventory.Body) *inventory.Observation {
	o := &inventory.Observation{
		Schema: inventory.Schema, Host: host, Site: "lab", Source: source, Epoch: epoch, Gen: gen,
		ObservedAt: begin, Outcome: inventory.OutcomeComplete, Complete: true, Body: body,
	}
	if err := o.Seal(); err != nil {
		t.Fatal(err)
	}
	return o
}

func beat(at time.Time, epoch uint64, docs ...*inventory.Observation) Heartbeat {
	b := Heartbeat{Host: hostID, Site: "lab", At: at, Epoch: epoch}
	for _, o := range docs {
		b.Sources = append(b.Sources, SourceState{Source: o.Source, Position: Position{o.Epoch, o.Gen, o.Digest}})
	}
	return b
}

// started is an engine that holds the documents as the stream had them, hears,
// and has heard the host.
func started(t testing.TB, now time.Time, docs ...*inventory.Observation) *Engine {
	e := New("lab", policy)
	e.Intend(books())
	for _, o := range docs {
		e.Observe(o, now)
	}
	e.Delivered()
	e.Listen(now)
	e.Hear(beat(now, 1, docs...))
	return e
}

// list writes findings one a line, for comparing.
func list(findings []reconcile.Finding) []string {
	var lines []string
	for _, f := range findings {
		line := fmt.Sprintf("%s %s %s", f.State, f.Kind, f.Subject.Name)
		if f.Verdict != reconcile.Confirmed {
			line += " " + string(f.Verdict)
		}
		lines = append(lines, line)
	}
	return lines
}

func listEvents(events []reconcile.Event) []string {
	var lines []string
	for _, e := range events {
		lines = append(lines, fmt.Sprintf("%s %s", e.Change, e.Finding.Kind))
	}
	return lines
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
