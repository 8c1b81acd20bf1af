package fleet

import (
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// HostDrifts are those that hosts get in turn.
var HostDrifts = []HostDrift{
	{Name: "it never reported", Share: 2, Kinds: kinds{reconcile.HostMissing}, silent: true},
	{Name: "nobody recorded the host", Share: 1, Kinds: kinds{reconcile.HostUnknown}, unknown: true},
	{Name: "it fell silent", Share: 2, Kinds: kinds{reconcile.HostStale}, stale: true},
	{Name: "its runtime fails", Share: 2, Kinds: kinds{reconcile.ObserveBlind}, plant: func(_ *Fleet, h *host) {
		h.failed = &inventory.Problem{Call: "dial /run/libvirt/libvirt-sock-ro", Why: inventory.WhyTimedOut, Error: "no answer within 5s"}
	}},
	{Name: "all its VMs are gone", Share: 1, Kinds: kinds{reconcile.HostEmptied}, emptied: true, also: func(f *Fleet, _ int) map[reconcile.Kind]int {
		return map[reconcile.Kind]int{reconcile.VMMissing: f.VMs}
	}},
	{Name: "a VM of it can't be read", Share: 1, Kinds: kinds{reconcile.ObservePartial}, plant: func(f *Fleet, h *host) {
		h.partly = []inventory.Problem{{Entity: inventory.VMEntity(numbered('v', h.n*f.VMs)), Field: "vm.memory", Call: "virDomainGetXMLDesc", Why: inventory.WhyTimedOut, Error: "no answer within 5s"}}
	}},
	{Name: "QEMU shows more memory than libvirt", Share: 1, Kinds: kinds{reconcile.ObserveConflict}, only: "!" + onIncus, plant: func(f *Fleet, h *host) {
		n, more := h.n*f.VMs, 2*memory
		h.doubled = &inventory.VM{UUID: numbered('v', n), State: inventory.StateRunning, VCPUs: &vcpus, Memory: &more, NICs: []inventory.NIC{{MAC: mac(n)}}}
	}},
	{Name: "a document of a newer version", Share: 1, Kinds: kinds{reconcile.ObserveRefused}, refused: true},
	{Name: "a document did not arrive", Share: 1, Kinds: kinds{reconcile.ObserveGap}, gap: true},
	{Name: "its clock is off", Share: 1, Kinds: kinds{reconcile.ObserveClock}, clock: true},
	{Name: "it reports from another site", Share: 1, Kinds: kinds{reconcile.HostSite}, apart: kinds{reconcile.HostMissing}, plant: func(f *Fleet, h *host) { h.site = f.Site(h.n + 1) }},
	{Name: "a link is down", Share: 2, Kinds: kinds{reconcile.HostLink}, plant: func(_ *Fleet, h *host) { h.eno2.OperState, h.eno2.Carrier = "down", &no }},
	{Name: "a disk was swapped", Share: 2, Kinds: kinds{reconcile.HostDisk}, plant: func(_ *Fleet, h *host) { h.disks[2].Serial += "B" }},
	{Name: "another platform was recorded", Share: 1, Kinds: kinds{reconcile.HostRuntime}, plant: func(_ *Fleet, h *host) { h.want.Platform = "proxmox-ve" }},
	{Name: "its board was swapped", Share: 1, Kinds: kinds{reconcile.HostChanged}, plant: func(_ *Fleet, h *host) { h.identity.Serial += "B" }},
	{Name: "its uplink lacks a VLAN", Share: 2, Kinds: kinds{reconcile.NetworkUplink}, plant: func(f *Fleet, h *host) {
		for n := range tenants * projects {
			if vlan := f.owner(n).vlan; vlan != f.owner(h.n*f.VMs).vlan {
				h.trunks = append(h.trunks, vlan)
			}
		}
	}, also: func(f *Fleet, host int) map[reconcile.Kind]int {
		cut := 0
		for nth := range f.VMs {
			if f.owner(host*f.VMs+nth).vlan == f.owner(host*f.VMs).vlan {
				cut++
			}
		}
		return map[reconcile.Kind]int{reconcile.NetworkUplink: cut}
	}},
	{Name: "it has promised more than it has", Share: 1, Kinds: kinds{reconcile.CapacityOvercommit, reconcile.CapacityOvercommit}, plant: func(_ *Fleet, h *host) {
		few := 1
		h.want.Capacity = &sentral.Quota{VCPUs: &few}
	}},
}
