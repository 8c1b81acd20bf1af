package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// checkPaths asks of each NIC of a VM that runs whether its frames can get to the
// wire and back. It needs no intent.
func (p *pass) checkPaths(vp *pair) {
	if !vp.active() || vp.hidden("vm.nics") != "" {
		return
	}
	for o := range vp.Paths {
		path := &vp.Paths[o]
		if path.shut != nil || path.oneWay {
			p.uplink(vp, path, pathName(path, o))
		}
		if limit, sure := path.guestMTU(vp.seen.lead.vm.NICs[o].MTU); limit > 0 && path.narrow.mtu > 0 && path.narrow.mtu < limit {
			p.narrowPath(vp, path, pathName(path, o), limit, sure)
		}
	}
}

// uplink finds a VLAN that isn't carried all the way to the wire, or only out. It
// follows from what is found of the host (checkCuts).
func (p *pass) uplink(vp *pair, path *NICPath, name string) {
	var c cut
	f := Finding{
		Kind: NetworkUplink, Field: "nics[" + name + "].uplink", Evidence: path.evidence(),
		Provenance: p.pathProvenance(vp, path),
	}
	switch shut := path.shut; {
	case shut != nil:
		what := "untagged"
		f.Intended, c.field = "untagged", "switches["+shut.at+"].untagged"
		if shut.vlan != 0 {
			what, f.Intended = fmt.Sprintf("on VLAN %d", shut.vlan), int(shut.vlan)
			c.field = fmt.Sprintf("switches[%s].vlans[%d]", shut.at, shut.vlan)
		}
		f.Observed = shut.carrying
		c.why = fmt.Sprintf("frames %s in %s don't get out, as its uplink doesn't carry that: %s", what, shut.at, shut.carrying)
		c.do = fmt.Sprintf("have %s carry it, or put the NICs on a VLAN that is carried", listed(shut.uplinks, "or"))
		f.Message = fmt.Sprintf("frames of NIC %s of %s are %s in %s, and its uplink doesn't carry that: %s", name, vp.name(), what, shut.at, shut.carrying)
		f.Resolutions = bothWays(fmt.Sprintf("have %s carry it, or put the NIC on a VLAN that is carried", listed(shut.uplinks, "or")), "live",
			"correct the VM's network, if the host's is as meant")
	default:
		f.Intended, f.Observed = "out and back", "out only"
		c.field = "links[" + path.Exit + "].return"
		if path.VLAN != nil {
			c.field += fmt.Sprintf("[%d]", *path.VLAN)
		}
		c.why = fmt.Sprintf("frames leave by %s, and what comes in doesn't get back: %s", path.Exit, path.Return)
		c.do = "carry the VLAN both ways by the same links"
		f.Message = fmt.Sprintf("frames of NIC %s of %s leave the host by %s, and what comes in doesn't get back to it: %s", name, vp.name(), path.Exit, path.Return)
		f.Resolutions = bothWays("carry the VLAN both ways by the same links", "person", "correct the VM's network, if the host's is as meant")
	}
	if path.shut != nil && len(path.GuestVLANs) > 0 {
		f.Verdict = Potential
		c.doubt = "the guest may send tagged frames alone"
	}
	if path.shut != nil && path.shut.router != "" {
		f.Verdict = Potential
		c.doubt = path.shut.router + " of the host is on it and has an address: it may route what the uplink doesn't carry"
	}
	f.Evidence = append(f.Evidence, notEmpty(c.doubt, c.doubt)...)
	c.intended, c.observed, c.verdict = f.Intended, f.Observed, f.Verdict
	vp.cuts = append(vp.cuts, c)
	f.CausedBy = c.cause(vp.seen.lead.host.pair)
	p.find(vp.finding(f))
}

// guestMTU gives how long frames the guest may send. What the runtime told it is
// sure; a tap with more than Ethernet's 1500 was set up for it, and the guest may
// follow or not. Of a tap with 1500 nothing is known, since all have that.
func (path *NICPath) guestMTU(told *int) (limit int, sure bool) {
	switch {
	case told != nil:
		return *told, true
	case path.own != nil && path.own.MTU != nil && *path.own.MTU > 1500:
		return *path.own.MTU, false
	}
	return 0, false
}

func (p *pass) narrowPath(vp *pair, path *NICPath, name string, limit int, sure bool) {
	f := Finding{
		Kind: NetworkMTU, Field: "nics[" + name + "].mtu", Intended: limit, Observed: path.narrow.mtu, Evidence: path.evidence(),
		Message: fmt.Sprintf("NIC %s of %s may send frames of %d bytes, and %s on its path has an MTU of %d: longer ones are dropped without a word",
			name, vp.name(), limit, path.narrow.link, path.narrow.mtu),
		Resolutions: bothWays(fmt.Sprintf("raise the MTU of %s to %d, if the network beyond it has that, or lower the NIC's", path.narrow.link, limit), "person",
			"nothing: Sentral keeps no MTU"),
	}
	if network := vp.seen.lead.host.network; network != nil {
		f.Provenance = network.provenance("link.mtu")
	}
	if !sure {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "its tap has an MTU of its own, and whether the guest follows it isn't known")
	}
	p.find(vp.finding(f))
}

// carryingWords says what the uplinks of a switch carry.
func (h *hostView) carryingWords(net *fabric, uplinks []string) string {
	var words []string
	for _, out := range h.outward(net) {
		if !slices.Contains(uplinks, out.name) {
			continue
		}
		what := join(net.releasesTags(out), net.untagsAt(out))
		switch {
		case len(what) > 0:
			words = append(words, out.name+" carries "+rangesText(what))
		default:
			words = append(words, out.name+" carries nothing")
		}
	}
	return strings.Join(words, "; ")
}

// routerOn names a link by which the host itself is on a VLAN of a switch, with an
// address: then it may be the guests' router.
func (h *hostView) routerOn(net *fabric, vlan inventory.VLAN) string {
	routes := func(link *inventory.Link) bool { return link != nil && len(link.Addresses) > 0 }
	on := func(name string, untagged inventory.VLAN) string {
		for _, link := range h.vlanLinks[name] {
			if link.VLAN != nil && *link.VLAN == vlan && routes(link) {
				return link.Name
			}
		}
		if untagged == vlan && routes(h.links[name]) {
			return name
		}
		return ""
	}
	if net.ovs == nil {
		return on(net.name, pvidOf(net.bridge))
	}
	for i := range net.ovs.Ports {
		p := &net.ovs.Ports[i]
		for _, iface := range p.Interfaces {
			if found := on(iface.Name, ovsTag(p)); iface.Type == "internal" && found != "" {
				return found
			}
		}
	}
	return ""
}

func pvidOf(link *inventory.Link) inventory.VLAN {
	for _, v := range link.PortVLANs {
		if v.PVID {
			return v.ID
		}
	}
	return 0
}
