package network

import "github.com/dataverket/avstem/inventory"

// capabilities says where each field comes from. What netlink and OVSDB have is
// told of by event, what files have is found by the next pass.
var capabilities = []inventory.Capability{
	derived("link.activeMember", "netlink IFLA_BOND_ACTIVE_SLAVE", "the link's index, resolved to its name"),
	direct("link.addresses", "netlink RTM_GETADDR IFA_LOCAL, IFA_ADDRESS", "without link-local and temporary (RFC 8981) addresses"),
	direct("link.altNames", "netlink IFLA_ALT_IFNAME", "of a link that is down the kernel doesn't tell"),
	direct("link.bondMode", "netlink IFLA_BOND_MODE", ""),
	direct("link.bondState", "netlink IFLA_BOND_SLAVE_STATE", ""),
	direct("link.carrier", "netlink IFLA_CARRIER", "links that are up"),
	polled(direct("link.device", "netlink IFLA_PARENT_DEV_NAME, IFLA_PARENT_DEV_BUS_NAME", "before Linux 5.14 from /sys/class/net/NAME/device")),
	polled(direct("link.driver", "/sys/class/net/NAME/device/driver", "physical links")),
	direct("link.kind", "netlink IFLA_INFO_KIND", "physical and loopback are derived from its absence and the hardware type"),
	direct("link.local", "netlink IFLA_VXLAN_LOCAL, IFLA_VXLAN_LOCAL6", "vxlan"),
	direct("link.mac", "netlink IFLA_ADDRESS", "48-bit addresses"),
	derived("link.master", "netlink IFLA_MASTER", "the link's index, resolved to its name; a port of an OVS datapath in user space has none"),
	direct("link.mode", "netlink IFLA_MACVLAN_MODE", "macvlan and macvtap"),
	direct("link.mtu", "netlink IFLA_MTU", ""),
	direct("link.name", "netlink IFLA_IFNAME", ""),
	polled(direct("link.neighbours", lldpFrom, "what systemd-networkd (252) and lldpd (1.0.14 to 1.0.22) heard by LLDP; without either, and by CDP, nothing")),
	direct("link.operState", "netlink IFLA_OPERSTATE", ""),
	derived("link.parent", "netlink IFLA_LINK, IFLA_VXLAN_LINK", "the link's index, resolved to its name; absent where it is in another network namespace"),
	derived("link.peer", "netlink IFLA_LINK", "a veth's other end: its index, resolved to its name; absent where it is in another network namespace"),
	polled(direct("link.permanentMAC", "netlink IFLA_PERM_ADDRESS", "Linux 5.6 and newer")),
	polled(derived("link.physicalFunction", "/sys/class/net/NAME/device/physfn", "the device, resolved to the link that sits on it")),
	direct("link.portState", "netlink IFLA_BRPORT_STATE", "ports of a bridge of the kernel"),
	direct("link.portVLANs", "netlink IFLA_BRIDGE_VLAN_INFO", "bridges that filter VLANs, and their ports"),
	direct("link.protocol", "netlink IFLA_VLAN_PROTOCOL, IFLA_BR_VLAN_PROTOCOL", "of bridges where it is 802.1ad"),
	direct("link.remote", "netlink IFLA_VXLAN_GROUP, IFLA_VXLAN_GROUP6", "vxlan"),
	polled(direct("link.speed", "/sys/class/net/NAME/speed", "physical links that are up")),
	direct("link.stp", "netlink IFLA_BR_STP_STATE", "the kernel's own or a daemon's"),
	direct("link.up", "netlink ifi_flags IFF_UP", ""),
	polled(direct("link.vfs", "netlink IFLA_VFINFO_LIST", "seen with an igb; there RTM_NEWLINK told of changed settings, which no test can show here")),
	direct("link.vlan", "netlink IFLA_VLAN_ID", ""),
	direct("link.vlanFiltering", "netlink IFLA_BR_VLAN_FILTERING", ""),
	direct("link.vni", "netlink IFLA_VXLAN_ID", "vxlan, except in external mode"),
	polled(direct("neighbour.chassisID", lldpFrom, "chassis ID")),
	polled(direct("neighbour.portDescription", lldpFrom, "port description")),
	polled(direct("neighbour.portID", lldpFrom, "port ID")),
	polled(direct("neighbour.systemName", lldpFrom, "system name")),
	polled(direct("neighbour.vlans", lldpFrom, "port VLAN ID, VLAN name (IEEE 802.1)")),
	derived("ovsBridge.controlled", "OVSDB Bridge.controller", "whether it has any"),
	direct("ovsBridge.datapath", "OVSDB Bridge.datapath_type", "empty there means system"),
	direct("ovsBridge.failMode", "OVSDB Bridge.fail_mode", ""),
	direct("ovsBridge.name", "OVSDB Bridge.name", ""),
	direct("ovsBridge.ports", "OVSDB Bridge.ports", ""),
	direct("ovsInterface.externalIDs", "OVSDB Interface.external_ids", ""),
	direct("ovsInterface.linkState", "OVSDB Interface.link_state", ""),
	direct("ovsInterface.mac", "OVSDB Interface.mac_in_use", ""),
	direct("ovsInterface.name", "OVSDB Interface.name", ""),
	direct("ovsInterface.peer", "OVSDB Interface.options peer", "patch interfaces"),
	direct("ovsInterface.remote", "OVSDB Interface.options remote_ip", "tunnels"),
	direct("ovsInterface.type", "OVSDB Interface.type", ""),
	derived("ovsPort.activeMember", "OVSDB Port.bond_active_slave", "a MAC, resolved to the member that has it"),
	direct("ovsPort.bondMode", "OVSDB Port.bond_mode", "ports of several interfaces; empty there means active-backup"),
	direct("ovsPort.interfaces", "OVSDB Port.interfaces", ""),
	direct("ovsPort.mode", "OVSDB Port.vlan_mode", ""),
	direct("ovsPort.name", "OVSDB Port.name", ""),
	direct("ovsPort.tag", "OVSDB Port.tag", "0 is kept apart from no tag: it carries frames without a VLAN"),
	direct("ovsPort.trunks", "OVSDB Port.trunks", ""),
	direct("portVLAN.id", "netlink IFLA_BRIDGE_VLAN_INFO vid", ""),
	direct("portVLAN.last", "netlink BRIDGE_VLAN_INFO_RANGE_END vid", "a range that is treated alike"),
	direct("portVLAN.pvid", "netlink BRIDGE_VLAN_INFO_PVID", ""),
	direct("portVLAN.untagged", "netlink BRIDGE_VLAN_INFO_UNTAGGED", ""),
	polled(direct("virtualFunction.device", "/sys/class/net/NAME/device/virtfnN", "")),
	polled(direct("virtualFunction.index", "netlink IFLA_VF_INFO", "")),
	polled(direct("virtualFunction.linkState", "netlink IFLA_VF_LINK_STATE", "")),
	polled(direct("virtualFunction.mac", "netlink IFLA_VF_MAC", "")),
	polled(direct("virtualFunction.protocol", "netlink IFLA_VF_VLAN_LIST", "Linux 4.10 and newer")),
	polled(direct("virtualFunction.spoofCheck", "netlink IFLA_VF_SPOOFCHK", "where the driver has it")),
	polled(direct("virtualFunction.trust", "netlink IFLA_VF_TRUST", "where the driver has it")),
	polled(direct("virtualFunction.vlan", "netlink IFLA_VF_VLAN_LIST, IFLA_VF_VLAN", "")),
}

const lldpFrom = "/run/systemd/netif/lldp/INDEX, /run/lldpd.socket"

func direct(field inventory.Field, from, note string) inventory.Capability {
	return inventory.Capability{Field: field, From: from, Known: inventory.KnownDirect, Change: inventory.ChangeByEvent, Note: note}
}

func derived(field inventory.Field, from, note string) inventory.Capability {
	c := direct(field, from, note)
	c.Known = inventory.KnownDerived
	return c
}

func polled(c inventory.Capability) inventory.Capability {
	c.Change = inventory.ChangeByPoll
	return c
}

// Capabilities says where each field comes from.
func (c *Collector) Capabilities() []inventory.Capability { return capabilities }
