package inventory

import "github.com/google/uuid"

// Host is a hypervisor host as it describes itself: what it is (the evidence
// that an identity rests on) and what it has. It never names VMs.
type Host struct {
	// Hostname is the kernel's node name (uname(2)). An attribute, never an identity.
	Hostname string `json:"hostname,omitempty"`
	// MachineID is HMAC-SHA256 of the application ID under /etc/machine-id, as
	// machine-id(5) asks; the machine ID itself is never published.
	MachineID uuid.UUID `json:"machineID,omitzero"`
	// SystemUUID is SMBIOS type 1's (/sys/class/dmi/id/product_uuid, root only).
	SystemUUID uuid.UUID `json:"systemUUID,omitzero"`
	// Serial, BoardSerial, ChassisSerial and AssetTag are DMI's, junk left out.
	Serial        string `json:"serial,omitempty"`
	BoardSerial   string `json:"boardSerial,omitempty"`
	ChassisSerial string `json:"chassisSerial,omitempty"`
	AssetTag      string `json:"assetTag,omitempty"`
	// EndorsementKey is SHA-256 over the public bits of the TPM's endorsement key,
	// in hex; the key itself is never published.
	EndorsementKey string `json:"endorsementKey,omitempty"`
	Vendor         string `json:"vendor,omitempty"`
	Product        string `json:"product,omitempty"`
	// MACs are the permanent addresses of the physical NICs, sorted.
	MACs []MAC `json:"macs,omitempty"`
	// Junk lists evidence that was there but tells nothing, such as
	// "serial: Default string".
	Junk []string `json:"junk,omitempty"`

	Architecture string `json:"architecture,omitempty"` // uname -m
	Kernel       string `json:"kernel,omitempty"`       // uname -r
	OS           string `json:"os,omitempty"`           // os-release(5) PRETTY_NAME
	CPUModel     string `json:"cpuModel,omitempty"`
	CPUs         *int   `json:"cpus,omitempty"`   // logical CPUs online
	Memory       *Bytes `json:"memory,omitempty"` // MemTotal, which is less than what is fitted
}

// Link is a network interface of the host.
type Link struct {
	Name string `json:"name"`
	// Kind is "physical", or the kernel's IFLA_INFO_KIND: bond, vlan, bridge,
	// tun (taps too), veth, macvtap, vxlan, openvswitch, dummy …
	Kind string `json:"kind"`
	// MAC is the address in use, PermanentMAC the one burnt in (IFLA_PERM_ADDRESS).
	MAC          MAC      `json:"mac,omitzero"`
	PermanentMAC MAC      `json:"permanentMAC,omitzero"`
	AltNames     []string `json:"altNames,omitempty"`
	// Device is the parent device, as "pci:0000:3b:00.0" (IFLA_PARENT_DEV_*).
	Device string `json:"device,omitempty"`
	Driver string `json:"driver,omitempty"` // /sys/class/net/NAME/device/driver
	// Speed in Mbit/s (/sys/class/net/NAME/speed), absent when down or virtual.
	Speed *int `json:"speed,omitempty"`
	MTU   *int `json:"mtu,omitempty"`
	// Up is the administrative state (IFF_UP), OperState RFC 2863's word, and
	// Carrier whether there is a signal from the other end (IFLA_CARRIER), which
	// only means something of a link that is up.
	Up        *bool  `json:"up,omitempty"`
	OperState string `json:"operState,omitempty"`
	Carrier   *bool  `json:"carrier,omitempty"`
	// Master is the bridge, bond or OVS datapath that the link is a port of;
	// Parent the link that a VLAN, macvtap or vxlan sits on; Peer a veth's other
	// end, where that is in this network namespace (IFLA_LINK).
	Master string `json:"master,omitempty"`
	Parent string `json:"parent,omitempty"`
	Peer   string `json:"peer,omitempty"`
	// Mode is how a macvlan or macvtap treats its neighbours on the same parent
	// (IFLA_MACVLAN_MODE): private, vepa, bridge, passthru or source.
	Mode string `json:"mode,omitempty"`
	// VLAN is a VLAN link's ID, Protocol its tag type (802.1q or 802.1ad); of a
	// bridge that filters VLANs, what its tags are where that is 802.1ad.
	VLAN     *VLAN  `json:"vlan,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	// BondMode and ActiveMember are a bond's; its members name it as Master.
	// BondState is a member's (IFLA_BOND_SLAVE_STATE): active or backup.
	BondMode     string `json:"bondMode,omitempty"`
	ActiveMember string `json:"activeMember,omitempty"`
	BondState    string `json:"bondState,omitempty"`
	// VLANFiltering says whether a bridge filters VLANs; PortVLANs is what a
	// port of such a bridge carries.
	VLANFiltering *bool      `json:"vlanFiltering,omitempty"`
	PortVLANs     []PortVLAN `json:"portVLANs,omitempty"`
	// STP says whether a bridge takes part in the spanning tree
	// (IFLA_BR_STP_STATE). PortState is what a port of a bridge does with frames
	// (IFLA_BRPORT_STATE): disabled, listening, learning, forwarding or blocking.
	STP       *bool  `json:"stp,omitempty"`
	PortState string `json:"portState,omitempty"`
	// VNI is a vxlan's network identifier, Local its own address and Remote the
	// unicast or multicast address that it sends to where it knows no better
	// (IFLA_VXLAN_ID, _LOCAL, _GROUP); a vxlan that learns its peers from
	// elsewhere has no Remote.
	VNI    *int   `json:"vni,omitempty"`
	Local  string `json:"local,omitempty"`
	Remote string `json:"remote,omitempty"`
	// VFs are the SR-IOV virtual functions of a physical function, by index.
	// PhysicalFunction is the other way round: of a virtual function's own link,
	// the link of its physical function.
	VFs              []VirtualFunction `json:"vfs,omitempty"`
	PhysicalFunction string            `json:"physicalFunction,omitempty"`
	// Neighbours are what the link's other end says of itself by LLDP (IEEE
	// 802.1AB): more than one where a hub or a bridge that forwards LLDP is
	// between.
	Neighbours []Neighbour `json:"neighbours,omitempty"`
	// Addresses are the host's own, in CIDR notation, without link-local ones.
	Addresses []string `json:"addresses,omitempty"`
}

// PortVLAN is one VLAN on a bridge port, or a range of them that the port treats
// alike (IFLA_BRIDGE_VLAN_INFO): a trunk of all VLANs is one entry.
type PortVLAN struct {
	ID       VLAN `json:"id"`
	Last     VLAN `json:"last,omitempty"`     // of a range that begins at ID
	PVID     bool `json:"pvid,omitempty"`     // untagged frames that enter are put on it
	Untagged bool `json:"untagged,omitempty"` // frames leave without a tag
}

// Holds says whether the entry is about the VLAN.
func (p PortVLAN) Holds(v VLAN) bool { return v == p.ID || (p.ID < v && v <= p.Last) }

// VirtualFunction is an SR-IOV virtual function as its physical function has
// set it up (IFLA_VFINFO_LIST). What a guest does with it can't override this.
type VirtualFunction struct {
	Index int `json:"index"`
	MAC   MAC `json:"mac,omitzero"`
	// VLAN is the tag that the adapter adds and takes off, Protocol its type
	// (802.1q or 802.1ad); absent means that the function is not on a VLAN.
	VLAN     *VLAN  `json:"vlan,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	// LinkState is auto (as the physical function's), enable or disable.
	LinkState  string `json:"linkState,omitempty"`
	SpoofCheck *bool  `json:"spoofCheck,omitempty"` // frames from another MAC are dropped
	Trust      *bool  `json:"trust,omitempty"`      // the guest may change its MAC and listen to all
	// Device is the function's own device, as "pci:0000:3b:02.0"
	// (/sys/class/net/NAME/device/virtfnN).
	Device string `json:"device,omitempty"`
}

