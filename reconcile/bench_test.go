package reconcile_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// BenchmarkReconcile makes full passes over 1,000 hosts of 50 VMs whose books
// agree, and prints the time for one VM beside the limit of DESIGN.md §13: 2 s
// for 500,000 VMs on two cores, which is 8 µs of one core a VM.
func BenchmarkReconcile(b *testing.B) {
	const hosts, each = 1000, 50
	in := benchFleet(hosts, each)
	if result := reconcile.Reconcile(in); len(result.Findings) != 0 || len(result.VMs) != hosts*each {
		b.Fatalf("%d findings over %d VMs", len(result.Findings), len(result.VMs))
	}
	b.ReportAllocs()
	for b.Loop() {
		reconcile.Reconcile(in)
	}
	perVM := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / (hosts * each)
	b.ReportMetric(perVM, "ns/VM")
	b.ReportMetric(perVM/8000, "of-limit")
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
