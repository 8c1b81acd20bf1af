package libvirt

import (
	"cmp"
	"fmt"
	"slices"

	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/inventory"
)

// interfaceDoc is what we read of an interface. It isn't libvirtxml's whole one,
// which refuses types that it doesn't know, and which loses the network's name
// of a running VM's NIC: libvirt then writes type='bridge' beside it.
type interfaceDoc struct {
	Type   string `xml:"type,attr"`
	Source struct {
		Bridge    string `xml:"bridge,attr"`
		Network   string `xml:"network,attr"`
		PortGroup string `xml:"portgroup,attr"`
	} `xml:"source"`
	MAC         *libvirtxml.DomainInterfaceMAC         `xml:"mac"`
	Model       *libvirtxml.DomainInterfaceModel       `xml:"model"`
	MTU         *libvirtxml.DomainInterfaceMTU         `xml:"mtu"`
	Target      *libvirtxml.DomainInterfaceTarget      `xml:"target"`
	Link        *libvirtxml.DomainInterfaceLink        `xml:"link"`
	VLAN        *libvirtxml.DomainInterfaceVLan        `xml:"vlan"`
	VirtualPort *libvirtxml.DomainInterfaceVirtualPort `xml:"virtualport"`
	Address     *libvirtxml.DomainAddress              `xml:"address"`
	Boot        *libvirtxml.DomainDeviceBoot           `xml:"boot"`
}

// controllerDoc is what we read of a controller: libvirtxml's whole one costs as
// much as all NICs and disks.
type controllerDoc struct {
	Type    string                    `xml:"type,attr"`
	Index   *uint                     `xml:"index,attr"`
	Address *libvirtxml.DomainAddress `xml:"address"`
}

// readNICs reads the NICs in the order in which the guest finds them.
//
// libvirt keeps them in the order in which they were added, which is not that:
// a guest walks its PCI buses depth first, and an e1000 behind a bridge on the
// first root port comes before a virtio NIC on the second. So they are sorted by
// the path of PCI addresses that leads to them. Where one has no PCI address
// (other buses, drivers without addresses) XML order is all there is.
func readNICs(doc *domainDoc, active bool, f *faults) []inventory.NIC {
	type placed struct {
		nic  inventory.NIC
		path []uint
	}
	buses := pciBuses(doc.Devices.Controllers)
	all := make([]placed, 0, len(doc.Devices.Interfaces))
	sortable := true
	for i := range doc.Devices.Interfaces {
		iface := &doc.Devices.Interfaces[i]
		path := pciPath(iface.Address, buses)
		sortable = sortable && path != nil
		where := fmt.Sprintf("devices/interface[%d]/", i+1)
		all = append(all, placed{readNIC(iface, active, where, f), path})
	}
	if sortable {
		slices.SortStableFunc(all, func(x, y placed) int { return slices.Compare(x.path, y.path) })
	}
	var nics []inventory.NIC
	for _, p := range all {
		nics = append(nics, p.nic)
	}
	return nics
}

// pciBuses gives the address of the controller that each PCI bus hangs off.
// libvirt numbers buses by their controller's index, the guest by its walk.
func pciBuses(controllers []controllerDoc) map[uint]*libvirtxml.DomainAddress {
	buses := map[uint]*libvirtxml.DomainAddress{}
	for _, c := range controllers {
		if c.Type == "pci" && c.Index != nil {
			buses[*c.Index] = c.Address
		}
	}
	return buses
}

// pciPath is the list of domain, then slot and function of each bridge on the
// way down and of the device itself; nil where the device is not on PCI.
func pciPath(address *libvirtxml.DomainAddress, buses map[uint]*libvirtxml.DomainAddress) []uint {
	var path []uint
	for range 64 { // deeper than any tree that a guest could walk; ends loops
		if address == nil || address.PCI == nil {
			break
		}
		a := address.PCI
		path = append(path, number(a.Function), number(a.Slot))
		parent := buses[number(a.Bus)]
		if parent == nil {
			path = append(path, number(a.Bus), number(a.Domain))
			break
		}
		address = parent
	}
	slices.Reverse(path)
	return path
}

