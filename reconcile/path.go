package reconcile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// pathOf follows a NIC from its tap to where its frames leave the host, and
// says on which VLAN they do. The VLAN comes from the host's links: what the
// runtime's configuration asks for stands in only where there is no link to
// follow (a stopped VM), and is marked as derived. Where the path can't be
// followed the VLAN is unknown, with the reason.
func (h *hostView) pathOf(vm *inventory.VM, nic *inventory.NIC, in *Input) NICPath {
	path := NICPath{MAC: nic.MAC}
	switch nic.Attachment {
	case "user":
		return path.unknown("user-mode networking doesn't reach the host's networks")
	case "hostdev":
		path.hop("SR-IOV device", nic.Address)
		return path.configured(nic, "an SR-IOV device's VLAN is read from the runtime's configuration")
	}
	if h.network == nil {
		return path.unknown(h.unseenNetwork())
	}
	if !h.fresh(h.network, in) {
		return path.unknown(h.why(h.network))
	}
	if at, found := h.ovsPortOf(nic); found {
		if nic.Link != "" {
			path.hop("tap", nic.Link)
		}
		return h.throughOVS(path, at)
	}
	if nic.Link == "" {
		if vm.State.Active() {
			return path.unknown("the runtime names no link for it on the host")
		}
		return h.whenStarted(path, nic)
	}
	link := h.links[nic.Link]
	if link == nil {
		return path.unknown(nic.Link + " is not among the host's links")
	}
	path.hop(linkWord(link), link.Name)
	if link.Kind == "macvtap" || link.Kind == "macvlan" {
		return h.throughLink(path, h.links[link.Parent])
	}
	if strings.HasPrefix(link.Master, "ovs-") {
		return path.configured(nic, "Open vSwitch has the tap, but its database wasn't read")
	}
	if link.Master == "" {
		return path.unknown(link.Name + " is in no bridge")
	}
	return h.throughBridge(path, h.links[link.Master], link)
}

// unseenNetwork says why nothing is known of the host's links.
func (h *hostView) unseenNetwork() string {
	for _, doc := range h.docs {
		if doc.Source == "network" && len(doc.Problems) > 0 {
			return "the links of " + h.key() + " can't be seen: " + problemWords(&doc.Problems[0])
		}
	}
	return "nothing is known of the links of " + h.key()
}

func (p *NICPath) hop(words ...string) {
	if p.Hops == nil {
		p.Hops = make([]string, 0, 4)
	}
	p.Hops = append(p.Hops, strings.Join(words, " "))
}

func (p NICPath) unknown(reason string) NICPath {
	p.Reason = reason
	return p
}

func (p NICPath) on(vlan inventory.VLAN, from inventory.Field) NICPath {
	p.VLAN, p.From = &vlan, from
	return p
}

// configured takes the VLAN that the runtime was told to use.
func (p NICPath) configured(nic *inventory.NIC, note string) NICPath {
	if nic.VLAN == nil || *nic.VLAN == 0 {
		return p.unknown(note + ", which names none")
	}
	p.Reason, p.Derived = note, true
	return p.on(*nic.VLAN, "nic.vlan")
}

func (h *hostView) ovsPortOf(nic *inventory.NIC) (ovsPort, bool) {
	if nic.Link != "" {
		if at, found := h.ports[nic.Link]; found {
			return at, true
		}
	}
	if nic.Attachment == "vhostuser" && nic.MAC.Identifies() {
		at, found := h.portOf[nic.MAC]
		return at, found
	}
	return ovsPort{}, false
}

// throughOVS reads the port's VLAN (ovs-vswitchd.conf.db(5), Port: tag, trunks,
// vlan_mode).
func (h *hostView) throughOVS(path NICPath, at ovsPort) NICPath {
	switch port := at.port; {
	case port.Tag != nil && *port.Tag != 0 && port.Mode != "trunk":
		path.hop("OVS port", port.Name+", tag", vlanText(*port.Tag)+trunkWords(port.Trunks))
		path.hop("OVS bridge", at.bridge.Name)
		return path.on(*port.Tag, "ovsPort.tag")
	case len(port.Trunks) > 0 || port.Mode == "trunk":
		path.hop("OVS port", port.Name+trunkWords(port.Trunks))
		path.hop("OVS bridge", at.bridge.Name)
		return path.unknown("the port is a trunk without a native VLAN: the guest chooses")
	}
	path.hop("OVS port", at.port.Name+", no tag")
	path.hop("OVS bridge", at.bridge.Name)
	return path.unknown("the port has no tag: frames leave the host untagged, and the switch decides")
}

func vlanText(v inventory.VLAN) string { return strconv.Itoa(int(v)) }

