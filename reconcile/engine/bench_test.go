package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// BenchmarkStep measures a step over 200 hosts of 50 VMs each, of which one VM in
// fifty differs, as a ratio to the core alone on the same books.
func BenchmarkStep(b *testing.B) {
	const hosts, each = 200, 50
	inv := &sentral.Inventory{Sites: []sentral.Site{{ID: "lab"}}, Projects: []sentral.Project{{Tenant: "acme", ID: "web"}}, ReadAt: begin}
	e := New("lab", policy)
	for h := range hosts {
		id := uuid.UUID{0: 1, 6: 0x40, 14: byte(h >> 8), 15: byte(h + 1)}
		name := fmt.Sprintf("hv-%03d", h)
		inv.Hosts = append(inv.Hosts, sentral.Host{ID: name, HostID: id, Site: "lab"})
		body := inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}}
		for v := range each {
			vm := uuid.UUID{0: 2, 6: 0x40, 13: byte(v + 1), 14: byte(h >> 8), 15: byte(h + 1)}
			cpus := 2
			if v == 0 {
				cpus = 4
			}
			inv.VMs = append(inv.VMs, sentral.VM{ID: vm.String(), Name: fmt.Sprintf("web-%03d-%02d", h, v), Tenant: "acme", Project: "web",
				Site: "lab", Host: name, VCPUs: &twoCPUs})
			body.VMs = append(body.VMs, inventory.VM{UUID: vm, Name: fmt.Sprintf("web-%03d-%02d", h, v), State: inventory.StateRunning, VCPUs: &cpus,
				Placement: &inventory.Placement{VM: vm.String(), Tenant: "acme", Project: "web"}})
		}
		e.Observe(document(b, id, "runtime-libvirt", 1, 1, body), begin)
		e.Hear(Heartbeat{Host: id, Site: "lab", At: begin, Epoch: 1})
	}
	e.Intend(inv)
	e.Delivered()
	e.Listen(begin)
	out := e.Step(begin.Add(policy.StaleAfter)) // nobody is waited for from then on
	if out.Waiting != "" || out.Status.Findings.Open != hosts {
		b.Fatalf("waiting %q, %+v", out.Waiting, out.Status.Findings)
	}
	now := begin.Add(policy.StaleAfter)
	in, _, err := e.input(now)
	if err != nil {
		b.Fatal(err)
	}
	var core, steps time.Duration
	for b.Loop() {
		start := time.Now()
		reconcile.Reconcile(in)
		core += time.Since(start)
		start = time.Now()
		e.Step(now)
		steps += time.Since(start)
	}
	b.ReportMetric(float64(steps)/float64(core), "step/core")
	b.ReportMetric(float64(steps.Microseconds())/float64(b.N)/(hosts*each), "µs/VM")
}