func number(p *uint) uint {
	if p == nil {
		return 0
	}
	return *p
}

func readNIC(iface *interfaceDoc, active bool, where string, f *faults) inventory.NIC {
	up := iface.Link == nil || iface.Link.State != "down" // absent means up
	nic := inventory.NIC{LinkUp: &up, Address: deviceAddress(iface.Address)}
	if iface.MAC != nil {
		mac, err := inventory.ParseMAC(iface.MAC.Address)
		if err != nil {
			f.add("nic.mac", where+"mac/@address", err)
		}
		nic.MAC = mac
	}
	if iface.Model != nil {
		nic.Model = inventory.CanonicalNICModel(iface.Model.Type)
	}
	if iface.MTU != nil {
		mtu := int(iface.MTU.Size)
		nic.MTU = &mtu
	}
	if active && iface.Target != nil { // the inactive XML has a wish at most
		nic.Link = iface.Target.Dev
	}
	readAttachment(&nic, iface)
	readVLAN(&nic, iface.VLAN, where, f)
	return nic
}

// readAttachment reads how the NIC meets the host: libvirt's type of interface,
// but for "ovs", which to libvirt is a bridge with a virtual port. A NIC of a
// libvirt network stays "network" when the live XML says which bridge that led
// to, so that it doesn't change with the VM's state.
func readAttachment(nic *inventory.NIC, iface *interfaceDoc) {
	onOVS := false
	if iface.VirtualPort != nil && iface.VirtualPort.Params != nil {
		switch params := iface.VirtualPort.Params; {
		case params.OpenVSwitch != nil:
			onOVS, nic.PortID = true, params.OpenVSwitch.InterfaceID
		case params.MidoNet != nil:
			nic.PortID = params.MidoNet.InterfaceID
		case params.Any != nil:
			nic.PortID = params.Any.InterfaceID
		}
	}
	nic.Attachment, nic.Bridge, nic.Network = iface.Type, iface.Source.Bridge, iface.Source.Network
	switch {
	case nic.Network != "":
		nic.Attachment = "network"
		if iface.Source.PortGroup != "" {
			nic.Network += "/" + iface.Source.PortGroup
		}
	case iface.Type == "bridge" && onOVS:
		nic.Attachment = "ovs"
	}
}

// readVLAN reads <vlan>. One tag is an access VLAN. More tags, trunk='yes' or a
// nativeMode make a trunk: VLAN is then the native one, and Trunks lists all.
func readVLAN(nic *inventory.NIC, vlan *libvirtxml.DomainInterfaceVLan, where string, f *faults) {
	if vlan == nil || len(vlan.Tags) == 0 {
		return
	}
	trunk := vlan.Trunk == "yes" || len(vlan.Tags) > 1
	var ids []inventory.VLAN
	for _, tag := range vlan.Tags {
		if tag.ID > 4094 {
			f.add("nic.vlan", where+"vlan/tag", fmt.Errorf("%d is not a VLAN ID", tag.ID))
			return
		}
		id := inventory.VLAN(tag.ID)
		ids = append(ids, id)
		if tag.NativeMode != "" {
			trunk = true
			nic.VLAN = &id
		}
	}
	if !trunk {
		nic.VLAN = &ids[0]
		return
	}
	slices.SortFunc(ids, cmp.Compare[inventory.VLAN])
	nic.Trunks = slices.Compact(ids)
}

// deviceAddress writes a device's address as libvirt has it. A PCI bus is
// libvirt's controller index, which is stable, and not the guest's number.
func deviceAddress(a *libvirtxml.DomainAddress) string {
	switch {
	case a == nil:
	case a.PCI != nil:
		return fmt.Sprintf("pci:%04x:%02x:%02x.%x", number(a.PCI.Domain), number(a.PCI.Bus), number(a.PCI.Slot), number(a.PCI.Function))
	case a.CCW != nil:
		return fmt.Sprintf("ccw:%x.%x.%04x", number(a.CCW.CSSID), number(a.CCW.SSID), number(a.CCW.DevNo))
	case a.USB != nil:
		return fmt.Sprintf("usb:%d:%s", number(a.USB.Bus), a.USB.Port)
	}
	return ""
}
