package reconcile

import (
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// Most NICs of a host are taps that are ports of one switch, each on one VLAN, and
// frames of two on one VLAN go the same way. Where findings alone are wanted, that
// way is followed once, and hops are left out: a unit of which something is found
// is judged again, with every NIC's whole path.

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
		of.host, of.ports, of.paths = at.host, of.ports[:0], of.paths[:0]
	}
	n := slices.Index(of.ports, port)
	if n < 0 {
		n = len(of.ports)
		of.ports = append(of.ports, port)
		of.paths = append(of.paths, at.host.follow(NICPath{brief: true}, at.vm, nic, &p.in))
	}
	path := of.paths[n]
	path.MAC, path.own = nic.MAC, link
	return path
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
