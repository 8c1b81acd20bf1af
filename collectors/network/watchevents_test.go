package network

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// eventCase is something that happens to a host, after which fields of an entity
// have another value, of which Watch must have told.
type eventCase struct {
	name   string
	entity string
	fields []inventory.Field
	act    func() error
}

// proveEvents makes the cases happen one after another under one watch, and says
// what went wrong.
func proveEvents(ctx context.Context, c *Collector, cases []eventCase) error {
	ctx, cancel := context.WithCancel(ctx)
	h, err := listen(ctx, c.Watch)
	defer func() { cancel(); <-h.ended }()
	var failed []error
	for _, tt := range cases {
		if err != nil {
			return err
		}
		if err := tt.prove(c, h); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", tt.name, err))
		}
	}
	return errors.Join(failed...)
}

func (tt eventCase) prove(c *Collector, h *hearer) error {
	see := func() *inventory.Observation {
		return (&collectors.Runner{Collector: c, Timeout: time.Minute}).Run(context.Background())
	}
	before := see()
	h.heard()
	if err := tt.act(); err != nil {
		return err
	}
	var told []collectors.Change
	var same []inventory.Field
	// A bridge tells of a new port again when it has learned for 15 s, whatever
	// else happened.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		told = append(told, h.heard()...)
		after := see()
		same = slices.DeleteFunc(slices.Clone(tt.fields), func(f inventory.Field) bool {
			return valuesOf(before, tt.entity, f) != valuesOf(after, tt.entity, f)
		})
		named := slices.ContainsFunc(told, func(c collectors.Change) bool { return c.Entity == tt.entity || c.Entity == "" })
		if len(same) == 0 && named {
			return nil
		}
	}
	return fmt.Errorf("%v didn't change, or nothing was told of %s but %v", same, tt.entity, told)
}

// valuesOf gives all values of a field in an entity, and in what is in it.
func valuesOf(o *inventory.Observation, entity string, field inventory.Field) string {
	kind, name, _ := strings.Cut(entity, ":")
	var entities []any
	for _, l := range o.Links {
		entities = appendIf(entities, kind == "link" && l.Name == name, l)
	}
	for _, bridge := range o.OVSBridges {
		entities = appendIf(entities, kind == "ovsBridge" && bridge.Name == name, bridge)
		for _, port := range bridge.Ports {
			entities = appendIf(entities, kind == "ovsPort" && port.Name == name, port)
			for _, iface := range port.Interfaces {
				entities = appendIf(entities, kind == "ovsInterface" && iface.Name == name, iface)
			}
		}
	}
	of, key, _ := strings.Cut(string(field), ".")
	var values []string
	for _, e := range entities {
		data, err := json.Marshal(e)
		if err != nil {
			return err.Error()
		}
		var columns map[string]json.RawMessage
		_ = json.Unmarshal(data, &columns)
		if of == kind {
			values = append(values, string(columns[key]))
			continue
		}
		var parts []map[string]json.RawMessage // of the port's VLANs, the only parts that have events
		_ = json.Unmarshal(columns[of+"s"], &parts)
		for _, part := range parts {
			values = append(values, string(part[key]))
		}
	}
	return strings.Join(values, "\n")
}

func appendIf(list []any, condition bool, e any) []any {
	if condition {
		return append(list, e)
	}
	return list
}

