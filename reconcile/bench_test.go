package reconcile_test

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// BenchmarkFindings makes full passes for findings over 1,000 hosts of 50 VMs whose
// books agree, and prints what one VM takes beside the limit of DESIGN.md §13: 2 s
// for 500,000 VMs on two cores, which is 4 µs a VM, and 8 µs of their time, which
// says more where others use them too. Beside it stands what a pass takes that keeps
// every comparison, in the same run.
func BenchmarkFindings(b *testing.B) {
	const hosts, each, limit, limitCPU = 1000, 50, 4000.0, 8000.0
	in := benchFleet(hosts, each)
	if result := reconcile.Reconcile(in); len(result.Findings) != 0 || len(result.VMs) != hosts*each {
		b.Fatalf("%d findings over %d VMs", len(result.Findings), len(result.VMs))
	}
	var alone, aloneCPU, wholeCPU time.Duration
	for b.Loop() {
		runtime.GC() // what the one before left is not this one's
		begin, cpu := time.Now(), cpuTime(b)
		reconcile.Findings(in)
		alone += time.Since(begin)
		aloneCPU += cpuTime(b) - cpu
		runtime.GC()
		cpu = cpuTime(b)
		reconcile.Reconcile(in)
		wholeCPU += cpuTime(b) - cpu
	}
	perVM := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(b.N) / (hosts * each) }
	b.ReportMetric(perVM(alone), "ns/VM")
	b.ReportMetric(perVM(alone)/limit, "of-limit")
	b.ReportMetric(perVM(aloneCPU), "cpu-ns/VM")
	b.ReportMetric(perVM(aloneCPU)/limitCPU, "of-cpu-limit")
	b.ReportMetric(float64(wholeCPU)/float64(aloneCPU), "with-comparisons/alone")
	b.ReportMetric(0, "ns/op")
}

// cpuTime is what the process has used of all cores.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func benchFleet(hosts, each int) reconcile.Input {
	inv := &sentral.Inventory{Sites: []sentral.Site{{ID: "osl1"}},
		Networks: []sentral.Network{{ID: "n", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"osl1": 110}}}}
	var docs []reconcile.Document
	vcpus, memory, size, tag, up := 2, 4*inventory.GiB, 20*inventory.GiB, inventory.VLAN(110), true
	for h := range hosts {
		host := uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "host ", h))
		key := fmt.Sprintf("hv%04d", h)
		inv.Hosts = append(inv.Hosts, sentral.Host{ID: key, HostID: host, Site: "osl1"})
		var vms []inventory.VM
		var ports []inventory.OVSPort
		for v := range each {
			n := h*each + v
			id := uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "vm ", n))
			mac := inventory.MAC{0x52, 0x54, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
			serial, tap := fmt.Sprintf("serial-%d", n), fmt.Sprintf("vnet%d", v)
			want := sentral.VM{ID: id.String(), Name: fmt.Sprintf("vm-%d", n), Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", Host: key,
				VCPUs: &vcpus, Memory: &memory, NICs: []sentral.NIC{{MAC: mac, Network: "n"}}, Disks: []sentral.Disk{{Name: "root", Serial: serial, Size: &size}}}
			inv.VMs = append(inv.VMs, want)
			vms = append(vms, inventory.VM{UUID: id, Name: want.Name, State: inventory.StateRunning, VCPUs: &vcpus, Memory: &memory,
				Placement: &inventory.Placement{VM: want.ID, Tenant: "acme", Project: "web", Environment: "prod"},
				NICs:      []inventory.NIC{{MAC: mac, Attachment: "ovs", Link: tap, LinkUp: &up}},
				Disks:     []inventory.Disk{{Target: "vda", Serial: serial, Capacity: &size, Source: "/d/" + serial}}})
			ports = append(ports, inventory.OVSPort{Name: tap, Tag: &tag, Interfaces: []inventory.OVSInterface{{Name: tap}}})
		}
		for _, o := range []inventory.Observation{
			{Source: "network", Body: inventory.Body{OVSBridges: []inventory.OVSBridge{{Name: "br0", Ports: ports}}}},
			{Source: "runtime-libvirt", Body: inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}, VMs: vms}},
		} {
			o.Schema, o.Host, o.Site, o.Epoch, o.Gen, o.ObservedAt, o.Outcome, o.Complete = inventory.Schema, host, "osl1", 1, 1, epoch, inventory.OutcomeComplete, true
			docs = append(docs, reconcile.Document{Observation: &o, Received: epoch})
		}
	}
	return reconcile.Input{Intended: inv, Observed: docs, Policy: reconcile.DefaultPolicy(), Now: epoch}
}
