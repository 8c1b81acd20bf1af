package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// NICPath is the way of a NIC through its host, as far as it could be followed.
type NICPath struct {
	MAC  inventory.MAC `json:"mac,omitzero"`
	Hops []Hop         `json:"hops"`
	// Exit is the link that frames leave the host by. Without one they stay on
	// the host, or nobody can say, for the Reason given.
	Exit string `json:"exit,omitempty"`
	// VLAN is the one that frames which the guest sends without a tag are on when
	// they leave the host. Nil is unknown, for the Reason given.
	VLAN *inventory.VLAN `json:"vlan,omitempty"`
	// Tags are those that frames leave the host with, the outermost first. With
	// several the VLAN is none of them alone.
	Tags []Tag `json:"tags,omitempty"`
	// VNI is the network of the tunnel that frames leave in.
	VNI *int `json:"vni,omitempty"`
	// GuestVLANs are the others that the guest may choose by sending tagged frames.
	GuestVLANs []VLANRange `json:"guestVLANs,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	// Return says why frames that come in from outside don't get back to the
	// NIC, where so.
	Return string `json:"return,omitempty"`
	// Down says that no frame leaves at the moment: some hop of every way is down.
	Down    bool `json:"down,omitempty"`
	Derived bool `json:"derived,omitempty"` // from the runtime's configuration, not from the host's links
	// From is the field that the VLAN was read from: ovsPort.tag, portVLAN.pvid,
	// link.vlan, virtualFunction.vlan or nic.vlan.
	From inventory.Field `json:"from,omitempty"`

	brief  bool // its hops are left out
	unseen bool // it could not be looked at: nothing ends by that
	oneWay bool // something on the host takes what comes back
	shut   *shutOut
	narrow narrowest // of the links behind the NIC's own
	own    *inventory.Link
}

// shutOut is a VLAN that no uplink of the NIC's switch carries.
type shutOut struct {
	vlan     inventory.VLAN
	at       string // the switch
	uplinks  []string
	carrying string // what they carry instead
	router   string // the host's own link on that VLAN, which has an address
}

// pathOf follows a NIC from its tap to where its frames leave the host, and
// says on which VLAN they do. The VLAN comes from the host's links: what the
// runtime's configuration asks for stands in only where there is no link to
// follow (a stopped VM), and is marked as derived. Where the path can't be
// followed the VLAN is unknown, with the reason.
func (h *hostView) pathOf(vm *inventory.VM, nic *inventory.NIC, in *Input) NICPath {
	return h.follow(NICPath{MAC: nic.MAC}, vm, nic, in)
}

func (h *hostView) follow(path NICPath, vm *inventory.VM, nic *inventory.NIC, in *Input) NICPath {
	if nic.Attachment == "user" {
		return path.unknown("user-mode networking doesn't reach the host's networks")
	}
	if h.network == nil {
		if nic.Attachment == "hostdev" {
			return h.hostDevice(path, nic)
		}
		return path.notSeen(h.unseenNetwork())
	}
	if !h.fresh(h.network, in) {
		return path.notSeen(h.why(h.network))
	}
	if nic.Attachment == "hostdev" {
		return h.hostDevice(path, nic)
	}
	if at, found := h.ovsPortOf(nic); found {
		if nic.Link != "" {
			path.start(Hop{Kind: "tap", Name: nic.Link}, h.links[nic.Link])
		}
		return h.throughOVS(path, at)
	}
	if nic.Link == "" {
		if vm.State.Active() {
			return path.notSeen("the runtime names no link for it on the host")
		}
		return h.whenStarted(path, nic)
	}
	link := h.links[nic.Link]
	if link == nil {
		return path.notSeen(nic.Link + " is not among the host's links")
	}
	path.start(Hop{Kind: linkWord(link), Name: link.Name}, link)
	switch {
	case link.Kind == "macvtap" || link.Kind == "macvlan":
		return h.throughParent(path, link)
	case strings.HasPrefix(link.Master, "ovs-"):
		return path.configured(nic, "Open vSwitch has the tap, but its database wasn't read")
	case link.Master == "":
		return path.unknown(link.Name + " is in no bridge")
	}
	net := h.fabricOf(link.Master)
	if net == nil {
		return path.notSeen("its bridge is not among the host's links")
	}
	return h.throughSwitch(path, net, &port{name: link.Name, link: link})
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

// start begins with the NIC's own link.
func (p *NICPath) start(hop Hop, link *inventory.Link) {
	if link != nil {
		hop.Down, hop.Note = linkDown(link)
		p.Down, p.own = hop.Down, link
		if link.Mode != "" {
			hop.Note = joinNotes(link.Mode, hop.Note)
		}
	}
	p.hop(hop)
}

func (p *NICPath) hop(hop Hop) {
	if p.brief {
		return
	}
	if p.Hops == nil {
		p.Hops = make([]Hop, 0, 3) // tap, port and switch
	}
	p.Hops = append(p.Hops, hop)
}

func (p NICPath) unknown(reason string) NICPath {
	p.Reason = reason
	return p
}

// notSeen is unknown since it could not be looked at.
func (p NICPath) notSeen(reason string) NICPath {
	p.unseen = true
	return p.unknown(reason)
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
		if h.portOf == nil {
			h.indexMACs()
		}
		at, found := h.portOf[nic.MAC]
		return at, found
	}
	return ovsPort{}, false
}

// throughOVS follows an Open vSwitch bridge from the NIC's port.
func (h *hostView) throughOVS(path NICPath, at ovsPort) NICPath {
	hop := Hop{Kind: "OVS port", Name: at.port.Name}
	if tag := at.port.Tag; tag != nil && *tag != 0 && ovsMode(at.port) != "trunk" {
		hop.Does, hop.VLAN = Assigns, tag
	}
	switch mode := ovsMode(at.port); {
	case mode != "access" && mode != "trunk":
		hop.Note = mode
	case mode == "trunk" && len(at.port.Trunks) > 0:
		hop.Note = "trunk of " + rangesText(ovsTrunkRanges(at.port))
	case mode == "trunk":
		hop.Note = "no tag"
	}
	path.hop(hop)
	net := h.ovsFabric(at.bridge)
	return h.throughSwitch(path, net, &port{name: at.port.Name, ovs: at.port})
}

// throughSwitch follows the frames that the guest sends without a tag from its
// port of a switch on, and says what the guest may choose by sending tagged ones.
func (h *hostView) throughSwitch(path NICPath, net *fabric, own *port) NICPath {
	if net.unsure != "" {
		path.hop(Hop{Kind: net.word(), Name: net.name})
		return path.notSeen(net.unsure)
	}
	inside, refused := net.admit(own, frame{})
	hop := Hop{Kind: net.word(), Name: net.name}
	if net.bridge != nil && inside.assigned {
		hop.Does, hop.VLAN = Assigns, &own.link.PortVLANs[slices.IndexFunc(own.link.PortVLANs, func(v inventory.PortVLAN) bool { return v.PVID })].ID
	}
	if net.bridge != nil && net.filters() {
		hop.Note = "VLAN filtering"
	}
	net.tellDown(&hop)
	path.Down = path.Down || hop.Down
	if own.blocked() {
		hop.Note = joinNotes(hop.Note, own.name+" is "+own.link.PortState)
		path.Down = true
	}
	path.hop(hop)
	if !h.network.Complete {
		return path.notSeen("the links of " + h.key() + " were not all enumerated")
	}
	path.GuestVLANs = h.guestVLANs(net, own)
	if refused != "" {
		return path.unknown(refused + path.choice())
	}
	from := inventory.Field("portVLAN.pvid")
	if net.ovs != nil {
		from = "ovsPort.tag"
	}
	found := h.waysInside(net, own, inside, from, path.brief)
	path = h.settle(path, found, net, own, inside, from)
	return path
}

// choice says what the guest may choose, where it can't be on a VLAN without.
func (p *NICPath) choice() string {
	if len(p.GuestVLANs) == 0 {
		return ""
	}
	return "; the guest chooses by sending tagged frames, among " + rangesText(p.GuestVLANs)
}

// returns says why frames on a VLAN of the switch don't reach the guest as those
// that it sends, where so. Without a switch nothing keeps them.
func (f *fabric) returns(own *port, inside vlanFrame) string {
	if f == nil {
		return ""
	}
	back, _, carried := f.release(own, inside)
	switch {
	case !carried:
		return fmt.Sprintf("%s doesn't let out VLAN %d: the guest hears nothing", own.name, inside.vlan)
	case back != frame{}:
		return fmt.Sprintf("%s lets out VLAN %d with its tag: the guest gets tagged frames", own.name, inside.vlan)
	}
	return ""
}

// throughParent follows the link that a macvtap sits on.
func (h *hostView) throughParent(path NICPath, link *inventory.Link) NICPath {
	parent := h.links[link.Parent]
	if parent == nil {
		return path.unknown("the link below it is not in this network namespace")
	}
	path.GuestVLANs = h.linkCarries(parent, allVLANs, trail{})
	return h.settle(path, h.waysBelow(parent), nil, nil, vlanFrame{}, "")
}

// settle says what the ways off the host come to.
func (h *hostView) settle(path NICPath, found *ways, net *fabric, own *port, inside vlanFrame, from inventory.Field) NICPath {
	if found.unsure != "" {
		return path.notSeen(found.unsure)
	}
	chosen := found.exits
	if alive := aliveOf(chosen); len(alive) > 0 {
		chosen = alive
	} else if len(chosen) > 0 {
		path.Down = true
	}
	if len(chosen) == 0 {
		return path.goesNowhere(h, found, net, inside, from)
	}
	wires := wiresOf(chosen)
	if len(wires) == 0 {
		path.Return = net.returns(own, inside)
		return path.tunnelled(h, chosen)
	}
	if i := slices.IndexFunc(wires, func(w way) bool { return w.tags != wires[0].tags }); i > 0 {
		path.addWay(&wires[0])
		path.Exit, path.Return = "", net.returns(own, inside)
		return path.unknown(fmt.Sprintf("frames leave %s by %s and %s by %s: nobody can say which is meant",
			wires[0].tags, wires[0].exit, wires[i].tags, wires[i].exit))
	}
	path.addWay(&wires[0])
	back, why := h.comesBack(&wires[0], inside, net, own)
	path.oneWay = why != ""
	if path.Return = why; why == "" {
		path.Return = net.returns(own, back)
	}
	path.others(chosen)
	path.Tags = wires[0].wireTags
	switch w := &wires[0]; {
	case w.tags.count == 0:
		return path.unknown("frames leave untagged by " + w.exit + ": the switch decides" + path.choice())
	case w.tags.count > 1:
		return path.unknown(fmt.Sprintf("frames leave by %s with %d tags, %s: no single VLAN", w.exit, w.tags.count, w.tags))
	default:
		vlan := w.tags.tags[0].vlan
		path.GuestVLANs = without(path.GuestVLANs, vlan)
		return path.on(vlan, w.from)
	}
}

// aliveOf and wiresOf give ways that frames take at the moment, and those without a
// tunnel. Mostly that is all there are.
func aliveOf(exits []way) []way { return waysBut(exits, func(w *way) bool { return w.down }) }

func wiresOf(exits []way) []way { return waysBut(exits, func(w *way) bool { return w.tunnel }) }

func waysBut(exits []way, leave func(*way) bool) []way {
	for i := range exits {
		if !leave(&exits[i]) {
			continue
		}
		left := slices.Clone(exits[:i])
		for j := range exits[i:] {
			if w := &exits[i+j]; !leave(w) {
				left = append(left, *w)
			}
		}
		return left
	}
	return exits
}

// goOn adds the hops that were found behind the NIC's switch, which is the first
// of them again.
func (p *NICPath) goOn(hops []Hop) {
	if p.brief {
		return
	}
	if n := len(p.Hops); n > 0 && len(hops) > 0 && p.Hops[n-1].Kind == hops[0].Kind && p.Hops[n-1].Name == hops[0].Name {
		hops = hops[1:]
	}
	if len(p.Hops)+len(hops) > cap(p.Hops) {
		p.Hops = append(make([]Hop, 0, len(p.Hops)+len(hops)), p.Hops...) // no larger than it is to be
	}
	p.Hops = append(p.Hops, hops...)
}

func (p *NICPath) addWay(w *way) {
	p.goOn(w.hops)
	p.narrow, p.Exit = w.narrow, w.exit
}

// others names the further ways that agree with the first.
func (p *NICPath) others(chosen []way) {
	var names []string
	for i := range chosen[1:] {
		names = append(names, chosen[i+1].exit)
	}
	if len(names) > 0 && len(p.Hops) > 0 {
		last := &p.Hops[len(p.Hops)-1]
		last.Note = joinNotes(last.Note, "and by "+strings.Join(names, ", "))
	}
}

// comesBack says why what comes in from outside doesn't reach the guest, where so.
// Its port may let out another VLAN than the one that the guest's frames are on.
func (h *hostView) comesBack(w *way, inside vlanFrame, net *fabric, own *port) (back vlanFrame, why string) {
	back, f, why := w.back(h)
	switch {
	case why != "":
		return back, why + ": what comes in from outside doesn't get back"
	case net != nil && (back.vlan != inside.vlan || back.below != inside.below) && net.returns(own, back) != "":
		return back, fmt.Sprintf("what comes in from outside is put on VLAN %d of %s, what goes out on %d", back.vlan, net.name, inside.vlan)
	case net == nil && f != frame{}:
		return back, "what comes in from outside keeps its tag"
	}
	return back, ""
}

// tunnelled says which tunnel frames leave in: on a wire they are on no VLAN.
func (p NICPath) tunnelled(h *hostView, chosen []way) NICPath {
	p.addWay(&chosen[0])
	p.others(chosen)
	w := &chosen[0]
	if link := h.links[w.exit]; link != nil {
		p.VNI = link.VNI
	}
	what := "a tunnel"
	if p.VNI != nil {
		what = fmt.Sprintf("VNI %d", *p.VNI)
	}
	inner := ""
	if w.tags.count > 0 {
		inner = ", " + w.tags.String() + " inside"
	}
	return p.unknown(fmt.Sprintf("frames leave in %s by %s%s: no VLAN", what, w.exit, inner))
}

// goesNowhere says why frames don't leave the host. Inside of it they are on a
// VLAN all the same, but for VLAN 1, which a port gets when nobody chose.
func (p NICPath) goesNowhere(h *hostView, found *ways, net *fabric, inside vlanFrame, from inventory.Field) NICPath {
	switch {
	case len(found.blocked) > 0:
		p.Reason = "the spanning tree blocks " + listed(found.blocked, "and")
		p.Down = true
	case len(found.shut) > 0:
		p = p.shutIn(h, found.shut)
	case found.refused != "":
		p.Reason = found.refused
	case len(found.away) > 0:
		p.Reason = "frames go on into another network namespace by " + listed(found.away, "or")
	case net != nil:
		p.Reason = net.name + " has no uplink: its frames stay on the host"
	default:
		p.Reason = "its frames stay on the host"
	}
	if len(found.away) > 0 && len(found.shut) == 0 {
		return p
	}
	if inside.vlan > 1 || (net != nil && net.ovs != nil && inside.vlan > 0) {
		return p.on(inside.vlan, from)
	}
	return p
}

// shutIn says of frames that no uplink of a switch lets out. Ports of a further
// switch that shut them out too are no matter then.
func (p NICPath) shutIn(h *hostView, shut []shutPort) NICPath {
	first := &shut[0]
	p.goOn(first.hops)
	var names []string
	for i := range shut {
		if shut[i].net == first.net {
			names = append(names, shut[i].name)
			p.Hops = append(p.Hops, Hop{Kind: "uplink", Name: shut[i].name, Does: Discards, VLAN: &shut[i].vlan, Beside: i > 0})
		}
	}
	what := "untagged frames"
	if first.vlan != 0 {
		what = "VLAN " + vlanText(first.vlan)
	}
	p.Reason = fmt.Sprintf("%s, the uplink of %s, doesn't carry %s", listed(names, "or"), first.net.name, what)
	if len(p.GuestVLANs) == 0 || first.vlan > 1 { // or the guest uses tags alone
		p.shut = &shutOut{vlan: first.vlan, at: first.net.name, uplinks: names, carrying: h.carryingWords(first.net, names), router: h.routerOn(first.net, first.vlan)}
	}
	return p
}

// whenStarted says what a stopped VM's NIC will be on, as its configuration has
// it.
func (h *hostView) whenStarted(path NICPath, nic *inventory.NIC) NICPath {
	const note = "the VM is stopped: read from its configuration"
	if nic.Attachment == "ovs" {
		return path.configured(nic, note)
	}
	net := h.fabricOf(nic.Bridge)
	if net == nil || net.filters() {
		return path.unknown("the VM is stopped: its NIC has no link on the host")
	}
	path = h.throughSwitch(path, net, &port{link: &inventory.Link{}})
	path.shut = nil
	if path.VLAN != nil {
		path.Derived, path.Reason = true, note
	}
	return path
}
