package reconcile

import (
	"fmt"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// fabric is a switch inside a host: a Linux bridge or an Open vSwitch one.
type fabric struct {
	name   string
	key    string // which tells it from one of the other kind with its name
	bridge *inventory.Link
	ovs    *inventory.OVSBridge
	// unsure says why what the switch does can't be told from its ports.
	unsure string
	own    *port // the port that the host itself has in it
	out    []*port
	looked bool // out is known
}

// port is a switch's port.
type port struct {
	name string
	link *inventory.Link // nil for an OVS port without one
	ovs  *inventory.OVSPort
	self bool
}

// vlanFrame is a frame inside a switch: the VLAN that the switch has it on, and
// the tags below that. VLAN 0 is none.
type vlanFrame struct {
	vlan     inventory.VLAN
	service  bool // the VLAN's tag is 802.1ad
	assigned bool // by the port that it came in by
	below    frame
}

func (f *fabric) word() string {
	if f.ovs != nil {
		return "OVS bridge"
	}
	return "bridge"
}

// tellDown says of a bridge that is down that nothing passes it.
func (f *fabric) tellDown(hop *Hop) {
	if f.bridge != nil && f.bridge.Up != nil && !*f.bridge.Up {
		hop.Down, hop.Note = true, joinNotes(hop.Note, "down")
	}
}

// filters says whether the switch sorts frames by VLAN.
func (f *fabric) filters() bool {
	return f.ovs != nil || (f.bridge.VLANFiltering != nil && *f.bridge.VLANFiltering)
}

// self is the port by which the host itself is in the switch.
func (f *fabric) self() *port {
	if f.own == nil {
		f.own = &port{name: f.name, link: f.bridge, self: true}
	}
	return f.own
}

// admit puts a frame on a VLAN, or says why the port refuses it.
func (f *fabric) admit(in *port, got frame) (vlanFrame, string) {
	if f.ovs != nil {
		return admitOVS(in.ovs, got)
	}
	if !f.filters() {
		return vlanFrame{below: got}, "" // tags and all
	}
	service := f.bridge.Protocol == "802.1ad"
	if t, tagged := got.top(); tagged && t.service == service && t.vlan != 0 {
		if !portHolds(in.link, t.vlan) {
			return vlanFrame{}, fmt.Sprintf("%s doesn't let in tag %d", in.name, t.vlan)
		}
		return vlanFrame{vlan: t.vlan, service: service, below: got.pop()}, ""
	} else if tagged && t.vlan == 0 {
		got = got.pop()
	}
	i := slices.IndexFunc(in.link.PortVLANs, func(v inventory.PortVLAN) bool { return v.PVID })
	if i < 0 {
		return vlanFrame{}, fmt.Sprintf("%s has no PVID: %s drops its untagged frames", in.name, f.name)
	}
	return vlanFrame{vlan: in.link.PortVLANs[i].ID, service: service, assigned: true, below: got}, ""
}

// release gives the frame as it leaves by a port, with what that does to its VLAN,
// if the port carries it.
func (f *fabric) release(out *port, inside vlanFrame) (frame, Treatment, bool) {
	if f.ovs != nil {
		return releaseOVS(out.ovs, inside)
	}
	if !f.filters() {
		return inside.below, "", true
	}
	i := slices.IndexFunc(out.link.PortVLANs, func(v inventory.PortVLAN) bool { return v.Holds(inside.vlan) })
	if i < 0 {
		return frame{}, "", false
	}
	if out.link.PortVLANs[i].Untagged {
		return inside.below, Untags, true
	}
	return inside.tagged(), Tags, true
}

// tagged gives the frame with its VLAN as the outermost tag.
func (v vlanFrame) tagged() frame {
	if v.vlan == 0 {
		return v.below
	}
	return v.below.push(tag{v.vlan, v.service})
}

func portHolds(link *inventory.Link, vlan inventory.VLAN) bool {
	return slices.ContainsFunc(link.PortVLANs, func(v inventory.PortVLAN) bool { return v.Holds(vlan) })
}

// blocked says whether the spanning tree keeps the port from forwarding. One that
// is disabled has no carrier, which its hop tells.
func (p *port) blocked() bool {
	if p.link == nil || p.self {
		return false
	}
	switch p.link.PortState {
	case "blocking", "listening", "learning":
		return true
	}
	return false
}

// fabricOf gives the Linux bridge of a name.
func (h *hostView) fabricOf(name string) *fabric {
	if f := h.fabrics[name]; f != nil {
		return f
	}
	bridge := h.links[name]
	if bridge == nil || bridge.Kind != "bridge" {
		return nil
	}
	f := &fabric{name: name, key: name, bridge: bridge}
	if f.filters() {
		f.unsure = h.unread("the VLANs of "+name+"'s ports", "link.portVLANs")
	}
	if h.fabrics == nil {
		h.fabrics = map[string]*fabric{}
	}
	h.fabrics[name] = f
	return f
}

// unread says which of the fields could not be read, of any port: it may be the
// one that matters.
func (h *hostView) unread(what string, fields ...inventory.Field) string {
	for i := range h.network.Problems {
		if problem := &h.network.Problems[i]; slices.Contains(fields, problem.Field) {
			return what + " can't be seen: " + problemWords(problem)
		}
	}
	return ""
}

// portNamed gives the switch that a link is a port of, and the port.
func (h *hostView) portNamed(link *inventory.Link) (*fabric, *port) {
	if net, p := h.ovsPortNamed(link.Name); p != nil {
		return net, p
	}
	if link.Master == "" {
		return nil, nil
	}
	net := h.fabricOf(link.Master)
	if net == nil {
		return nil, nil
	}
	for _, p := range h.outward(net) {
		if p.link == link {
			return net, p
		}
	}
	return net, &port{name: link.Name, link: link}
}

// outward gives the ports of a switch that may lead on: guests' taps don't.
func (h *hostView) outward(f *fabric) []*port {
	if f.looked {
		return f.out
	}
	f.looked = true
	if f.ovs != nil {
		f.out = h.outwardOVS(f)
		return f.out
	}
	for _, link := range h.members[f.name] {
		f.out = append(f.out, &port{name: link.Name, link: link})
	}
	if len(h.vlanLinks[f.name]) > 0 {
		f.out = append(f.out, f.self())
	}
	return f.out
}

// leadsOff says whether a port is a way off the host, whatever it carries. Links
// and switches that were seen on the way are not looked at again.
func (h *hostView) leadsOff(p *port, seen map[string]bool) bool {
	if p.self {
		return false
	}
	if p.ovs != nil {
		return h.ovsLeadsOff(p, seen)
	}
	return h.linkLeadsOff(p.link, seen)
}

// switchLeadsOff says whether another port of a switch than the one that frames
// come by is a way off the host.
func (h *hostView) switchLeadsOff(net *fabric, in *port, seen map[string]bool) bool {
	if seen[net.key] {
		return false
	}
	seen[net.key] = true
	return slices.ContainsFunc(h.outward(net), func(p *port) bool {
		return p != in && (p.ovs == nil || p.ovs != in.ovs) && h.leadsOff(p, seen)
	})
}

func (h *hostView) linkLeadsOff(link *inventory.Link, seen map[string]bool) bool {
	if link == nil {
		return false
	}
	switch link.Kind {
	case "physical", "bond", "team", "vxlan":
		return true
	case "vlan", "macvlan":
		if seen[link.Name] {
			return false
		}
		seen[link.Name] = true
		return h.linkLeadsOff(h.links[link.Parent], seen)
	case "veth":
		peer := h.links[link.Peer]
		if peer == nil {
			return false
		}
		net, at := h.portNamed(peer)
		return net != nil && h.switchLeadsOff(net, at, seen)
	}
	return false
}
