package reconcile

import (
	"fmt"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// way is one way off the host, from where a walk began.
type way struct {
	hops     []Hop
	steps    []step
	exit     string // the link or port that frames leave by
	tags     frame  // as they are there
	wireTags []Tag  // the same, for readers
	from     inventory.Field
	tunnel   bool // frames leave inside a tunnel's packets
	narrow   narrowest
	down     bool // some hop is down
}

// ways is where a frame gets to from one place of a host.
type ways struct {
	exits []way
	// refused says why a switch didn't let the frame in, and shut are the uplinks
	// that didn't let it out.
	refused string
	shut    []shutPort
	// blocked are ports that the spanning tree keeps from forwarding.
	blocked []string
	// away are links into other network namespaces.
	away []string
	// unsure says what kept the walk from going on somewhere.
	unsure string
}

// shutPort is a switch's port that doesn't carry a VLAN; 0 is none.
type shutPort struct {
	net  *fabric
	name string
	vlan inventory.VLAN
	hops []Hop // to the switch
}

// narrowest is the link with the smallest MTU on a way.
type narrowest struct {
	link string
	mtu  int
}

// step is what a frame that comes the other way must get through.
type step struct {
	link  *inventory.Link // one that frames are sent by
	taken bool            // or rather one that they arrived by, for a VLAN link on it
	cross crossing        // or a switch, from one of its ports to another
}

// crossing is a frame's way through a switch.
type crossing struct {
	net     *fabric
	in, out *port
}

// walk follows a frame through a host's links by every way that it takes, as the
// kernel would: a switch floods, and so does the walk.
type walk struct {
	h      *hostView
	hops   []Hop
	steps  []step
	from   inventory.Field
	narrow narrowest
	down   bool
	brief  bool // hops and tags as readers see them are left out
	inside []visit
	kept   []step // of the ways that were found
	taken  int    // steps, of all ways
	ways   ways
}

// maxSteps bounds a walk. A switch with a thousand ports is walked in as many
// steps; many switches that are each tied to each other would never be.
const maxSteps = 10_000

// visit is a switch that the frame is in, by which a walk knows that it goes in
// a circle.
type visit struct {
	net    *fabric
	inside vlanFrame
}

// treated is what a switch's port did to the VLAN of frames that leave by it.
type treated struct {
	does Treatment
	vlan inventory.VLAN // of its tag, where they have that now
}

func (w *walk) treat(hop *Hop, by treated) {
	if hop.Does = by.does; by.does == Tags && !w.brief {
		vlan := by.vlan
		hop.VLAN = &vlan
	}
}

// turn is where a walk stood before it went on behind a hop.
type turn struct {
	hops, steps int
	from        inventory.Field
	narrow      narrowest
	down        bool
}

// on walks on behind a hop, if it may; undo goes back to where it was.
func (w *walk) on(hop *Hop, s step) (t turn, may bool) {
	if w.taken++; w.taken > maxSteps {
		w.unsure("there are too many ways that frames may take")
		return t, false
	}
	t = turn{len(w.hops), len(w.steps), w.from, w.narrow, w.down}
	w.down = w.down || hop.Down
	w.steps = append(w.steps, s)
	if hop.Kind != "" && !w.brief {
		w.hops = append(w.hops, *hop)
	}
	if s.link != nil && s.link.Kind != "bridge" && s.link.MTU != nil && (w.narrow.mtu == 0 || *s.link.MTU < w.narrow.mtu) {
		w.narrow = narrowest{s.link.Name, *s.link.MTU} // a bridge forwards by its ports' MTUs, not by its own
	}
	return t, true
}

func (w *walk) undo(t turn) {
	w.hops, w.steps, w.from, w.narrow, w.down = w.hops[:t.hops], w.steps[:t.steps], t.from, t.narrow, t.down
}

// leaveBy is a hop behind which frames leave the host.
func (w *walk) leaveBy(hop *Hop, s step, name string, f frame, tunnel bool) {
	if t, may := w.on(hop, s); may {
		w.exit(name, f, tunnel)
		w.undo(t)
	}
}

func (w *walk) exit(name string, f frame, tunnel bool) {
	begin := len(w.kept)
	w.kept = append(w.kept, w.steps...)
	out := way{steps: w.kept[begin:len(w.kept):len(w.kept)], exit: name, tags: f, from: w.from, tunnel: tunnel, narrow: w.narrow, down: w.down}
	if !w.brief {
		out.hops, out.wireTags = slices.Clone(w.hops), f.list()
	}
	w.ways.exits = append(w.ways.exits, out)
}

func (w *walk) unsure(format string, args ...any) {
	if w.ways.unsure == "" {
		w.ways.unsure = fmt.Sprintf(format, args...)
	}
}

// transmit sends a frame by a link, as a bridge does that has it as a port, or
// the host itself.
func (w *walk) transmit(link *inventory.Link, f frame, does treated) {
	hop := w.linkHop(link)
	w.treat(&hop, does)
	s := step{link: link}
	switch link.Kind {
	case "physical":
		w.throughAdapter(link, f, hop)
	case "bond", "team":
		w.throughBond(link, f, hop)
	case "vlan":
		w.throughVLANLink(link, f, hop, does)
	case "macvlan", "macvtap":
		w.below(link, f, hop)
	case "veth":
		if peer := w.h.links[link.Peer]; peer != nil {
			if t, may := w.on(&hop, s); may {
				w.receive(peer, f)
				w.undo(t)
			}
		} else if !w.h.guests[link.Name] { // what goes into a container stays on the host
			w.ways.away = append(w.ways.away, link.Name)
		}
	case "bridge":
		if net := w.h.fabricOf(link.Name); net != nil {
			if t, may := w.on(&Hop{}, s); may {
				w.enter(net, net.self(), f)
				w.undo(t)
			}
		}
	case "openvswitch":
		if net, p := w.h.ovsPortNamed(link.Name); p != nil {
			if t, may := w.on(&hop, s); may {
				w.enter(net, p, f)
				w.undo(t)
			}
		}
	case "vxlan", "geneve", "gretap", "ip6gretap", "l2tpeth", "bareudp", "wireguard":
		if !w.brief {
			hop.Note = tunnelNote(link)
		}
		w.leaveBy(&hop, s, link.Name, f, true)
	case "tun", "dummy", "ifb", "loopback", "vcan", "nlmon":
		// A guest's, or nobody's.
	default:
		w.unsure("avstem doesn't know where frames go by %s, a link of kind %s", link.Name, link.Kind)
	}
}

func (w *walk) linkHop(link *inventory.Link) Hop {
	hop := Hop{Kind: linkWord(link), Name: link.Name, Neighbours: link.Neighbours}
	hop.Down, hop.Note = linkDown(link)
	return hop
}

// linkDown says whether frames pass a link at the moment, and why not.
func linkDown(link *inventory.Link) (down bool, why string) {
	switch {
	case link.Up != nil && !*link.Up:
		return true, "down"
	case link.Carrier != nil && !*link.Carrier:
		return true, "no carrier"
	}
	return false, ""
}

// below goes on with the link that another one sits on.
func (w *walk) below(link *inventory.Link, f frame, hop Hop) {
	parent := w.h.links[link.Parent]
	if parent == nil {
		w.unsure("the link below %s is not in this network namespace", link.Name)
		return
	}
	if t, may := w.on(&hop, step{link: link}); may {
		w.transmit(parent, f, treated{})
		w.undo(t)
	}
}

// throughVLANLink adds the link's tag around what the frame has.
func (w *walk) throughVLANLink(link *inventory.Link, f frame, hop Hop, does treated) {
	if link.VLAN == nil || *link.VLAN == 0 { // 0 is a priority without a VLAN
		w.unsure("%s has no VLAN that was read", link.Name)
		return
	}
	if f.count == maxTags {
		w.unsure("frames would have more than %d tags behind %s", maxTags, link.Name)
		return
	}
	if does.does == Tags { // by the bridge that has the link as a port
		port := Hop{Kind: "port", Name: link.Name}
		w.treat(&port, does)
		if t, may := w.on(&port, step{}); may {
			w.throughVLANLink(link, f, hop, treated{})
			w.undo(t)
		}
		return
	}
	hop.Does, hop.VLAN = Adds, link.VLAN
	if link.Protocol == "802.1ad" {
		hop.Note = joinNotes(hop.Note, "802.1ad")
	}
	from := w.from
	w.from = "link.vlan"
	w.below(link, f.push(tag{*link.VLAN, link.Protocol == "802.1ad"}), hop)
	w.from = from
}

// throughBond takes all members for one way, since they are meant to reach one
// switch: which of them a frame takes is the bond's business.
func (w *walk) throughBond(bond *inventory.Link, f frame, hop Hop) {
	members := w.h.members[bond.Name]
	if w.brief {
		hop.Down = hop.Down || len(members) == 0
		if t, may := w.on(&hop, step{link: bond}); may {
			w.down = w.down || !slices.ContainsFunc(members, func(m *inventory.Link) bool { down, _ := linkDown(m); return !down })
			w.exit(bond.Name, f, false)
			w.undo(t)
		}
		return
	}
	hop.Note = joinNotes(bond.BondMode, hop.Note)
	if len(members) == 0 {
		hop.Down, hop.Note = true, joinNotes(hop.Note, "no members")
	}
	members = slices.Clone(members)
	slices.SortStableFunc(members, func(a, b *inventory.Link) int {
		return yesFirst(a.Name == bond.ActiveMember, b.Name == bond.ActiveMember)
	})
	t, may := w.on(&hop, step{link: bond})
	if !may {
		return
	}
	alive := 0
	for i, member := range members {
		m := w.linkHop(member)
		m.Beside = i > 0
		m.Note = joinNotes(m.Note, member.BondState)
		if !m.Down {
			alive++
		}
		w.hops = append(w.hops, m)
	}
	w.down = w.down || alive == 0
	w.exit(bond.Name, f, false)
	w.undo(t)
}

// receive takes in a frame that arrived by a link (net/core/dev.c): a VLAN link
// on it goes before the bridge that it is a port of.
func (w *walk) receive(link *inventory.Link, f frame) {
	hop := w.linkHop(link)
	if taker := w.h.takes(link, f); taker != nil {
		w.takenBy(taker, link, f, &hop)
		return
	}
	net, p := w.h.portNamed(link)
	if p == nil {
		return // the host's own
	}
	if t, may := w.on(&hop, step{}); may {
		w.enter(net, p, f)
		w.undo(t)
	}
}

// takenBy goes on with a VLAN link that takes a frame which arrived by another one.
func (w *walk) takenBy(taker, link *inventory.Link, f frame, hop *Hop) {
	outer, _ := f.top()
	taken := w.linkHop(taker)
	taken.Does, taken.VLAN = Removes, &outer.vlan
	if t, may := w.on(hop, step{link: link, taken: true}); may {
		if t, may := w.on(&taken, step{link: taker, taken: true}); may {
			w.receive(taker, f.pop())
			w.undo(t)
		}
		w.undo(t)
	}
}

// takes gives the VLAN link that frames with this tag go to when they arrive by
// a link.
func (h *hostView) takes(link *inventory.Link, f frame) *inventory.Link {
	t, tagged := f.top()
	if !tagged {
		return nil
	}
	for _, v := range h.vlanLinks[link.Name] {
		if v.VLAN != nil && *v.VLAN == t.vlan && (v.Protocol == "802.1ad") == t.service {
			return v
		}
	}
	return nil
}

// enter lets a frame into a switch by one of its ports.
func (w *walk) enter(net *fabric, in *port, f frame) {
	inside, refused := net.admit(in, f)
	if refused != "" {
		w.ways.refused = orElse(w.ways.refused, refused)
		return
	}
	hop := Hop{Kind: net.word(), Name: net.name}
	net.tellDown(&hop)
	if inside.assigned && !w.brief {
		vlan := inside.vlan
		hop.Does, hop.VLAN = Assigns, &vlan
	}
	w.flood(net, in, inside, hop)
}

// flood sends a frame by every port of a switch but the one that it came by.
func (w *walk) flood(net *fabric, in *port, inside vlanFrame, hop Hop) {
	at := visit{net, inside}
	if slices.Contains(w.inside, at) {
		return
	}
	if net.unsure != "" {
		w.unsure("%s", net.unsure)
		return
	}
	w.inside = append(w.inside, at)
	for _, out := range w.h.outward(net) {
		if out == in {
			continue
		}
		f, does, carried := net.release(out, inside)
		switch {
		case !carried:
			if w.h.leadsOff(out, map[string]bool{}) {
				w.ways.shut = append(w.ways.shut, shutPort{net, out.name, inside.vlan, append(slices.Clone(w.hops), hop)})
			}
			continue
		case out.blocked():
			w.ways.blocked = append(w.ways.blocked, out.name)
			continue
		}
		cross := step{cross: crossing{net, in, out}}
		if t, may := w.on(&hop, cross); may {
			w.leave(net, out, f, treated{does, inside.vlan})
			w.undo(t)
		}
	}
	w.inside = w.inside[:len(w.inside)-1]
}

// leave goes on behind a switch's port.
func (w *walk) leave(net *fabric, out *port, f frame, does treated) {
	if out.self {
		// Towards the host itself, which hands frames on to what sits on the
		// switch's own link.
		if link := w.h.links[out.name]; link != nil && w.h.takes(link, f) != nil {
			w.receive(link, f)
		}
		return
	}
	if out.ovs != nil {
		w.leaveOVS(out, f, does)
		return
	}
	w.transmit(out.link, f, does)
}

// back follows a frame that comes in from outside to where the walk began. It
// says what doesn't let it through.
func (w *way) back(h *hostView) (inside vlanFrame, f frame, why string) {
	f = w.tags
	for i := len(w.steps) - 1; i >= 0; i-- {
		s := &w.steps[i]
		switch {
		case s.taken && s.link.Kind == "vlan": // by which it is sent, with the tag that was taken
			if f.count == maxTags {
				return inside, f, fmt.Sprintf("what comes in would have more than %d tags behind %s", maxTags, s.link.Name)
			}
			f = f.push(tag{*s.link.VLAN, s.link.Protocol == "802.1ad"})
		case s.taken:
		case s.link != nil && s.link.Kind == "vlan":
			if _, tagged := f.top(); !tagged { // the switch before it has taken the tag off
				return inside, f, "what comes in reaches " + s.link.Name + " without a tag for it"
			}
			f = f.pop()
			fallthrough
		case s.link != nil:
			if taker := h.takes(s.link, f); taker != nil && (i == 0 || w.steps[i-1].link != taker) {
				t, _ := f.top()
				return inside, f, fmt.Sprintf("%s takes what comes in by %s with tag %d", taker.Name, s.link.Name, t.vlan)
			}
		case s.cross.net != nil:
			net := s.cross.net
			if inside, why = net.admit(s.cross.out, f); why != "" {
				return inside, f, why
			}
			if i == 0 && s.cross.in == nil { // the walk began inside of it
				return inside, f, ""
			}
			var carried bool
			if f, _, carried = net.release(s.cross.in, inside); !carried {
				return inside, f, fmt.Sprintf("%s of %s doesn't carry VLAN %d", s.cross.in.name, net.name, inside.vlan)
			}
		}
	}
	return inside, f, ""
}

func tunnelNote(link *inventory.Link) string {
	note := ""
	if link.VNI != nil {
		note = fmt.Sprintf("VNI %d", *link.VNI)
	}
	if link.Remote != "" {
		note = joinNotes(note, "to "+link.Remote)
	}
	return note
}

func joinNotes(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + ", " + b
}

func linkWord(link *inventory.Link) string {
	switch link.Kind {
	case "tun":
		return "tap"
	case "vlan":
		return "VLAN link"
	}
	return link.Kind
}