func trunkWords(trunks []inventory.VLAN) string {
	if len(trunks) == 0 {
		return ""
	}
	words := make([]string, len(trunks))
	for i, v := range trunks {
		words[i] = vlanText(v)
	}
	return ", trunk of " + strings.Join(words, " ")
}

// throughBridge follows a Linux bridge from one of its ports to its uplink.
func (h *hostView) throughBridge(path NICPath, bridge *inventory.Link, port *inventory.Link) NICPath {
	if bridge == nil {
		return path.unknown("its bridge is not among the host's links")
	}
	inside := inventory.VLAN(0)
	filtering := bridge.VLANFiltering != nil && *bridge.VLANFiltering
	switch i := slices.IndexFunc(port.PortVLANs, func(v inventory.PortVLAN) bool { return v.PVID }); {
	case !filtering:
		path.hop("bridge", bridge.Name)
	case i < 0:
		path.hop("bridge", bridge.Name+", VLAN filtering")
		return path.unknown(port.Name + " has no PVID: the bridge drops its untagged frames")
	default:
		inside = port.PortVLANs[i].ID
		path.hop("bridge", bridge.Name+", PVID", vlanText(inside), "on", port.Name)
	}
	if !h.network.Complete {
		return path.unknown("the links of " + h.key() + " were not all enumerated")
	}
	uplinks := h.uplinks(bridge, inside)
	switch len(uplinks) {
	case 0:
		if inside > 1 { // 1 is what a port gets when nobody chose
			path.Reason = bridge.Name + " has no uplink that carries it"
			return path.on(inside, "portVLAN.pvid")
		}
		return path.unknown(bridge.Name + " has no uplink: its frames stay on the host")
	case 1:
	default:
		return path.unknown(fmt.Sprintf("%s has %d uplinks: %s", bridge.Name, len(uplinks), linkNames(uplinks)))
	}
	up := uplinks[0]
	if filtering && !untaggedOn(up, inside) {
		path.hop("uplink", up.Name+", tagged")
		return path.on(inside, "portVLAN.pvid")
	}
	return h.throughLink(path, up)
}

// uplinks are a bridge's ports that lead off the host, and carry the VLAN where
// the bridge filters.
func (h *hostView) uplinks(bridge *inventory.Link, vlan inventory.VLAN) []*inventory.Link {
	var uplinks []*inventory.Link
	for _, port := range h.members[bridge.Name] {
		switch port.Kind {
		case "physical", "bond", "vlan", "team", "vxlan", "dummy":
		default:
			continue
		}
		if vlan != 0 && !slices.ContainsFunc(port.PortVLANs, func(v inventory.PortVLAN) bool { return v.Holds(vlan) }) {
			continue
		}
		uplinks = append(uplinks, port)
	}
	return uplinks
}

func untaggedOn(port *inventory.Link, vlan inventory.VLAN) bool {
	return slices.ContainsFunc(port.PortVLANs, func(v inventory.PortVLAN) bool { return v.Holds(vlan) && v.Untagged })
}

// throughLink follows the link that frames leave by untagged.
func (h *hostView) throughLink(path NICPath, link *inventory.Link) NICPath {
	if link == nil {
		return path.unknown("the link below it is not in this network namespace")
	}
	if link.Kind == "vlan" && link.VLAN != nil && *link.VLAN != 0 {
		path.hop("VLAN link", link.Name, "("+vlanText(*link.VLAN), "on", link.Parent+")")
		return path.on(*link.VLAN, "link.vlan")
	}
	path.hop(linkWord(link), link.Name+", untagged")
	return path.unknown("frames leave untagged by " + link.Name + ": the switch decides")
}

// whenStarted says what a stopped VM's NIC will be on, as its configuration has
// it.
func (h *hostView) whenStarted(path NICPath, nic *inventory.NIC) NICPath {
	const note = "the VM is stopped: read from its configuration"
	if nic.Attachment == "ovs" {
		return path.configured(nic, note)
	}
	bridge := h.links[nic.Bridge]
	if bridge == nil || (bridge.VLANFiltering != nil && *bridge.VLANFiltering) {
		return path.unknown("the VM is stopped: its NIC has no link on the host")
	}
	path = h.throughBridge(path, bridge, &inventory.Link{})
	if path.VLAN != nil {
		path.Derived, path.Reason = true, note
	}
	return path
}

func linkWord(link *inventory.Link) string {
	if link.Kind == "tun" {
		return "tap"
	}
	return link.Kind
}

func linkNames(links []*inventory.Link) string {
	names := make([]string, len(links))
	for i, link := range links {
		names[i] = link.Name
	}
	return strings.Join(names, ", ")
}
