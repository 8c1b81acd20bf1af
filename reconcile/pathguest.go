package reconcile

import (
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// guestVLANs gives the VLANs that a guest may choose: those whose tag, sent by
// the guest, is the outermost one when the frames leave the host on a wire.
func (h *hostView) guestVLANs(net *fabric, own *port) []VLANRange {
	return h.switchCarries(net, own, allVLANs, trail{})
}

// trail is which VLANs have come by where, so that each goes by a place once:
// what it comes to from there is known then.
type trail map[string][]VLANRange

// first gives those that come by for the first time.
func (t trail) first(place string, may []VLANRange) []VLANRange {
	may = meet(may, outside(t[place]))
	t[place] = join(t[place], may)
	return may
}

// switchCarries gives which of the tags that come by a port get out to the wire.
func (h *hostView) switchCarries(net *fabric, in *port, may []VLANRange, been trail) (carried []VLANRange) {
	nests := net.nests(in)
	if !nests {
		may = meet(may, net.admitsTags(in))
	}
	if len(may) == 0 || net.unsure != "" {
		return nil
	}
	if may = been.first(net.key+" by "+in.name, may); len(may) == 0 {
		return nil
	}
	for _, out := range h.outward(net) {
		switch {
		case out == in || (in.ovs != nil && out.ovs == in.ovs) || out.blocked():
		case nests:
			if net.unwraps(in, out) {
				carried = join(carried, h.portCarries(out, may, been))
			}
		case out.self:
			carried = join(carried, h.takenAgain(out.link, meet(may, net.releasesTags(out))))
		default:
			carried = join(carried, h.portCarries(out, meet(may, net.releasesTags(out)), been))
			if bare := meet(may, net.untagsAt(out)); len(bare) > 0 {
				carried = join(carried, h.getAgain(net, out, bare))
			}
		}
	}
	return carried
}

// nests says whether a guest's tags are no matter of the switch, since it puts
// one of its own around them.
func (f *fabric) nests(in *port) bool {
	if f.ovs != nil {
		return ovsMode(in.ovs) == "dot1q-tunnel"
	}
	return f.filters() && f.bridge.Protocol == "802.1ad"
}

// unwraps says whether what a port puts a tag around leaves by another one
// without it.
func (f *fabric) unwraps(in, out *port) bool {
	inside, refused := f.admit(in, frame{})
	if refused != "" {
		return false
	}
	left, _, carried := f.release(out, inside)
	return carried && left == frame{}
}

// takenAgain gives which of the tags VLAN links on a link take off and something
// further on puts on again.
func (h *hostView) takenAgain(link *inventory.Link, may []VLANRange) (again []VLANRange) {
	for _, v := range h.vlanLinks[link.Name] {
		if v.VLAN != nil && v.Protocol != "802.1ad" {
			found := h.walkFrom(origin{at: v.Name, in: link.Name, link: true}, func(w *walk) { w.receive(v, frame{}) })
			again = join(again, found.tagged(meet(may, []VLANRange{{*v.VLAN, *v.VLAN}})))
		}
	}
	return again
}

// getAgain gives which of the VLANs that a port lets out without a tag get the
// same tag again further on.
func (h *hostView) getAgain(net *fabric, p *port, bare []VLANRange) []VLANRange {
	found := h.walkFrom(origin{at: net.key, in: p.name, link: true}, func(w *walk) { w.leave(net, p, frame{}, treated{}) })
	return found.tagged(bare)
}

// tagged gives which of the VLANs frames leave the host with.
func (found *ways) tagged(vlans []VLANRange) (out []VLANRange) {
	for i := range found.exits {
		if w := &found.exits[i]; !w.tunnel && w.tags.count == 1 && !w.tags.tags[0].service {
			v := w.tags.tags[0].vlan
			out = join(out, meet(vlans, []VLANRange{{v, v}}))
		}
	}
	return out
}

func (h *hostView) portCarries(p *port, may []VLANRange, been trail) []VLANRange {
	if p.ovs == nil {
		return h.linkCarries(p.link, may, been)
	}
	if len(p.ovs.Interfaces) > 1 {
		return may
	}
	switch i := &p.ovs.Interfaces[0]; i.Type {
	case "", "system":
		return h.linkCarries(p.link, may, been)
	case "dpdk":
		return may
	case "patch":
		if net, peer := h.ovsPortNamed(i.Peer); peer != nil {
			return h.switchCarries(net, peer, may, been)
		}
	}
	return nil
}

func (h *hostView) linkCarries(link *inventory.Link, may []VLANRange, been trail) []VLANRange {
	if link == nil || len(may) == 0 {
		return nil
	}
	switch link.Kind {
	case "physical":
		if _, vf := h.functionBehind(link); vf != nil && tags(vf) {
			return nil // they are inner ones then
		}
		return may
	case "bond", "team":
		return may
	case "macvlan", "macvtap":
		return h.linkCarries(h.links[link.Parent], been.first("link "+link.Name, may), been)
	case "veth":
		peer := h.links[link.Peer]
		if peer == nil {
			return nil
		}
		again := h.takenAgain(peer, may)
		for _, v := range h.vlanLinks[peer.Name] {
			if v.VLAN != nil && v.Protocol != "802.1ad" {
				may = without(may, *v.VLAN)
			}
		}
		if net, p := h.portNamed(peer); p != nil {
			again = join(again, h.switchCarries(net, p, may, been))
		}
		return again
	case "bridge":
		if net := h.fabricOf(link.Name); net != nil {
			return h.switchCarries(net, net.self(), may, been)
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
	}
	return portRanges(p.link, func(inventory.PortVLAN) bool { return true })
}

// releasesTags gives the VLANs that leave by a port with their tag.
func (f *fabric) releasesTags(p *port) []VLANRange {
	switch {
	case f.ovs != nil:
		return ovsTagged(p.ovs, true)
	case !f.filters():
		return allVLANs
	}
	return portRanges(p.link, func(v inventory.PortVLAN) bool { return !v.Untagged })
}

// untagsAt gives the VLANs that leave by a port without a tag.
func (f *fabric) untagsAt(p *port) []VLANRange {
	if f.ovs == nil {
		if !f.filters() {
			return nil
		}
		return portRanges(p.link, func(v inventory.PortVLAN) bool { return v.Untagged })
	}
	if native := ovsTag(p.ovs); native != 0 && (ovsMode(p.ovs) == "access" || ovsMode(p.ovs) == "native-untagged") {
		return []VLANRange{{native, native}}
	}
	return nil
}

// portRanges gives the VLANs of a bridge's port that are so.
func portRanges(link *inventory.Link, so func(inventory.PortVLAN) bool) []VLANRange {
	var ranges []VLANRange
	for _, v := range link.PortVLANs {
		if so(v) {
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
