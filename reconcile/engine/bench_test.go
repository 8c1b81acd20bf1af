package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// BenchmarkStep has one host's document change and the engine step, in fleets of two
// sizes, of which one VM in fifty differs, and after a hundred tasks that Maskin says
// to have succeeded and of which nothing is to be seen. It prints how long that takes at the
// median and beside the limit of 1 ms, which holds for any size, and how many times
// as long a full pass over the same books takes in the same run.
func BenchmarkStep(b *testing.B) {
	for _, hosts := range []int{200, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) { benchmarkStep(b, hosts) })
	}
}

// BenchmarkIntend has one record of a VM's change, and one network, in an inventory
// that shares nothing else with the one before, and the engine take it and step. It
// prints how long either takes beside judging everything again.
func BenchmarkIntend(b *testing.B) {
	const hosts, each = 1000, 50
	e, _, now := benchFleet(b, hosts, each)
	step := func(change func(inv *sentral.Inventory)) time.Duration {
		inv := *e.Intended()
		inv.VMs, inv.Hosts, inv.Networks = slices.Clone(inv.VMs), slices.Clone(inv.Hosts), slices.Clone(inv.Networks)
		change(&inv)
		now = now.Add(time.Microsecond)
		start := time.Now()
		e.Intend(&inv)
		e.Step(now)
		return time.Since(start)
	}
	var record, network, whole time.Duration
	n := 0
	for ; b.Loop(); n++ {
		record += step(func(inv *sentral.Inventory) {
			cpus := 3 + n%2
			inv.VMs[n*each%len(inv.VMs)].VCPUs = &cpus
		})
		network += step(func(inv *sentral.Inventory) {
			inv.Networks = []sentral.Network{{ID: "n1", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"lab": inventory.VLAN(100 + n%2)}}}
		})
		e.book.Judge(policy)
		whole += step(func(*sentral.Inventory) {})
	}
	b.ReportMetric(float64(record.Microseconds())/1e3/float64(n), "ms/record")
	b.ReportMetric(float64(network.Microseconds())/1e3/float64(n), "ms/network")
	b.ReportMetric(float64(whole)/float64(record), "records/whole")
	b.ReportMetric(float64(whole)/float64(network), "networks/whole")
	b.ReportMetric(0, "ns/op") // which is mostly the judging of everything
}

func benchmarkStep(b *testing.B, hosts int) {
	const each, limit = 50, time.Millisecond
	e, shown, now := benchFleet(b, hosts, each)
	in, _, err := e.input(now)
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if found := reconcile.Findings(in); len(found) != hosts+tasks {
		b.Fatalf("%d findings", len(found))
	}
	pass := time.Since(start)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		o := shown(n%hosts, uint64(2+n/hosts))
		now = now.Add(time.Microsecond) // every one of them has spoken just now
		start := time.Now()
		taken := e.Observe(o, now)
		out := e.Step(now)
		took = append(took, time.Since(start))
		if taken != Newer || len(out.Events) == 0 {
			b.Fatalf("the document is %s, and makes %d events", taken, len(out.Events))
		}
	}
	slices.Sort(took)
	change := took[len(took)/2]
	b.ReportMetric(float64(change.Microseconds())/1e3, "ms/change")
	b.ReportMetric(float64(change)/float64(limit), "of-limit")
	b.ReportMetric(float64(pass)/float64(change), "changes/pass")
	b.ReportMetric(0, "ns/op") // which is mostly the making of documents
}

// tasks are those of Maskin's in a fleet, after which nothing is to be seen.
const tasks = 100

// benchFleet makes a fleet of which one VM in fifty differs, that has been judged.
// Shown gives a document of a host.
func benchFleet(b *testing.B, hosts, each int) (e *Engine, shown func(h int, gen uint64) *inventory.Observation, now time.Time) {
	inv := &sentral.Inventory{Sites: []sentral.Site{{ID: "lab"}}, Projects: []sentral.Project{{Tenant: "acme", ID: "web"}}, ReadAt: begin}
	e = New("lab", policy)
	ids := make([]uuid.UUID, hosts)
	shown = func(h int, gen uint64) *inventory.Observation {
		body := inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}}
		for v := range each {
			vm := uuid.UUID{0: 2, 6: 0x40, 13: byte(v + 1), 14: byte(h >> 8), 15: byte(h + 1)}
			cpus := 2
			if v == int(gen)%each { // another one each time
				cpus = 4
			}
			body.VMs = append(body.VMs, inventory.VM{UUID: vm, Name: fmt.Sprintf("web-%03d-%02d", h, v), State: inventory.StateRunning, VCPUs: &cpus,
				Placement: &inventory.Placement{VM: vm.String(), Tenant: "acme", Project: "web"}})
		}
		return document(b, ids[h], "runtime-libvirt", 1, gen, body)
	}
	for h := range hosts {
		ids[h] = uuid.UUID{0: 1, 6: 0x40, 14: byte(h >> 8), 15: byte(h + 1)}
		name := fmt.Sprintf("hv-%03d", h)
		inv.Hosts = append(inv.Hosts, sentral.Host{ID: name, HostID: ids[h], Site: "lab"})
		o := shown(h, 1)
		for i := range o.VMs {
			inv.VMs = append(inv.VMs, sentral.VM{ID: o.VMs[i].UUID.String(), Name: o.VMs[i].Name, Tenant: "acme", Project: "web", Site: "lab", Host: name, VCPUs: &twoCPUs})
		}
		e.Observe(o, begin)
		e.Hear(Heartbeat{Host: ids[h], Site: "lab", At: begin, Epoch: 1})
	}
	e.Intend(inv)
	e.Delivered()
	e.Listen(begin)
	for i := range tasks { // on VMs that nothing else is found of
		vm := inv.VMs[i*each+each-1].ID
		e.Task(reconcile.Task{ID: "delete " + vm, VM: vm, Action: reconcile.ActionDelete, State: reconcile.TaskSucceeded}, begin.Add(-time.Minute), begin)
	}
	now = begin.Add(policy.StaleAfter) // nobody is waited for after that
	if out := e.Step(now); out.Waiting != "" || out.Status.Findings.Open != hosts || out.Status.Findings.Pending != tasks {
		b.Fatalf("waiting %q, %+v", out.Waiting, out.Status.Findings)
	}
	now = now.Add(time.Second)
	for _, id := range ids {
		e.Hear(Heartbeat{Host: id, Site: "lab", At: now, Epoch: 1})
	}
	e.Step(now)
	return e, shown, now
}
