package reconcile

import (
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// Most NICs of a host are taps that are ports of one switch, each on one VLAN, and
// frames of two on one VLAN go the same way. Where findings alone are wanted, that
// way is followed once, and hops are left out: a unit of which something is found
// is judged again, with every NIC's whole path. Nor is another VLAN's way followed
// where a switch has one uplink, to the wire: it goes there too, if the uplink lets
// it out and in with its tag.

// plainPort is what the way of a tap's frames depends on.
type plainPort struct {
	net  *fabric
	vlan inventory.VLAN // that the port puts frames on; 0 for none
}

// shortPaths are those of the host that was asked about last.
type shortPaths struct {
	host  *hostView
	ports []plainPort
	paths []NICPath
	up    []uplink
}

// uplink is the one way out of a switch, with a path that goes by it.
type uplink struct {
	net  *fabric
	out  *port
	path NICPath
}

// pathOf follows a NIC of a VM, in short where that is enough.
func (p *pass) pathOf(at *place, nic *inventory.NIC) NICPath {
	if !p.short {
		return at.host.pathOf(at.vm, nic, &p.in)
	}
	port, link, plain := at.host.plainPort(nic, &p.in)
	if !plain {
		return at.host.pathOf(at.vm, nic, &p.in)
	}
	of := &p.shortPaths
	if of.host != at.host {
		of.host, of.ports, of.paths, of.up = at.host, of.ports[:0], of.paths[:0], of.up[:0]
	}
	n := slices.Index(of.ports, port)
	if n < 0 {
		path, by := of.byUplink(port)
		if !by {
			path = at.host.follow(NICPath{brief: true}, at.vm, nic, &p.in)
			of.learn(port, path)
		}
		n = len(of.ports)
		of.ports, of.paths = append(of.ports, port), append(of.paths, path)
	}
	path := of.paths[n]
	path.MAC, path.own = nic.MAC, link
	return path
}

// byUplink gives the path of a port from one on another VLAN.
func (s *shortPaths) byUplink(from plainPort) (path NICPath, by bool) {
	i := slices.IndexFunc(s.up, func(u uplink) bool { return u.net == from.net })
	if i < 0 || from.vlan == 0 {
		return path, false
	}
	up := &s.up[i]
	f, does, carried := up.net.release(up.out, vlanFrame{vlan: from.vlan})
	if !carried || does != Tags {
		return path, false
	}
	if back, refused := up.net.admit(up.out, f); refused != "" || back != (vlanFrame{vlan: from.vlan}) {
		return path, false
	}
	path, vlan := up.path, from.vlan
	path.VLAN = &vlan
	return path, true
}

// learn notes the uplink that a path went by, if the switch has no other port that
// leads on, nothing but a link to the wire is behind it, and nothing is to be said
// of the path but its VLAN.
func (s *shortPaths) learn(from plainPort, path NICPath) {
	if from.vlan == 0 || path.VLAN == nil || *path.VLAN != from.vlan || path.Reason+path.Return != "" || path.shut != nil || len(path.GuestVLANs) > 0 {
		return
	}
	ports, exits := s.host.outward(from.net), s.host.brief.ways.exits
	if len(ports) != 1 || len(exits) != 1 || len(exits[0].steps) != 2 || exits[0].tags != (vlanFrame{vlan: from.vlan}).tagged() {
		return
	}
	switch link := exits[0].steps[1].link; {
	case link == nil || link.Kind != "physical" && link.Kind != "bond" && link.Kind != "team":
	case len(s.host.vlanLinks[link.Name]) == 0: // which would take their VLANs out of what comes in
		s.up = append(s.up, uplink{from.net, ports[0], path})
	}
}

// plainPort gives the port of a NIC that is a tap on one VLAN of a switch, with its
// link where it is known; it says no where anything else could matter.
func (h *hostView) plainPort(nic *inventory.NIC, in *Input) (port plainPort, link *inventory.Link, plain bool) {
	if nic.Link == "" || nic.Attachment == "user" || nic.Attachment == "hostdev" || h.network == nil || !h.fresh(h.network, in) {
		return port, nil, false
	}
	link = h.links[nic.Link]
	if at, found := h.ovsPortOf(nic); found {
		if at.port.Tag == nil || ovsMode(at.port) != "access" || len(at.port.Interfaces) != 1 || h.ovsLeadsOn(at.port.Interfaces[0]) {
			return port, nil, false
		}
		return plainPort{h.ovsFabric(at.bridge), *at.port.Tag}, link, true
	}
	if link == nil || link.Kind != "tun" || link.Master == "" || strings.HasPrefix(link.Master, "ovs-") || link.PortState != "" && link.PortState != "forwarding" {
		return port, nil, false
	}
	if port.net = h.fabricOf(link.Master); port.net == nil {
		return port, nil, false
	}
	switch own := link.PortVLANs; {
	case len(own) == 1 && own[0].PVID && own[0].Untagged && own[0].Last == 0:
		port.vlan = own[0].ID
	case len(own) > 0:
		return port, nil, false
	}
	return port, link, true
}
