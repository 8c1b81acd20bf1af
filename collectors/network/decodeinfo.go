package network

import (
	"fmt"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// What IFLA_LINKINFO says of a link: its kind, what is particular to that kind,
// and what is particular to a port of its master.

// decodeInfo reads IFLA_LINKINFO, whose data mean what the kinds beside them say.
func (l *rawLink) decodeInfo(b []byte) error {
	var data, portData []byte
	var master string
	err := attributes(b, func(kind uint16, v []byte) error {
		switch kind {
		case unix.IFLA_INFO_KIND:
			l.Kind = text(v)
		case unix.IFLA_INFO_DATA:
			data = v
		case unix.IFLA_INFO_SLAVE_KIND:
			master = text(v)
		case unix.IFLA_INFO_SLAVE_DATA:
			portData = v
		}
		return nil
	})
	if err != nil {
		return err
	}
	if decode := l.decoderOf(l.Kind); decode != nil {
		if err := attributes(data, decode); err != nil {
			return err
		}
	}
	if decode := l.portDecoderOf(master); decode != nil {
		return attributes(portData, decode)
	}
	return nil
}

// decoder reads one attribute.
type decoder func(kind uint16, value []byte) error

// decoderOf gives what reads IFLA_INFO_DATA of a kind of link; nil where nothing
// in it is wanted.
func (l *rawLink) decoderOf(kind string) decoder {
	switch kind {
	case "vlan":
		return l.decodeVLAN
	case "bond":
		return l.decodeBond
	case "bridge":
		return l.decodeBridge
	case "vxlan":
		return l.decodeVXLAN
	case "macvlan", "macvtap":
		return l.decodeMacvlan
	}
	return nil
}

// portDecoderOf gives what reads IFLA_INFO_SLAVE_DATA of a port of a kind of
// master.
func (l *rawLink) portDecoderOf(master string) decoder {
	switch master {
	case "bond":
		return l.decodeBondMember
	case "bridge":
		return l.decodeBridgePort
	}
	return nil
}

func (l *rawLink) decodeVLAN(kind uint16, v []byte) (err error) {
	switch kind {
	case unix.IFLA_VLAN_ID:
		l.VLAN, err = vlan(v)
	case unix.IFLA_VLAN_PROTOCOL:
		l.Protocol, err = tagProtocol(v)
	}
	return err
}

func (l *rawLink) decodeBond(kind uint16, v []byte) (err error) {
	switch kind {
	case unix.IFLA_BOND_MODE:
		l.BondMode, err = word(v, bondModes)
	case unix.IFLA_BOND_ACTIVE_SLAVE:
		l.active, err = number(v)
	}
	return err
}

func (l *rawLink) decodeBondMember(kind uint16, v []byte) (err error) {
	if kind == unix.IFLA_BOND_SLAVE_STATE {
		l.BondState, err = word(v, bondStates)
	}
	return err
}

func (l *rawLink) decodeBridge(kind uint16, v []byte) (err error) {
	switch kind {
	case unix.IFLA_BR_VLAN_FILTERING:
		l.VLANFiltering, err = flag8(v)
	case unix.IFLA_BR_VLAN_PROTOCOL:
		var protocol string
		if protocol, err = tagProtocol(v); protocol != "802.1q" { // which nearly all have
			l.Protocol = protocol
		}
	case unix.IFLA_BR_STP_STATE:
		l.STP, err = flag32(v)
	}
	return err
}

func (l *rawLink) decodeBridgePort(kind uint16, v []byte) (err error) {
	if kind == unix.IFLA_BRPORT_STATE {
		l.PortState, err = word(v, portStates)
	}
	return err
}

// decodeVXLAN reads a tunnel's identifier and ends. One in external mode
// (IFLA_VXLAN_COLLECT_METADATA) has an identifier for each frame and says 0.
func (l *rawLink) decodeVXLAN(kind uint16, v []byte) (err error) {
	switch kind {
	case unix.IFLA_VXLAN_ID:
		var vni int
		if vni, err = number(v); err == nil && vni != 0 {
			l.VNI = &vni
		}
	case unix.IFLA_VXLAN_LINK:
		l.parent, err = number(v)
	case unix.IFLA_VXLAN_GROUP, unix.IFLA_VXLAN_GROUP6:
		l.Remote, err = endpoint(v)
	case unix.IFLA_VXLAN_LOCAL, unix.IFLA_VXLAN_LOCAL6:
		l.Local, err = endpoint(v)
	}
	return err
}

// endpoint reads an IP address; "" for the one that means any.
func endpoint(v []byte) (string, error) {
	ip, ok := netip.AddrFromSlice(v)
	switch {
	case !ok:
		return "", fmt.Errorf("%d bytes are no IP address", len(v))
	case ip.IsUnspecified():
		return "", nil
	}
	return ip.String(), nil
}

func (l *rawLink) decodeMacvlan(kind uint16, v []byte) error {
	if kind != unix.IFLA_MACVLAN_MODE {
		return nil
	}
	mode, err := number(v)
	if err != nil {
		return err
	}
	if l.Mode = macvlanModes[mode]; l.Mode == "" {
		l.Mode = strconv.Itoa(mode)
	}
	return nil
}

// bondModes are the kernel's words for BOND_MODE_…, bondStates ip(8)'s for
// BOND_STATE_… (linux/if_bonding.h).
var (
	bondModes  = []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}
	bondStates = []string{"active", "backup"}
)

// portStates are bridge(8)'s words for BR_STATE_… (linux/if_bridge.h).
var portStates = []string{"disabled", "listening", "learning", "forwarding", "blocking"}

// macvlanModes are ip(8)'s words for MACVLAN_MODE_… (linux/if_link.h), bits of
// which a link has one.
var macvlanModes = map[int]string{1: "private", 2: "vepa", 4: "bridge", 8: "passthru", 16: "source"}