// linkEvents happen to the guest's links. They build on one another, and on
// labHost's.
func linkEvents() []eventCase {
	named := func(name string, f func(netlink.Link) error) func() error {
		return func() error {
			l, err := netlink.LinkByName(name)
			if err != nil {
				return err
			}
			return f(l)
		}
	}
	add := func(l netlink.Link) func() error { return func() error { return netlink.LinkAdd(l) } }
	onto := func(parent string, make func(int) netlink.Link) func() error {
		return named(parent, func(p netlink.Link) error { return netlink.LinkAdd(make(p.Attrs().Index)) })
	}
	sysfs := func(file, value string) func() error {
		return func() error { return os.WriteFile("/sys/class/net/"+file, []byte(value), 0) }
	}
	under := func(a netlink.LinkAttrs, parent int) netlink.LinkAttrs { a.ParentIndex = parent; return a }
	return []eventCase{
		{"link comes", "link:d0", []inventory.Field{"link.name", "link.kind", "link.mac", "link.mtu", "link.up", "link.operState"},
			add(&netlink.Dummy{LinkAttrs: attrs("d0", 101)})},
		{"link is raised", "link:d0", []inventory.Field{"link.up", "link.operState", "link.carrier"}, named("d0", netlink.LinkSetUp)},
		{"carrier goes", "link:d0", []inventory.Field{"link.carrier", "link.operState"}, sysfs("d0/carrier", "0")},
		{"MTU", "link:d0", []inventory.Field{"link.mtu"}, named("d0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1400) })},
		{"MAC", "link:d0", []inventory.Field{"link.mac"},
			named("d0", func(l netlink.Link) error { return netlink.LinkSetHardwareAddr(l, attrs("", 102).HardwareAddr) })},
		{"name beside", "link:d0", []inventory.Field{"link.altNames"},
			named("d0", func(l netlink.Link) error { return netlink.LinkAddAltName(l, "dummy-of-many-names") })},
		{"IPv4 address", "link:d0", []inventory.Field{"link.addresses"}, named("d0", func(l netlink.Link) error {
			return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}})
		})},
		{"IPv6 address", "link:d0", []inventory.Field{"link.addresses"}, named("d0", func(l netlink.Link) error {
			return netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)}})
		})},
		{"VLAN link", "link:d0.7", []inventory.Field{"link.parent", "link.vlan", "link.protocol"}, onto("d0", func(parent int) netlink.Link {
			return &netlink.Vlan{LinkAttrs: under(attrs("d0.7", 103), parent), VlanId: 7, VlanProtocol: netlink.VLAN_PROTOCOL_8021AD}
		})},
		{"veth", "link:v0", []inventory.Field{"link.peer"}, add(&netlink.Veth{LinkAttrs: attrs("v0", 104), PeerName: "v1"})},
		{"macvlan", "link:m0", []inventory.Field{"link.mode"}, onto("v0", func(parent int) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: under(attrs("m0", 105), parent), Mode: netlink.MACVLAN_MODE_PRIVATE}
		})},
		{"vxlan", "link:x0", []inventory.Field{"link.vni", "link.local", "link.remote"}, add(&netlink.Vxlan{LinkAttrs: attrs("x0", 106), VxlanId: 42,
			Port: 4789, SrcAddr: net.IPv4(192, 0, 2, 1), Group: net.IPv4(192, 0, 2, 2)})},
		{"port joins", "link:d0", []inventory.Field{"link.master", "link.portState"}, func() error {
			br, err := netlink.LinkByName("br0")
			if err != nil {
				return err
			}
			return named("d0", func(l netlink.Link) error { return netlink.LinkSetMaster(l, br) })()
		}},
		{"port's state", "link:d0", []inventory.Field{"link.portState"}, sysfs("d0/carrier", "1")},
		{"tagged VLANs of a port", "link:d0", []inventory.Field{"link.portVLANs", "portVLAN.id", "portVLAN.last"}, named("d0", func(l netlink.Link) error {
			return netlink.BridgeVlanAddRange(l, 100, 110, false, false, false, false)
		})},
		{"PVID of a port", "link:d0", []inventory.Field{"link.portVLANs", "portVLAN.pvid"}, named("d0", func(l netlink.Link) error {
			return netlink.BridgeVlanAdd(l, 77, true, false, false, false)
		})},
		{"untagged VLAN of a port", "link:d0", []inventory.Field{"portVLAN.untagged"}, named("d0", func(l netlink.Link) error {
			return netlink.BridgeVlanAdd(l, 77, true, true, false, false)
		})},
		{"VLAN by RTM_NEWVLAN", "link:d0", []inventory.Field{"portVLAN.id"}, named("d0", newVLAN)},
		{"STP", "link:br0", []inventory.Field{"link.stp"}, sysfs("br0/bridge/stp_state", "1")},
		{"VLAN filtering", "link:br0", []inventory.Field{"link.vlanFiltering"}, sysfs("br0/bridge/vlan_filtering", "0")},
		{"port leaves", "link:d0", []inventory.Field{"link.master"}, named("d0", netlink.LinkSetNoMaster)},
		{"active member of a bond", "link:bond0", []inventory.Field{"link.activeMember"}, sysfs("bond0/bonding/active_slave", "nic2")},
		{"state of a bond's member", "link:nic1", []inventory.Field{"link.bondState"}, sysfs("bond0/bonding/active_slave", "nic1")},
		{"mode of a bond", "link:bond1", []inventory.Field{"link.bondMode"}, sysfs("bond1/bonding/mode", "balance-xor")},
		{"link is renamed", "link:d2", []inventory.Field{"link.name"}, func() error {
			if err := named("d0", netlink.LinkSetDown)(); err != nil {
				return err
			}
			return named("d0", func(l netlink.Link) error { return netlink.LinkSetName(l, "d2") })()
		}},
		{"link goes", "link:x0", []inventory.Field{"link.name", "link.kind"}, named("x0", netlink.LinkDel)},
	}
}

