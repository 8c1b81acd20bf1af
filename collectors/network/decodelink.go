package network

import (
	"cmp"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// rawLink is a link as its message has it: other links are indexes.
type rawLink struct {
	inventory.Link
	index, master, parent, active int
	kernelName                    string // as the kernel has it, whose bytes may be no text
	hardware                      uint16 // ARPHRD_…, linux/if_arp.h
	foreign                       bool   // parent is an index in another network namespace
	physical                      string // the device of its physical function, where it is a virtual one
}

// linkName reads the name alone from an RTM_NEWLINK payload.
func linkName(b []byte) (name string) {
	if len(b) >= unix.SizeofIfInfomsg {
		_ = attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, v []byte) error {
			if kind == unix.IFLA_IFNAME {
				name = cmp.Or(name, collectors.Legible(text(v)))
			}
			if name != "" {
				return errFound
			}
			return nil
		})
	}
	return name
}

// decodeLink reads an RTM_NEWLINK payload. Beside an error stands what was read
// before it.
func decodeLink(b []byte) (rawLink, error) {
	if len(b) < unix.SizeofIfInfomsg {
		return rawLink{}, fmt.Errorf("decode link: %w", errShort)
	}
	l := rawLink{hardware: binary.NativeEndian.Uint16(b[2:]), index: int(int32(binary.NativeEndian.Uint32(b[4:])))}
	up := binary.NativeEndian.Uint32(b[8:])&unix.IFF_UP != 0
	l.Up = &up
	var device, bus string
	err := attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, v []byte) (err error) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.kernelName = cmp.Or(l.kernelName, text(v))
			l.Name = collectors.Legible(l.kernelName)
		case unix.IFLA_ADDRESS:
			l.MAC = mac(v)
		case unix.IFLA_PERM_ADDRESS:
			l.PermanentMAC = mac(v)
		case unix.IFLA_MTU:
			var mtu int
			mtu, err = number(v)
			l.MTU = &mtu
		case unix.IFLA_CARRIER:
			if up { // of one that is down it is what the driver left there
				l.Carrier, err = flag8(v)
			}
		case unix.IFLA_OPERSTATE:
			l.OperState, err = word(v, operStates)
		case unix.IFLA_LINK:
			l.parent, err = number(v)
		case unix.IFLA_LINK_NETNSID:
			l.foreign = true
		case unix.IFLA_MASTER:
			l.master, err = number(v)
		case unix.IFLA_PARENT_DEV_NAME:
			device = text(v)
		case unix.IFLA_PARENT_DEV_BUS_NAME:
			bus = text(v)
		case unix.IFLA_PROP_LIST:
			err = attributes(v, func(kind uint16, v []byte) error {
				if kind == unix.IFLA_ALT_IFNAME {
					l.AltNames = append(l.AltNames, collectors.Legible(text(v)))
				}
				return nil
			})
		case unix.IFLA_LINKINFO:
			err = l.decodeInfo(v)
		case unix.IFLA_VFINFO_LIST:
			l.VFs, err = decodeVFs(v)
		}
		return err
	})
	if device != "" && bus != "" {
		l.Device = bus + ":" + device
	}
	l.nameKind()
	if err != nil {
		err = fmt.Errorf("decode link %q: %w", l.Name, err)
	}
	return l, err
}

// nameKind names what the kernel has no IFLA_INFO_KIND for: real devices,
// loopback, and a few that are neither (such as pimreg).
func (l *rawLink) nameKind() {
	switch {
	case l.Kind != "":
	case l.hardware == unix.ARPHRD_LOOPBACK:
		l.Kind = "loopback"
	case l.Device != "" || l.hardware == unix.ARPHRD_ETHER || l.hardware == unix.ARPHRD_INFINIBAND:
		l.Kind = kindPhysical
	default:
		l.Kind = "other"
	}
}

const (
	kindPhysical = "physical"
	kindOVS      = "openvswitch" // the kernel's datapath, ovs-system
)

// operStates are net/core/net-sysfs.c's words for IF_OPER_… (RFC 2863 ifOperStatus).
var operStates = []string{"unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"}
