package frames

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// builder makes a topology at random: wires, what sits on them, a row of
// switches, and guests.
type builder struct {
	topology
	t        *rapid.T
	up       []string // links that are to be raised, in order
	switches []*fabric
	free     []string // links that are no port of anything
	chains   int
}

// fabric is a switch.
type fabric struct {
	name    string
	ovs     bool
	filters bool
	pvid    int // a new port's
}

// generate draws a topology.
func generate() *rapid.Generator[*topology] {
	return rapid.Custom(func(t *rapid.T) *topology {
		b := &builder{t: t}
		for i := range rapid.IntRange(1, 3).Draw(t, "switches") {
			b.addSwitch(i)
		}
		b.addUplinks()
		for i := range len(b.switches) - 1 {
			b.chain(b.switches[i], b.switches[i+1])
		}
		for range rapid.IntRange(1, 4).Draw(t, "taps") {
			b.addTap()
		}
		b.addMacvtaps()
		for _, link := range b.up {
			b.do("ip link set %s up", link)
			if b.odd(30, link+" goes down") {
				b.after = append(b.after, "ip link set "+link+" down")
			}
		}
		// One process of a program, and then the next.
		slices.SortStableFunc(b.commands, func(a, z string) int { return program(a) - program(z) })
		return &b.topology
	})
}

// program says how early a command is run.
func program(command string) int {
	return slices.IndexFunc([]string{"ip ", "ovs-vsctl ", "bridge "}, func(p string) bool { return strings.HasPrefix(command, p) })
}

// odd draws true once in so many.
func (b *builder) odd(in int, label string) bool { return rapid.IntRange(1, in).Draw(b.t, label) == in }

func (b *builder) bool(label string) bool { return rapid.Bool().Draw(b.t, label) }

func (b *builder) vlan(label string) int {
	return rapid.SampledFrom([]int{10, 20, 30, 1}).Draw(b.t, label)
}

func (b *builder) link(name string) { b.up = append(b.up, name) }

func (b *builder) addSwitch(i int) {
	f := &fabric{name: fmt.Sprintf("br%d", i)}
	switch rapid.IntRange(0, 4).Draw(b.t, "switch") {
	case 0:
		b.do("ip link add %s type bridge", f.name)
	case 1:
		f.ovs, f.name = true, fmt.Sprintf("ovs%d", i)
		b.do("ovs-vsctl add-br %s", f.name)
	default:
		f.filters = true
		f.pvid = rapid.SampledFrom([]int{1, 0, 10}).Draw(b.t, "default PVID")
		protocol := ""
		if b.odd(6, "bridge of 802.1ad") {
			protocol = " vlan_protocol 802.1ad"
		}
		b.do("ip link add %s type bridge vlan_filtering 1 vlan_default_pvid %d%s", f.name, f.pvid, protocol)
	}
	if !f.ovs {
		b.link(f.name)
	}
	b.switches = append(b.switches, f)
}

func (b *builder) oneSwitch(label string) *fabric {
	return rapid.SampledFrom(b.switches).Draw(b.t, label)
}

// addUplinks makes wires and what sits on them, and gives some of it to switches.
func (b *builder) addUplinks() {
	wire := func() string {
		name := fmt.Sprintf("eno%d", len(b.wires)+1)
		b.wires = append(b.wires, name)
		b.do("ip tuntap add %s mode tap", name)
		if b.odd(8, name+" is dead") {
			b.dead = append(b.dead, name)
		}
		return name
	}
	for i := range rapid.IntRange(1, 2).Draw(b.t, "uplinks") {
		base := ""
		if b.odd(3, "bond") {
			base = fmt.Sprintf("bond%d", i+1)
			mode := rapid.SampledFrom([]string{"active-backup", "balance-xor", "balance-rr"}).Draw(b.t, "bond mode")
			b.do("ip link add %s type bond mode %s miimon 10", base, mode)
			for range 2 {
				b.do("ip link set %s master %s", wire(), base)
			}
			b.link(base)
		} else {
			base = wire()
			b.link(base)
		}
		devices := []string{base}
		for range rapid.IntRange(0, 2).Draw(b.t, "VLAN links") {
			parent := devices[rapid.IntRange(0, len(devices)-1).Draw(b.t, "on")]
			if name := b.addVLANLink(parent); name != "" {
				devices = append(devices, name)
			}
		}
		taken := false
		for j, device := range devices {
			last := j == len(devices)-1 && !taken
			if last || b.odd(3, device+" is a port") {
				b.addPort(b.oneSwitch("switch of "+device), device)
				taken = true
			} else {
				b.free = append(b.free, device)
			}
		}
	}
}

