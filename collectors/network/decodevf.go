package network

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// maxVFs is as many virtual functions as PCI Express knows (TotalVFs is 16 bits
// wide, a bus has room for fewer). Adapters have up to some hundreds.
const maxVFs = 1 << 16

// decodeVFs reads IFLA_VFINFO_LIST: what a physical function says of its
// virtual ones, each of whose attributes begins with the function's index.
func decodeVFs(b []byte) (vfs []inventory.VirtualFunction, err error) {
	err = attributes(b, func(kind uint16, v []byte) error {
		if kind != unix.IFLA_VF_INFO {
			return nil
		}
		vf := inventory.VirtualFunction{Index: -1}
		if err := attributes(v, func(kind uint16, v []byte) error { return decodeVF(&vf, kind, v) }); err != nil {
			return fmt.Errorf("virtual function: %w", err)
		}
		if vf.Index < 0 || vf.Index >= maxVFs {
			return fmt.Errorf("virtual function: index %d is none", vf.Index)
		}
		vfs = append(vfs, vf)
		return nil
	})
	return vfs, err
}

// decodeVF reads one attribute of a virtual function: a struct ifla_vf_… of
// linux/if_link.h, index first.
func decodeVF(vf *inventory.VirtualFunction, kind uint16, v []byte) (err error) {
	if kind == unix.IFLA_VF_VLAN_LIST {
		return attributes(v, func(kind uint16, v []byte) error {
			if kind == unix.IFLA_VF_VLAN_INFO {
				return decodeVFVLAN(vf, v)
			}
			return nil
		})
	}
	var value []byte
	switch kind {
	case unix.IFLA_VF_MAC, unix.IFLA_VF_VLAN, unix.IFLA_VF_LINK_STATE, unix.IFLA_VF_SPOOFCHK, unix.IFLA_VF_TRUST:
		if len(v) < 8 {
			return errShort
		}
		vf.Index, value = int(int32(binary.NativeEndian.Uint32(v))), v[4:]
	}
	switch kind {
	case unix.IFLA_VF_MAC: // MAX_ADDR_LEN wide, whatever the adapter
		if len(value) < 6 {
			return errShort
		}
		vf.MAC = inventory.MAC(value[:6])
	case unix.IFLA_VF_VLAN: // before Linux 4.10 all there is
		vf.VLAN, err = vfVLAN(value)
	case unix.IFLA_VF_LINK_STATE:
		vf.LinkState, err = word32(value, vfLinkStates)
	case unix.IFLA_VF_SPOOFCHK:
		vf.SpoofCheck = vfSetting(value)
	case unix.IFLA_VF_TRUST:
		vf.Trust = vfSetting(value)
	}
	return err
}

// decodeVFVLAN reads a struct ifla_vf_vlan_info. There is one at most
// (MAX_VLAN_LIST_LEN).
func decodeVFVLAN(vf *inventory.VirtualFunction, v []byte) (err error) {
	const protocolAt = 12
	if len(v) < protocolAt+2 {
		return errShort
	}
	if vf.VLAN, err = vfVLAN(v[4:]); err == nil && vf.VLAN != nil {
		vf.Protocol, err = tagProtocol(v[protocolAt:])
	}
	return err
}

// vfVLAN reads a VLAN ID, of which 0 means none.
func vfVLAN(v []byte) (*inventory.VLAN, error) {
	n := binary.NativeEndian.Uint32(v)
	switch id := inventory.VLAN(n); {
	case n == 0:
		return nil, nil
	case n > 0xffff || !id.Valid():
		return nil, fmt.Errorf("%d is not a VLAN ID", n)
	default:
		return &id, nil
	}
}

// vfSetting reads a switch, which is all ones where the driver doesn't have it
// (net/core/rtnetlink.c, rtnl_fill_vfinfo).
func vfSetting(v []byte) *bool {
	n := binary.NativeEndian.Uint32(v)
	if n == 1<<32-1 {
		return nil
	}
	on := n != 0
	return &on
}

// vfLinkStates are ip(8)'s words for IFLA_VF_LINK_STATE_….
var vfLinkStates = []string{"auto", "enable", "disable"}
