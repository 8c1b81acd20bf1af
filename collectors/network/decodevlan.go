package network

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// Of linux/if_bridge.h, which x/sys/unix lacks: the attribute in IFLA_AF_SPEC
// and the flags of its struct bridge_vlan_info.
const (
	bridgeVLANInfo  = 2 // IFLA_BRIDGE_VLAN_INFO
	vlanIsPVID      = 1 << 1
	vlanIsUntagged  = 1 << 2
	vlanBeginsRange = 1 << 3
	vlanEndsRange   = 1 << 4
	maxPortVLANs    = 4094
)

// decodePortVLANs reads what an AF_BRIDGE link message says of a port's VLANs.
// IDs in a row that the port treats alike are one range, whether the kernel
// listed them so or one by one.
func decodePortVLANs(b []byte) (index int, vlans []inventory.PortVLAN, err error) {
	if len(b) < unix.SizeofIfInfomsg {
		return 0, nil, fmt.Errorf("decode port VLANs: %w", errShort)
	}
	index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	err = attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, v []byte) (err error) {
		if kind == unix.IFLA_AF_SPEC {
			vlans, err = readVLANs(v)
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("decode port VLANs of link %d: %w", index, err)
	}
	return index, vlans, err
}

// readVLANs reads the VLANs in an IFLA_AF_SPEC of a bridge. Two entries that
// differ in nothing but their ID may stand for all IDs between them.
func readVLANs(b []byte) (vlans []inventory.PortVLAN, err error) {
	var begin *inventory.VLAN
	err = attributes(b, func(kind uint16, v []byte) error {
		if kind != bridgeVLANInfo {
			return nil
		}
		if len(v) < 4 {
			return errShort
		}
		flags := binary.NativeEndian.Uint16(v)
		id, err := vlan(v[2:])
		if err != nil {
			return err
		}
		if flags&vlanBeginsRange != 0 {
			begin = id
			return nil
		}
		first := *id
		if flags&vlanEndsRange != 0 {
			if begin == nil {
				return fmt.Errorf("range that ends at VLAN %d begins nowhere", *id)
			}
			first, begin = *begin, nil
		}
		if first > *id {
			return fmt.Errorf("range from VLAN %d to %d runs backwards", first, *id)
		}
		entry := inventory.PortVLAN{ID: first, PVID: flags&vlanIsPVID != 0, Untagged: flags&vlanIsUntagged != 0}
		if *id > first {
			entry.Last = *id
		}
		vlans = extend(vlans, entry)
		if len(vlans) > maxPortVLANs {
			return fmt.Errorf("more than %d VLANs", maxPortVLANs)
		}
		return nil
	})
	return vlans, err
}

// extend adds an entry, or lengthens the range before it.
func extend(vlans []inventory.PortVLAN, next inventory.PortVLAN) []inventory.PortVLAN {
	if len(vlans) > 0 {
		before := &vlans[len(vlans)-1]
		if max(before.ID, before.Last)+1 == next.ID && before.PVID == next.PVID && before.Untagged == next.Untagged {
			before.Last = max(next.ID, next.Last)
			return vlans
		}
	}
	return append(vlans, next)
}
