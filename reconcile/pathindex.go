package reconcile

import (
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// origin is where a walk begins. NICs of one host share most of their ways: what
// was found from one place holds for all that come by it.
type origin struct {
	at     string // a switch, or a link
	in     string // the port that frames come by, where it may be a way out too
	inside vlanFrame
	link   bool
}

// waysInside follows a frame that is inside a switch already.
func (h *hostView) waysInside(net *fabric, own *port, inside vlanFrame, from inventory.Field, brief bool) *ways {
	key := origin{at: net.key, inside: inside}
	var in *port
	for _, p := range h.outward(net) { // a container's veth
		if (own.link != nil && p.link == own.link) || (own.ovs != nil && p.ovs == own.ovs) {
			in, key.in = p, p.name
		}
	}
	if brief {
		w := h.briefWalk()
		w.from = from
		w.flood(net, in, inside, Hop{})
		return &w.ways
	}
	return h.walkFrom(key, func(w *walk) {
		w.from = from
		w.flood(net, in, inside, Hop{Kind: net.word(), Name: net.name})
	})
}

// briefWalk begins a walk that nobody asks for again, with the room of the one before.
func (h *hostView) briefWalk() *walk {
	w := h.brief
	if w == nil {
		w = &walk{h: h, brief: true}
		h.brief = w
	}
	*w = walk{h: h, brief: true, hops: w.hops[:0], steps: w.steps[:0], inside: w.inside[:0], kept: w.kept[:0],
		ways: ways{exits: w.ways.exits[:0]}}
	return w
}

// waysBelow follows frames that are sent without a tag by a link.
func (h *hostView) waysBelow(link *inventory.Link) *ways {
	return h.walkFrom(origin{at: link.Name, link: true}, func(w *walk) { w.transmit(link, frame{}, treated{}) })
}

func (h *hostView) walkFrom(key origin, from func(*walk)) *ways {
	if found := h.walked[key]; found != nil {
		return found
	}
	w := &walk{h: h}
	from(w)
	if h.walked == nil {
		h.walked = map[origin]*ways{}
	}
	h.walked[key] = &w.ways
	return &w.ways
}

// indexNetwork makes what following a path looks up.
func (h *hostView) indexNetwork() {
	w := h.network.parts()
	h.links = make(map[string]*inventory.Link, len(w.Links))
	h.members, h.vlanLinks = map[string][]*inventory.Link{}, map[string][]*inventory.Link{}
	for i := range w.Links {
		link := &w.Links[i]
		h.links[link.Name] = link
		if link.Master != "" && link.Kind != "tun" && !strings.HasPrefix(link.Master, "ovs-") {
			h.members[link.Master] = append(h.members[link.Master], link)
		}
		if link.Kind == "vlan" && link.Parent != "" {
			h.vlanLinks[link.Parent] = append(h.vlanLinks[link.Parent], link)
		}
	}
	h.guests = map[string]bool{}
	for _, doc := range h.docs {
		vms := doc.VMs()
		for i := range vms {
			if vm := &vms[i]; vm.IsContainer() {
				for j := range vm.NICs {
					h.guests[vm.NICs[j].Link] = true
				}
			}
		}
	}
	count := 0
	for i := range w.OVSBridges {
		count += len(w.OVSBridges[i].Ports)
	}
	h.ports = make(map[string]ovsPort, count)
	for i := range w.OVSBridges {
		bridge := &w.OVSBridges[i]
		for j := range bridge.Ports {
			at := ovsPort{bridge, &bridge.Ports[j]}
			for _, iface := range at.port.Interfaces {
				if !h.isElsewhere(iface.Name) {
					h.ports[iface.Name] = at
				}
			}
		}
	}
}

// indexMACs makes what finds ports by their guests' MACs.
func (h *hostView) indexMACs() {
	h.portOf = map[inventory.MAC]ovsPort{}
	w := h.network.parts()
	for i := range w.OVSBridges {
		bridge := &w.OVSBridges[i]
		for j := range bridge.Ports {
			for _, iface := range bridge.Ports[j].Interfaces {
				text := iface.ExternalIDs["attached-mac"]
				if text == "" {
					continue
				}
				if mac, err := inventory.ParseMAC(text); err == nil {
					h.portOf[mac] = ovsPort{bridge, &bridge.Ports[j]}
				}
			}
		}
	}
}

// isElsewhere says whether an OVS interface's link is a port of something else:
// after a crash the database keeps ports whose names other links have then.
func (h *hostView) isElsewhere(name string) bool {
	link := h.links[name]
	if link == nil || h.links[link.Master] == nil {
		return false
	}
	switch h.links[link.Master].Kind {
	case "bridge", "bond", "team":
		return true
	}
	return false
}