// newVLAN puts a bridge port on VLAN 200 by the request that is for nothing else
// (linux/if_bridge.h, struct br_vlan_msg).
func newVLAN(l netlink.Link) error {
	const entry, entryInfo = 1, 1 // BRIDGE_VLANDB_ENTRY, BRIDGE_VLANDB_ENTRY_INFO
	message := binary.NativeEndian.AppendUint32([]byte{unix.AF_BRIDGE, 0, 0, 0}, uint32(l.Attrs().Index))
	info := binary.NativeEndian.AppendUint16([]byte{0, 0}, 200)
	request := nl.NewNetlinkRequest(unix.RTM_NEWVLAN, unix.NLM_F_ACK)
	request.AddRawData(append(message, attribute(entry|unix.NLA_F_NESTED, attribute(entryInfo, info...)...)...))
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// bridgeEvents happen to Open vSwitch. They build on labOVS.
func bridgeEvents(o *ovs) []eventCase {
	vsctl := func(args ...string) func() error { return func() error { o.vsctl(args...); return nil } }
	return []eventCase{
		{"bridge comes", "ovsBridge:br-new", []inventory.Field{"ovsBridge.name", "ovsBridge.ports", "ovsBridge.datapath"}, vsctl("--no-wait", "add-br", "br-new")},
		{"datapath", "ovsBridge:br-new", []inventory.Field{"ovsBridge.datapath"}, vsctl("set", "bridge", "br-new", "datapath_type=netdev")},
		{"fail mode", "ovsBridge:br-new", []inventory.Field{"ovsBridge.failMode"}, vsctl("set-fail-mode", "br-new", "standalone")},
		{"controller", "ovsBridge:br-new", []inventory.Field{"ovsBridge.controlled"}, vsctl("set-controller", "br-new", "punix:"+o.dir+"/new.controller")},
		{"tag", "ovsPort:vnet0", []inventory.Field{"ovsPort.tag"}, vsctl("set", "port", "vnet0", "tag=130")},
		{"trunks", "ovsPort:vnet2", []inventory.Field{"ovsPort.trunks"}, vsctl("set", "port", "vnet2", "trunks=10,30")},
		{"mode", "ovsPort:vnet3", []inventory.Field{"ovsPort.mode"}, vsctl("set", "port", "vnet3", "vlan_mode=native-tagged")},
		{"external IDs", "ovsInterface:vnet0", []inventory.Field{"ovsInterface.externalIDs"}, vsctl("set", "interface", "vnet0", "external_ids:vm-id=another")},
		{"tunnel", "ovsInterface:vx0", []inventory.Field{"ovsInterface.remote"}, vsctl("set", "interface", "vx0", "options:remote_ip=192.0.2.9")},
		{"patch", "ovsInterface:int-ex", []inventory.Field{"ovsInterface.peer"}, vsctl("set", "interface", "int-ex", "options:peer=elsewhere")},
		{"bond's mode", "ovsPort:bond0", []inventory.Field{"ovsPort.bondMode"}, vsctl("set", "port", "bond0", "bond_mode=active-backup")},
		{"member's link", "ovsInterface:eno2", []inventory.Field{"ovsInterface.linkState"}, func() error { o.n.up("eno2", "wire2"); return nil }},
		{"bond's active member", "ovsPort:bond0", []inventory.Field{"ovsPort.activeMember"},
			func() error { return o.n.LinkSetDown(o.n.link("wire1")) }},
		{"member's MAC", "ovsInterface:eno2", []inventory.Field{"ovsInterface.mac"},
			func() error { return o.n.LinkSetHardwareAddr(o.n.link("eno2"), attrs("", 99).HardwareAddr) }},
		{"port comes", "ovsPort:new0", []inventory.Field{"ovsPort.name", "ovsPort.interfaces"},
			vsctl("add-port", "br-int", "new0", "--", "set", "interface", "new0", "type=internal")},
		{"interface's type", "ovsInterface:new0", []inventory.Field{"ovsInterface.type"}, vsctl("--no-wait", "set", "interface", "new0", "type=patch", "options:peer=x")},
		{"interface goes", "ovsInterface:new0", []inventory.Field{"ovsInterface.name"}, vsctl("del-port", "new0")},
		{"bridge goes", "ovsBridge:br-new", []inventory.Field{"ovsBridge.name"}, vsctl("del-br", "br-new")},
	}
}

func TestOVSDBTellsOfEveryField(t *testing.T) {
	o := labOVS(t)
	golden(t, "ovs.json", settleTime, o.observe)
	c := &Collector{NetNS: o.n.path(), OVSDB: o.socket(), Root: t.TempDir()}
	if err := proveEvents(t.Context(), c, bridgeEvents(o)); err != nil {
		t.Error(err)
	}
}

// What the table says is told of must be what a case above proves.
func TestEveryEventIsProven(t *testing.T) {
	proven, declared := map[inventory.Field]bool{}, map[inventory.Field]bool{}
	for _, tt := range slices.Concat(linkEvents(), bridgeEvents(&ovs{})) {
		for _, f := range tt.fields {
			proven[f] = true
		}
	}
	for _, c := range capabilities {
		if c.Change == inventory.ChangeByEvent {
			declared[c.Field] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(proven)), slices.Sorted(maps.Keys(declared))); diff != "" {
		t.Errorf("fields told of (-proven +declared):\n%s", diff)
	}
}
