package qemu

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// nic is a NIC with what it hangs on.
type nic struct {
	inventory.NIC
	netdev string   // its name
	tap    bool     // it needs a link of the host
	fds    []string // the descriptors that its tap was passed as
}

// nics lists the NICs that the VM was started with, in guest order.
func (inv *invocation) nics(f *faults) []nic {
	var all []placed[nic]
	for _, p := range inv.onboard {
		n := nic{netdev: p["netdev"]}
		n.Model = inventory.CanonicalNICModel(p["model"])
		n.MAC = readMAC(firstOf(p["mac"], p["macaddr"]), f)
		switch {
		case p["type"] != "nic": // -nic: what it hangs on is said with it
			n.attach(p)
		case n.netdev != "":
			n.attach(inv.netdev(n.netdev))
		case len(inv.hub()) == 1:
			n.attach(inv.hub()[0])
		}
		all = append(all, placed[nic]{device: n})
	}
	for _, p := range inv.devices {
		if !isNIC(p["driver"]) {
			continue
		}
		n := nic{netdev: p["netdev"]}
		n.Model = inventory.CanonicalNICModel(p["driver"])
		n.MAC = readMAC(p["mac"], f)
		n.attach(inv.netdev(n.netdev))
		at, known := parsePlace(p)
		if known {
			n.Address = at.address()
		}
		all = append(all, placed[nic]{n, at, known})
	}
	if !inv.nets && !inv.nodefaults && inv.elsewhere() == "" {
		all = append(all, placed[nic]{device: nic{NIC: inventory.NIC{Attachment: "user"}}}) // what QEMU adds unasked
	}
	return inGuestOrder(all, inv.bridges())
}

// netdev is the host's side by its name.
func (inv *invocation) netdev(id string) params {
	for _, p := range inv.netdevs {
		if id != "" && p["id"] == id {
			return p
		}
	}
	return nil
}

// hub are the host's sides of -net, which NICs of -net share.
func (inv *invocation) hub() []params {
	var all []params
	for _, p := range inv.netdevs {
		if p["id"] == "" {
			all = append(all, p)
		}
	}
	return all
}

// bridges are the devices that carry a PCI bus, which is called by their ID.
func (inv *invocation) bridges() bridges {
	b := bridges{}
	for _, p := range inv.devices {
		if at, known := parsePlace(p); known && p["id"] != "" && (strings.Contains(p["driver"], "root-port") || strings.Contains(p["driver"], "bridge")) {
			b[p["id"]] = at
		}
	}
	return b
}

// attach reads how a NIC meets the host. QEMU opens a tap, by name or as a
// descriptor; on which bridge that is, is the host's to tell.
func (n *nic) attach(netdev params) {
	switch kind := netdev["type"]; kind {
	case "":
	case "tap":
		n.Attachment, n.tap = "ethernet", true
		n.Link = netdev["ifname"]
		n.fds = strings.FieldsFunc(netdev["fd"]+":"+netdev["fds"], func(r rune) bool { return r == ':' })
	case "bridge":
		n.Attachment, n.tap = "bridge", true
		n.Bridge = firstOf(netdev["br"], "br0") // QEMU's default
	case "vhost-user":
		n.Attachment = "vhostuser"
	default:
		n.Attachment = kind
	}
}

// errDefaultMAC is why a NIC has no MAC.
var errDefaultMAC = errors.New("no MAC was given: QEMU gives 52:54:00:12:34:56 and on, the same in every VM")

func readMAC(text string, f *faults) inventory.MAC {
	if text == "" {
		f.note("nic.mac", errDefaultMAC, "give it a mac= of its own")
		return inventory.MAC{}
	}
	mac, err := inventory.ParseMAC(text)
	if err != nil {
		f.add("nic.mac", fmt.Errorf("read a NIC's MAC: %w", err), "")
	}
	return mac
}
