package reconcile

import (
	"fmt"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// What an OVS port does with VLANs follows ovs-vswitchd.conf.db(5), Port:
// vlan_mode, tag, trunks.

// ovsMode gives a port's mode: where none is set, a tag makes an access port,
// whatever its trunks say.
func ovsMode(p *inventory.OVSPort) string {
	switch {
	case p.Mode != "":
		return p.Mode
	case p.Tag != nil:
		return "access"
	}
	return "trunk"
}

func ovsTag(p *inventory.OVSPort) inventory.VLAN {
	if p.Tag == nil {
		return 0
	}
	return *p.Tag
}

func isNative(mode string) bool { return mode == "native-tagged" || mode == "native-untagged" }

// ovsTrunks says whether a trunk, or a port with a native VLAN, carries a VLAN.
// A native VLAN is carried always, and takes the place of frames without one.
func ovsTrunks(p *inventory.OVSPort, vlan inventory.VLAN) bool {
	if native := ovsTag(p); isNative(ovsMode(p)) && native != 0 && (vlan == 0 || vlan == native) {
		return vlan == native
	}
	return len(p.Trunks) == 0 || slices.Contains(p.Trunks, vlan)
}

func admitOVS(p *inventory.OVSPort, got frame) (vlanFrame, string) {
	var inside vlanFrame
	if t, tagged := got.top(); tagged {
		inside = vlanFrame{vlan: t.vlan, service: t.service, below: got.pop()}
	}
	native := vlanFrame{vlan: ovsTag(p), assigned: ovsTag(p) != 0, below: inside.below}
	switch mode := ovsMode(p); {
	case mode == "access" && inside.vlan != 0:
		return inside, fmt.Sprintf("%s is an access port: it drops frames with tag %d", p.Name, inside.vlan)
	case mode == "access":
		return native, ""
	case mode == "dot1q-tunnel":
		native.below, native.service = got, true
		return native, ""
	case isNative(mode) && inside.vlan == 0:
		return native, ""
	case !ovsTrunks(p, inside.vlan):
		if inside.vlan == 0 {
			return inside, p.Name + " is a trunk without a native VLAN: it drops untagged frames"
		}
		return inside, fmt.Sprintf("%s doesn't let in tag %d", p.Name, inside.vlan)
	}
	return inside, ""
}

func releaseOVS(p *inventory.OVSPort, inside vlanFrame) (frame, Treatment, bool) {
	switch mode := ovsMode(p); {
	case mode == "access" || mode == "dot1q-tunnel":
		if inside.vlan != ovsTag(p) {
			return frame{}, "", false
		}
		return inside.below, untags(inside.vlan), true
	case !ovsTrunks(p, inside.vlan):
		return frame{}, "", false
	case mode == "native-untagged" && inside.vlan == ovsTag(p):
		return inside.below, untags(inside.vlan), true
	}
	if inside.vlan == 0 {
		return inside.below, "", true
	}
	return inside.tagged(), Tags, true
}

func untags(vlan inventory.VLAN) Treatment {
	if vlan == 0 {
		return ""
	}
	return Untags
}

// ovsFabric gives the switch of an OVS bridge.
func (h *hostView) ovsFabric(bridge *inventory.OVSBridge) *fabric {
	for _, f := range h.ovs {
		if f.ovs == bridge {
			return f
		}
	}
	f := &fabric{name: bridge.Name, key: "OVS " + bridge.Name, ovs: bridge, unsure: h.unread("what the ports of "+bridge.Name+" do",
		"ovsBridge.ports", "ovsPort.interfaces", "ovsPort.mode", "ovsPort.tag", "ovsPort.trunks", "ovsInterface.type", "ovsInterface.peer")}
	if flows := bridge.FailMode == "secure" || bridge.Controlled; flows && f.unsure == "" {
		f.unsure = "what " + bridge.Name + " does with frames is decided by its OpenFlow flows, which avstem doesn't read"
	}
	h.ovs = append(h.ovs, f)
	return f
}

// ovsPortNamed gives the OVS port that has an interface of that name.
func (h *hostView) ovsPortNamed(name string) (*fabric, *port) {
	at, found := h.ports[name]
	if !found {
		return nil, nil
	}
	net := h.ovsFabric(at.bridge)
	for _, p := range h.outward(net) {
		if p.ovs == at.port {
			return net, p
		}
	}
	return net, h.newOVSPort(at.port)
}

func (h *hostView) newOVSPort(p *inventory.OVSPort) *port {
	made := &port{name: p.Name, ovs: p}
	if len(p.Interfaces) == 1 {
		made.link = h.links[p.Interfaces[0].Name]
	}
	return made
}

func (h *hostView) outwardOVS(f *fabric) []*port {
	var out []*port
	for i := range f.ovs.Ports {
		p := &f.ovs.Ports[i]
		if len(p.Interfaces) == 1 && h.isElsewhere(p.Interfaces[0].Name) {
			continue
		}
		if slices.ContainsFunc(p.Interfaces, h.ovsLeadsOn) {
			out = append(out, h.newOVSPort(p))
		}
	}
	return out
}

// ovsLeadsOn says whether an interface may lead anywhere but to a guest.
func (h *hostView) ovsLeadsOn(i inventory.OVSInterface) bool {
	switch i.Type {
	case "", "system":
		link := h.links[i.Name]
		return link != nil && link.Kind != "tun"
	case "internal":
		return len(h.vlanLinks[i.Name]) > 0 || (h.links[i.Name] != nil && h.links[i.Name].Master != "" && h.fabricOf(h.links[i.Name].Master) != nil)
	case "tap", "dpdkvhostuser", "dpdkvhostuserclient", "null":
		return false
	}
	return true
}

func (h *hostView) ovsLeadsOff(p *port, seen map[string]bool) bool {
	return slices.ContainsFunc(p.ovs.Interfaces, func(i inventory.OVSInterface) bool {
		switch i.Type {
		case "", "system":
			return h.linkLeadsOff(h.links[i.Name], seen)
		case "internal":
			return false
		case "patch":
			net, peer := h.ovsPortNamed(i.Peer)
			return peer != nil && h.switchLeadsOff(net, peer, seen)
		}
		return true
	})
}

// leaveOVS goes on behind an OVS port.
func (w *walk) leaveOVS(out *port, f frame, does treated) {
	interfaces := out.ovs.Interfaces
	if len(interfaces) > 1 {
		w.throughOVSBond(out, f, does)
		return
	}
	i := &interfaces[0]
	hop := Hop{Kind: "OVS port", Name: out.name}
	w.treat(&hop, does)
	if i.LinkState == "down" {
		hop.Down, hop.Note = true, "down"
	}
	switch i.Type {
	case "", "system":
		if out.link != nil {
			w.transmit(out.link, f, does)
		}
	case "internal":
		if out.link != nil {
			if t, may := w.on(&hop, step{}); may {
				w.receive(out.link, f)
				w.undo(t)
			}
		}
	case "patch":
		hop.Kind = "patch port"
		net, peer := w.h.ovsPortNamed(i.Peer)
		if peer == nil {
			w.unsure("the peer of patch port %s is unknown", out.name)
			return
		}
		if t, may := w.on(&hop, step{}); may {
			w.enter(net, peer, f)
			w.undo(t)
		}
	case "dpdk":
		w.leaveBy(&hop, step{}, out.name, f, false)
	case "vxlan", "geneve", "gre", "ip6gre", "stt", "lisp", "erspan", "ip6erspan", "gtpu":
		hop.Kind = i.Type
		if i.Remote != "" {
			hop.Note = joinNotes(hop.Note, "to "+i.Remote)
		}
		w.leaveBy(&hop, step{}, out.name, f, true)
	default:
		w.unsure("avstem doesn't know where frames go by %s, an OVS interface of type %s", out.name, i.Type)
	}
}

// throughOVSBond takes the members of an OVS bond for one way.
func (w *walk) throughOVSBond(out *port, f frame, does treated) {
	hop := Hop{Kind: "OVS bond", Name: out.name, Note: out.ovs.BondMode}
	w.treat(&hop, does)
	members := slices.Clone(out.ovs.Interfaces)
	slices.SortStableFunc(members, func(a, b inventory.OVSInterface) int {
		return yesFirst(a.Name == out.ovs.ActiveMember, b.Name == out.ovs.ActiveMember)
	})
	t, may := w.on(&hop, step{})
	if !may {
		return
	}
	alive := 0
	for i := range members {
		m := Hop{Kind: "physical", Name: members[i].Name, Beside: i > 0}
		if link := w.h.links[members[i].Name]; link != nil {
			m = w.linkHop(link)
			m.Beside = i > 0
		}
		if members[i].Name == out.ovs.ActiveMember {
			m.Note = joinNotes(m.Note, "active")
		}
		if !m.Down {
			alive++
		}
		w.hops = append(w.hops, m)
	}
	w.down = w.down || alive == 0
	w.exit(out.name, f, false)
	w.undo(t)
}
