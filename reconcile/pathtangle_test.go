package reconcile_test

import (
	"fmt"
	"testing"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// pathIn follows NICs of a running VM through a host with those links, and gives
// the last one's path.
func pathIn(body inventory.Body, nics ...inventory.NIC) reconcile.NICPath {
	doc := func(source string, body inventory.Body) reconcile.Document {
		o := &inventory.Observation{Host: hostID("hv1"), Site: "osl1", Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}
		return reconcile.Document{Observation: o, Received: epoch}
	}
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: epoch, Observed: []reconcile.Document{doc("network", body),
		doc("runtime-libvirt", inventory.Body{VMs: []inventory.VM{{NativeID: "vm", Name: "vm", State: inventory.StateRunning, NICs: nics}}})}}
	return reconcile.Reconcile(in).VMs[0].Paths[len(nics)-1]
}

// No host has these, but a document may: following them ends, and soon.

func TestPathOfLinksOnThemselves(t *testing.T) {
	for kind, links := range map[string][]inventory.Link{
		"macvlan": {{Name: "a", Kind: "macvlan", Parent: "b"}, {Name: "b", Kind: "macvlan", Parent: "a"}},
		"vlan":    {{Name: "a", Kind: "vlan", VLAN: new(inventory.VLAN(1)), Parent: "b"}, {Name: "b", Kind: "vlan", VLAN: new(inventory.VLAN(2)), Parent: "a"}},
		"veth":    {{Name: "a", Kind: "veth", Peer: "a", Master: "br"}, {Name: "br", Kind: "bridge", Master: "br"}},
		"bridge":  {{Name: "a", Kind: "bridge", Master: "b"}, {Name: "b", Kind: "bridge", Master: "a"}},
		"bond":    {{Name: "a", Kind: "bond", Master: "a"}},
	} {
		t.Run(kind, func(t *testing.T) {
			links = append(links, inventory.Link{Name: "tap", Kind: "macvtap", Parent: "a"})
			path := pathIn(inventory.Body{Links: links}, inventory.NIC{Attachment: "direct", Link: "tap"})
			if path.VLAN != nil {
				t.Errorf("it is on VLAN %d", *path.VLAN)
			}
		})
	}
}

// TestPathThroughAMesh: every bridge is tied to every other, by veths and by
// patch ports.
func TestPathThroughAMesh(t *testing.T) {
	const n = 24
	var plain, ovs inventory.Body
	for i := range n {
		plain.Links = append(plain.Links, inventory.Link{Name: fmt.Sprint("br", i), Kind: "bridge"})
		bridge := inventory.OVSBridge{Name: fmt.Sprint("br", i)}
		for j := range n {
			if i == j {
				continue
			}
			end, peer := fmt.Sprintf("p%d-%d", i, j), fmt.Sprintf("p%d-%d", j, i)
			plain.Links = append(plain.Links, inventory.Link{Name: end, Kind: "veth", Peer: peer, Master: fmt.Sprint("br", i)})
			bridge.Ports = append(bridge.Ports, inventory.OVSPort{Name: end, Interfaces: []inventory.OVSInterface{{Name: end, Type: "patch", Peer: peer}}})
		}
		ovs.OVSBridges = append(ovs.OVSBridges, bridge)
	}
	tap := inventory.Link{Name: "tap", Kind: "tun", Master: "br0"}
	plain.Links = append(plain.Links, tap, inventory.Link{Name: "eno1", Kind: "physical", Master: fmt.Sprint("br", n-1)})
	ovs.Links = append(ovs.Links, inventory.Link{Name: "tap", Kind: "tun"})
	ovs.OVSBridges[0].Ports = append(ovs.OVSBridges[0].Ports, inventory.OVSPort{Name: "tap", Interfaces: []inventory.OVSInterface{{Name: "tap"}}})
	for name, body := range map[string]inventory.Body{"veth": plain, "patch": ovs} {
		t.Run(name, func(t *testing.T) {
			if path := pathIn(body, inventory.NIC{Link: "tap"}); path.Reason == "" || path.VLAN != nil {
				t.Errorf("path is %+v", path)
			}
		})
	}
}

// TestPathWhereTwoSwitchesHaveOneName: Open vSwitch's database may still have a
// bridge in whose place there is a Linux bridge now.
func TestPathWhereTwoSwitchesHaveOneName(t *testing.T) {
	pvid := func(v inventory.VLAN) []inventory.PortVLAN {
		return []inventory.PortVLAN{{ID: v, PVID: true, Untagged: true}}
	}
	body := inventory.Body{
		Links: []inventory.Link{{Name: "br0", Kind: "bridge", VLANFiltering: new(true)}, {Name: "tap0", Kind: "tun"},
			{Name: "tap1", Kind: "tun", Master: "br0", PortVLANs: pvid(10)}, {Name: "eno1", Kind: "physical", Master: "br0", PortVLANs: pvid(10)}},
		OVSBridges: []inventory.OVSBridge{{Name: "br0", Ports: []inventory.OVSPort{{Name: "tap0", Tag: new(inventory.VLAN(20)), Interfaces: []inventory.OVSInterface{{Name: "tap0"}}}}}},
	}
	if path := pathIn(body, inventory.NIC{Link: "tap0"}, inventory.NIC{Link: "tap1"}); path.Exit != "eno1" {
		t.Errorf("path is %+v", path)
	}
}
