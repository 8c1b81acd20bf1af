package reconcile_test

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/seed"
	"github.com/dataverket/avstem/sentral"
)

// TestWaysInShort: where findings alone are wanted, one VLAN's way stands for those
// of others. Whatever a switch's uplinks do to each, nothing is missed by that.
func TestWaysInShort(t *testing.T) {
	seed.Fix(t)
	found := map[reconcile.Kind]int{}
	rapid.Check(t, func(rt *rapid.T) {
		for range 30 {
			in := shortWays(rt)
			whole := reconcile.Reconcile(in).Findings
			if diff := gocmp.Diff(whole, reconcile.Findings(in)); diff != "" {
				rt.Fatalf("in short it finds something else (-whole +short):\n%s", diff)
			}
			if len(whole) == 0 {
				found[""]++
			}
			for i := range whole {
				found[whole[i].Kind]++
			}
		}
	})
	for _, kind := range []reconcile.Kind{"", reconcile.NICVLAN, reconcile.NetworkUplink} {
		if found[kind] == 0 {
			t.Errorf("no network came to %q: it tries less than it should: %v", kind, found)
		}
	}
}

// shortWays makes a host with one switch, some uplinks and a VM of many NICs.
func shortWays(t *rapid.T) reconcile.Input {
	seldom := func(label string) bool { return rapid.IntRange(0, 4).Draw(t, label) == 0 }
	vlans := []inventory.VLAN{10, 20, 30}
	vlan := rapid.SampledFrom(vlans)
	up, ovs := true, rapid.Bool().Draw(t, "Open vSwitch")
	master, mtu := "br0", 1500
	var ports []inventory.OVSPort
	links := []inventory.Link{{Name: "eno1", Kind: "physical", Up: new(!seldom("eno1 is down")), Master: "bond0"}}
	if ovs {
		master = "ovs-system"
	} else {
		links = append(links, inventory.Link{Name: "br0", Kind: "bridge", Up: &up, VLANFiltering: new(!seldom("no filtering"))})
	}
	uplinks := []string{"bond0", "eno2"}[:1+rapid.IntRange(0, 4).Draw(t, "uplinks")/4]
	for _, name := range uplinks {
		link := inventory.Link{Name: name, Kind: rapid.SampledFrom([]string{"bond", "physical", "vlan", "dummy"}).Draw(t, "kind"), Up: &up, MTU: &mtu, Master: master}
		if link.Kind == "vlan" {
			link.Parent, link.VLAN = "eno1", new(vlan.Draw(t, "link's VLAN"))
		}
		carried := []inventory.VLAN{10, 20, 30, 40}[:rapid.IntRange(0, 4).Draw(t, "carried")]
		port := inventory.OVSPort{Name: name, Trunks: carried, Interfaces: []inventory.OVSInterface{{Name: name}}}
		if seldom("native") {
			port.Mode = rapid.SampledFrom([]string{"native-tagged", "native-untagged", "access"}).Draw(t, "mode")
			port.Tag = new(vlan.Draw(t, "native VLAN"))
		}
		for _, v := range carried {
			link.PortVLANs = append(link.PortVLANs, inventory.PortVLAN{ID: v, Untagged: seldom("untagged")})
		}
		links, ports = append(links, link), append(ports, port)
	}
	if seldom("a VLAN link takes") {
		links = append(links, inventory.Link{Name: "taker", Kind: "vlan", Parent: uplinks[0], VLAN: new(vlan.Draw(t, "taken")), Up: &up})
	}
	inv := &sentral.Inventory{Sites: []sentral.Site{{ID: "osl1"}}, Hosts: []sentral.Host{{ID: "hv1", HostID: hostID("hv1"), Site: "osl1"}}}
	for _, v := range vlans {
		inv.Networks = append(inv.Networks, sentral.Network{ID: fmt.Sprint("n", v), Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"osl1": v}})
	}
	vm := inventory.VM{UUID: hostID("vm"), Name: "vm", State: inventory.StateRunning, Placement: &inventory.Placement{VM: hostID("vm").String(), Tenant: "acme", Project: "web"}}
	want := sentral.VM{ID: hostID("vm").String(), Name: "vm", Tenant: "acme", Project: "web", Site: "osl1", Host: "hv1"}
	for n := range rapid.IntRange(1, 6).Draw(t, "NICs") {
		v, mac, tap := vlan.Draw(t, "VLAN"), inventory.MAC{0x52, 0x54, 0, 0, 0, byte(n)}, fmt.Sprint("tap", n)
		vm.NICs = append(vm.NICs, inventory.NIC{MAC: mac, Attachment: "bridge", Link: tap, LinkUp: &up})
		meant := v
		if seldom("another is meant") {
			meant = vlan.Draw(t, "meant")
		}
		want.NICs = append(want.NICs, sentral.NIC{MAC: mac, Network: fmt.Sprint("n", meant)})
		links = append(links, inventory.Link{Name: tap, Kind: "tun", Up: &up, Master: master, PortVLANs: []inventory.PortVLAN{{ID: v, PVID: true, Untagged: true}}})
		ports = append(ports, inventory.OVSPort{Name: tap, Tag: &v, Interfaces: []inventory.OVSInterface{{Name: tap}}})
	}
	inv.VMs = []sentral.VM{want}
	network := inventory.Body{Links: links}
	if ovs {
		network.OVSBridges = []inventory.OVSBridge{{Name: "br0", Ports: ports}}
	}
	doc := func(source string, body inventory.Body) reconcile.Document {
		o := &inventory.Observation{Host: hostID("hv1"), Site: "osl1", Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}
		return reconcile.Document{Observation: o, Received: epoch}
	}
	return reconcile.Input{Intended: inv, Policy: reconcile.DefaultPolicy(), Now: epoch, Observed: []reconcile.Document{doc("network", network),
		doc("runtime-libvirt", inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}, VMs: []inventory.VM{vm}})}}
}
