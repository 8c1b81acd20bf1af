package incus

import (
	"cmp"
	"strconv"

	"github.com/dataverket/avstem/inventory"
)

// attachments are our words for nictype.
var attachments = map[string]string{
	"bridged": "bridge", "macvlan": "direct", "ipvlan": "direct", "p2p": "ethernet", "routed": "ethernet",
	"sriov": "hostdev", "physical": "hostdev", "ovn": "ovs",
}

// nictypes are what a NIC of a managed network is by the network's type.
var nictypes = map[string]string{
	"bridge": "bridged", "macvlan": "macvlan", "sriov": "sriov", "physical": "bridged", "ovn": "ovn",
}

// readNICs reads the NICs. Their devices lead: the keys of a NIC that was removed
// stay in the configuration.
func (r *reading) readNICs() {
	for _, d := range r.source.devices("nic") {
		nic := inventory.NIC{Network: d.device["network"], Attachment: attachment(d.device["nictype"])}
		if r.source.isVM() && nic.Attachment != "hostdev" {
			nic.Model = "virtio" // the only one that the daemon makes
		}
		r.readAddresses(&nic, d)
		r.readVLANs(&nic, d)
		if nic.Attachment == "bridge" {
			nic.Bridge = d.device["parent"]
		}
		r.vm.NICs = append(r.vm.NICs, nic)
	}
}

func attachment(nictype string) string { return cmp.Or(attachments[nictype], nictype) }

// readAddresses reads what tells the NIC from others, here and in the guest. Its
// volatile keys go by the device's name.
func (r *reading) readAddresses(nic *inventory.NIC, d namedDevice) {
	volatile := func(key string) string { return r.source.ExpandedConfig["volatile."+d.name+"."+key] }
	if text := cmp.Or(d.device["hwaddr"], volatile("hwaddr")); text != "" {
		mac, err := inventory.ParseMAC(text)
		if err != nil {
			r.fault("nic.mac", d.name+" hwaddr", err)
		}
		nic.MAC = mac
	}
	if r.vm.State.Active() { // a stopped one's is left over where the daemon died
		nic.Link = volatile("host_name")
	}
	if slot := volatile("last_state.pci.slot.name"); slot != "" && nic.Attachment == "hostdev" {
		nic.Address = "pci:" + slot
	}
	if text := d.device["mtu"]; text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			r.fault("nic.mtu", d.name+" mtu", err)
		} else {
			mtu := int(n)
			nic.MTU = &mtu
		}
	}
	if connected := d.device["connected"]; connected != "" {
		up := isTrue(connected)
		nic.LinkUp = &up
	}
}

func (r *reading) readVLANs(nic *inventory.NIC, d namedDevice) {
	var err error
	if nic.VLAN, err = parseVLAN(d.device["vlan"]); err != nil {
		r.fault("nic.vlan", d.name+" vlan", err)
	}
	if nic.Trunks, err = parseTagged(d.device["vlan.tagged"]); err != nil {
		r.fault("nic.trunks", d.name+" vlan.tagged", err)
	}
}

// onNetwork fills in what a managed network decides for a NIC.
func (r *reading) onNetwork(nic *inventory.NIC, n *network) {
	nic.Attachment = cmp.Or(attachment(nictypes[n.Type]), n.Type)
	switch n.Type {
	case "bridge":
		nic.Bridge = nic.Network // the daemon makes a bridge of the network's name
	case "physical":
		nic.Bridge = n.Config["parent"]
	}
	if nic.VLAN == nil {
		var err error
		if nic.VLAN, err = parseVLAN(n.Config["vlan"]); err != nil {
			r.fault("nic.vlan", nic.Network+" vlan", err)
		}
	}
}
