package reconcile

import (
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// guestVLANs gives the VLANs that a guest may choose: those whose tag, sent by
// the guest, is the outermost one when the frames leave the host on a wire.
func (h *hostView) guestVLANs(net *fabric, own *port) []VLANRange {
	may := net.admitsTags(own)
	if len(may) == 0 {
		return nil
	}
	return h.switchCarries(net, own, may, 0)
}

// switchCarries gives which of the tags a switch lets out to the wire.
func (h *hostView) switchCarries(net *fabric, in *port, may []VLANRange, depth int) []VLANRange {
	var out []VLANRange
	if depth > 8 || net.unsure != "" {
		return nil
	}
	for _, p := range h.outward(net) {
		if p == in || (in.ovs != nil && p.ovs == in.ovs) || p.blocked() || p.self {
			continue
		}
		rest := meet(may, net.releasesTags(p))
		if len(rest) > 0 {
			out = join(out, h.portCarries(p, rest, depth+1))
		}
	}
	return out
}

func (h *hostView) portCarries(p *port, may []VLANRange, depth int) []VLANRange {
	if p.ovs == nil {
		return h.linkCarries(p.link, may, depth)
	}
	if len(p.ovs.Interfaces) > 1 {
		return may
	}
	switch i := &p.ovs.Interfaces[0]; i.Type {
	case "", "system":
		return h.linkCarries(p.link, may, depth)
	case "dpdk":
		return may
	case "patch":
		if net, peer := h.ovsPortNamed(i.Peer); peer != nil {
			return h.switchCarries(net, peer, meet(may, net.admitsTags(peer)), depth)
		}
	}
	return nil
}

func (h *hostView) linkCarries(link *inventory.Link, may []VLANRange, depth int) []VLANRange {
	if link == nil || depth > 8 {
		return nil
	}
	switch link.Kind {
	case "physical", "bond", "team":
		return may
	case "macvlan", "macvtap":
		return h.linkCarries(h.links[link.Parent], may, depth+1)
	case "veth":
		peer := h.links[link.Peer]
		if peer == nil {
			return nil
		}
		for _, v := range h.vlanLinks[peer.Name] {
			if v.VLAN != nil && v.Protocol != "802.1ad" {
				may = without(may, *v.VLAN)
			}
		}
		if net, p := h.portNamed(peer); p != nil {
			return h.switchCarries(net, p, meet(may, net.admitsTags(p)), depth+1)
		}
	case "bridge":
		if net := h.fabricOf(link.Name); net != nil {
			return h.switchCarries(net, net.self(), meet(may, net.admitsTags(net.self())), depth+1)
		}
	}
	return nil // behind a VLAN link the guest's tag is an inner one
}

// admitsTags gives the tags that a port lets in as they are.
func (f *fabric) admitsTags(p *port) []VLANRange {
	switch {
	case f.ovs != nil:
		return ovsTagged(p.ovs, false)
	case !f.filters():
		return allVLANs
	case f.bridge.Protocol == "802.1ad":
		return nil // a guest's tag is an inner one there
	}
	return portRanges(p.link, true)
}

// releasesTags gives the VLANs that leave by a port with their tag.
func (f *fabric) releasesTags(p *port) []VLANRange {
	switch {
	case f.ovs != nil:
		return ovsTagged(p.ovs, true)
	case !f.filters():
		return allVLANs
	}
	return portRanges(p.link, false)
}

// portRanges gives the VLANs of a bridge's port, those that leave it untagged
// among them or not.
func portRanges(link *inventory.Link, untagged bool) []VLANRange {
	var ranges []VLANRange
	for _, v := range link.PortVLANs {
		if untagged || !v.Untagged {
			ranges = join(ranges, []VLANRange{{v.ID, max(v.ID, v.Last)}})
		}
	}
	return ranges
}

// ovsTagged gives the VLANs that an OVS port carries with their tag.
func ovsTagged(p *inventory.OVSPort, out bool) []VLANRange {
	mode := ovsMode(p)
	if mode == "access" || mode == "dot1q-tunnel" {
		return nil
	}
	ranges := ovsTrunkRanges(p)
	if native := ovsTag(p); isNative(mode) && native != 0 {
		ranges = join(ranges, []VLANRange{{native, native}})
		if out && mode == "native-untagged" {
			ranges = without(ranges, native)
		}
	}
	return ranges
}

func ovsTrunkRanges(p *inventory.OVSPort) []VLANRange {
	if len(p.Trunks) == 0 {
		return allVLANs
	}
	trunks := slices.Clone(p.Trunks)
	slices.Sort(trunks)
	ranges := make([]VLANRange, 0, len(trunks))
	for _, v := range trunks {
		switch n := len(ranges); {
		case v == 0:
		case n > 0 && v <= ranges[n-1].Last+1:
			ranges[n-1].Last = v
		default:
			ranges = append(ranges, VLANRange{v, v})
		}
	}
	return ranges
}
