package network

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// A frame of LLDP (IEEE 802.1AB): an Ethernet header, then elements of a type, a
// length and a value (TLV), of which the first three are the station, its port
// and how long the frame holds.

// Types of elements (IEEE 802.1AB table 8-1).
const (
	lldpEnd             = 0
	lldpChassisID       = 1
	lldpPortID          = 2
	lldpPortDescription = 4
	lldpSystemName      = 5
	lldpOrganization    = 127
)

// lldp8021 begins the elements that IEEE 802.1 defines; port VLAN ID and VLAN
// name are two of them (IEEE 802.1Q annex D).
const (
	lldp8021     = "\x00\x80\xc2"
	lldpPortVLAN = 1
	lldpVLANName = 3
)

const ethernetHeader = 14

// decodeLLDP reads a frame.
func decodeLLDP(frame []byte) (inventory.Neighbour, error) {
	var n inventory.Neighbour
	if len(frame) < ethernetHeader || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_LLDP {
		return n, errors.New("decode LLDP: not such a frame")
	}
	err := lldpElements(frame[ethernetHeader:], func(kind int, v []byte) error { return decodeElement(&n, kind, v) })
	if err == nil && (n.ChassisID == "" || n.PortID == "") {
		err = errors.New("it doesn't say whose port it is from")
	}
	if err != nil {
		return n, fmt.Errorf("decode LLDP: %w", err)
	}
	return n, nil
}

// lldpElements calls f with each element up to the one that ends the list.
// Behind that one is padding, and the end may be missing.
func lldpElements(b []byte, f func(kind int, v []byte) error) error {
	for len(b) > 0 {
		if len(b) < 2 {
			return errShort
		}
		head := binary.BigEndian.Uint16(b)
		kind, size := int(head>>9), int(head&0x1ff)
		if kind == lldpEnd {
			return nil
		}
		if b = b[2:]; size > len(b) {
			return fmt.Errorf("element of %d bytes where %d are left: %w", size, len(b), errShort)
		}
		if err := f(kind, b[:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func decodeElement(n *inventory.Neighbour, kind int, v []byte) (err error) {
	switch kind {
	case lldpChassisID:
		if len(v) < 2 {
			return errShort
		}
		n.ChassisID, err = stationName(chassisForms[v[0]], v[1:])
	case lldpPortID:
		if len(v) < 2 {
			return errShort
		}
		n.PortID, err = stationName(portForms[v[0]], v[1:])
	case lldpPortDescription:
		n.PortDescription = printable(v)
	case lldpSystemName:
		n.SystemName = printable(v)
	case lldpOrganization:
		if len(v) < 6 || string(v[:3]) != lldp8021 || v[3] != lldpPortVLAN && v[3] != lldpVLANName {
			return nil
		}
		addVLAN(n, binary.BigEndian.Uint16(v[4:]))
	}
	return err
}

// addVLAN adds a VLAN that the station names. A port without one says 0.
func addVLAN(n *inventory.Neighbour, id uint16) {
	if v := inventory.VLAN(id); v.Valid() && !slices.Contains(n.VLANs, v) {
		n.VLANs = append(n.VLANs, v)
	}
}

// How a chassis or a port is named (IEEE 802.1AB tables 8-2 and 8-3).
type nameForm int

const (
	nameIsText nameForm = iota // a component, a local name … : whatever the station likes
	nameIsMAC
	nameIsAddress
)

// chassisForms and portForms are the forms by subtype, where they aren't text.
var (
	chassisForms = map[byte]nameForm{4: nameIsMAC, 5: nameIsAddress}
	portForms    = map[byte]nameForm{3: nameIsMAC, 4: nameIsAddress}
)

func stationName(form nameForm, v []byte) (string, error) {
	switch form {
	case nameIsMAC:
		if len(v) != 6 {
			return "", fmt.Errorf("%d bytes are no MAC address", len(v))
		}
		return net.HardwareAddr(v).String(), nil
	case nameIsAddress: // after its family, as IANA numbers them
		const familyIPv4, familyIPv6 = 1, 2
		ip, ok := netip.AddrFromSlice(v[min(1, len(v)):])
		if ok && (v[0] == familyIPv4 && ip.Is4() || v[0] == familyIPv6 && ip.Is6()) {
			return ip.String(), nil
		}
		return hex.EncodeToString(v), nil
	}
	if text := printable(v); text != "" {
		return text, nil
	}
	return hex.EncodeToString(v), nil
}

// printable reads a text that a station sent, without a NUL that some end it
// with; "" where it isn't text. What is shown to people holds no control
// characters, whoever is on the wire.
func printable(v []byte) string {
	text := strings.TrimSpace(strings.TrimRight(string(v), "\x00"))
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return text
}