// addVLANLink adds one, unless the parent has that VLAN already.
func (b *builder) addVLANLink(parent string) string {
	id := b.vlan("VLAN of a link")
	name := fmt.Sprintf("%s.%d", parent, id)
	if len(name) > 15 || slices.Contains(b.up, name) {
		return ""
	}
	protocol := ""
	if b.odd(5, "link of 802.1ad") {
		protocol = " protocol 802.1ad"
	}
	b.do("ip link add %s link %s type vlan%s id %d", name, parent, protocol, id)
	b.link(name)
	return name
}

// addPort makes a link a port of a switch, as one that leads on.
func (b *builder) addPort(f *fabric, link string) {
	if f.ovs {
		b.do("ovs-vsctl add-port %s %s%s", f.name, link, b.ovsPort(true))
		return
	}
	b.do("ip link set %s master %s", link, f.name)
	b.filter(f, link, true)
}

// ovsPort draws a port's columns.
func (b *builder) ovsPort(trunk bool) string {
	columns := ""
	kind := rapid.IntRange(0, 5).Draw(b.t, "OVS port")
	if trunk && b.bool("plain trunk") {
		kind = 0
	}
	switch kind {
	case 0:
	case 1, 2:
		columns = fmt.Sprintf(" tag=%d", b.vlan("tag"))
	case 3:
		columns = " trunks=" + b.vlanList()
	case 4:
		mode := rapid.SampledFrom([]string{"native-tagged", "native-untagged"}).Draw(b.t, "mode")
		columns = fmt.Sprintf(" tag=%d vlan_mode=%s", b.vlan("native"), mode)
		if b.bool("trunks too") {
			columns += " trunks=" + b.vlanList()
		}
	case 5:
		columns = fmt.Sprintf(" tag=%d trunks=%s", b.vlan("tag"), b.vlanList())
	}
	return columns
}

func (b *builder) vlanList() string {
	list := rapid.SliceOfNDistinct(rapid.SampledFrom([]int{1, 10, 20, 30, 40}), 1, 3, rapid.ID[int]).Draw(b.t, "VLANs")
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]")
}

// filter gives a port of a bridge that filters its VLANs.
func (b *builder) filter(f *fabric, link string, trunk bool) {
	if !f.filters {
		return
	}
	self := ""
	if link == f.name {
		self = " self"
	}
	if f.pvid != 0 && b.bool("no default VLAN on "+link) {
		b.do("bridge vlan del vid %d dev %s%s", f.pvid, link, self)
	}
	most := 1
	if trunk {
		most = 3
	}
	for range rapid.IntRange(0, most).Draw(b.t, "VLANs of "+link) {
		flags := ""
		if !trunk || b.odd(4, "pvid") {
			flags += " pvid"
		}
		if (!trunk && !b.odd(5, "tagged towards the guest")) || (trunk && b.odd(4, "untagged")) {
			flags += " untagged"
		}
		if trunk && b.odd(6, "range") {
			b.do("bridge vlan add vid 10-30 dev %s%s", link, self)
		} else {
			b.do("bridge vlan add vid %d%s dev %s%s", b.vlan("VLAN"), flags, link, self)
		}
	}
}

// chain joins two switches.
func (b *builder) chain(x, y *fabric) {
	b.chains++
	a, z := fmt.Sprintf("va%d", b.chains), fmt.Sprintf("vz%d", b.chains)
	switch kind := rapid.IntRange(0, 3).Draw(b.t, "chain"); {
	case kind == 0:
	case x.ovs && y.ovs:
		b.do("ovs-vsctl add-port %s %s%s -- set interface %s type=patch options:peer=%s", x.name, a, b.ovsPort(true), a, z)
		b.do("ovs-vsctl add-port %s %s%s -- set interface %s type=patch options:peer=%s", y.name, z, b.ovsPort(true), z, a)
	case kind == 1 && !x.ovs:
		if link := b.addVLANLink(x.name); link != "" {
			b.filter(x, x.name, true)
			b.addPort(y, link)
		}
	default:
		b.do("ip link add %s type veth peer name %s", a, z)
		b.link(a)
		b.link(z)
		b.addPort(x, a)
		b.addPort(y, z)
	}
}

func (b *builder) addTap() {
	name := fmt.Sprintf("vnet%d", len(b.nics))
	b.nics = append(b.nics, name)
	b.do("ip tuntap add %s mode tap", name)
	b.link(name)
	f := b.oneSwitch("switch of " + name)
	if f.ovs {
		b.do("ovs-vsctl add-port %s %s%s", f.name, name, b.ovsPort(false))
		return
	}
	b.do("ip link set %s master %s", name, f.name)
	b.filter(f, name, b.odd(3, "guest's trunk"))
}

// addMacvtaps puts some on links that are no port of anything.
func (b *builder) addMacvtaps() {
	for i, parent := range b.free {
		if b.bool("macvtap on " + parent) {
			name := fmt.Sprintf("macvtap%d", i)
			b.nics = append(b.nics, name)
			b.do("ip link add %s link %s type macvtap mode bridge", name, parent)
			b.link(name)
		}
	}
}