// Neighbour is a station at the other end of a link, as it describes itself by
// LLDP.
type Neighbour struct {
	// ChassisID and PortID name the station and its port. A MAC or an IP address
	// is written as such, anything else as the station has it.
	ChassisID string `json:"chassisID,omitempty"`
	PortID    string `json:"portID,omitempty"`
	// SystemName is usually a host name, PortDescription what the operator wrote.
	SystemName      string `json:"systemName,omitempty"`
	PortDescription string `json:"portDescription,omitempty"`
	// VLANs are those that the station says its port carries (IEEE 802.1, the
	// port's own VLAN among them). Many stations don't say.
	VLANs []VLAN `json:"vlans,omitempty"`
}

// OVSBridge is an Open vSwitch bridge with its ports, from its database
// (ovs-vswitchd.conf.db(5)).
type OVSBridge struct {
	Name     string `json:"name"`
	Datapath string `json:"datapath,omitempty"` // system or netdev
	// FailMode is fail_mode: with secure the bridge does what its flows say and
	// nothing by itself. Controlled says that it has an OpenFlow controller, which
	// gives it flows. Without either it learns addresses and follows its ports'
	// VLANs, as any switch does.
	FailMode   string    `json:"failMode,omitempty"`
	Controlled bool      `json:"controlled,omitempty"`
	Ports      []OVSPort `json:"ports,omitempty"`
}

// OVSPort is a port of an Open vSwitch bridge. It carries the VLAN; its
// interfaces (more than one make a bond) carry the traffic.
type OVSPort struct {
	Name string `json:"name"`
	// Tag is the access VLAN, or the native one of a trunk; absent means none.
	Tag *VLAN `json:"tag,omitempty"`
	// Trunks are the VLANs a trunk carries; none with no Tag means all.
	Trunks []VLAN `json:"trunks,omitempty"`
	// Mode is the column vlan_mode, where it is set.
	Mode string `json:"mode,omitempty"`
	// BondMode is a bond's bond_mode (active-backup where it is not set),
	// ActiveMember the interface whose MAC is in bond_active_slave.
	BondMode     string         `json:"bondMode,omitempty"`
	ActiveMember string         `json:"activeMember,omitempty"`
	Interfaces   []OVSInterface `json:"interfaces,omitempty"`
}

// OVSInterface is one interface of an Open vSwitch port.
type OVSInterface struct {
	Name string `json:"name"`
	Type string `json:"type,omitempty"` // "", internal, patch, vxlan …
	// MAC is mac_in_use, LinkState link_state: up or down, as the switch sees it.
	MAC       MAC    `json:"mac,omitzero"`
	LinkState string `json:"linkState,omitempty"`
	// Peer is the patch interface, on another bridge of the same switch, that a
	// patch interface is joined with (options:peer); Remote a tunnel's other end
	// (options:remote_ip), or "flow" where the flow table says.
	Peer   string `json:"peer,omitempty"`
	Remote string `json:"remote,omitempty"`
	// ExternalIDs are what the runtime wrote: attached-mac, iface-id, vm-id.
	ExternalIDs map[string]string `json:"externalIDs,omitempty"`
}
