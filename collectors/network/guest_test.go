package network

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/guest"
)

var recordings = map[string]request{
	"links.hex": linkRequest, "addresses.hex": addressRequest, "portvlans.hex": portVLANRequest,
}

// A lab host's links are made in a guest (user-mode Linux), which has VLAN links,
// bonds and bridges that filter VLANs, whatever the machine's own kernel has.
func TestLinksOfALabHost(t *testing.T) {
	lab := guest.UML{
		Modules: []string{"8021q", "bonding", "bridge", "dummy", "macvlan", "openvswitch", "veth", "vxlan"},
		NICs:    []string{"52:54:00:aa:00:01"},
	}
	dir := lab.Run(t, func(t *testing.T, out string) {
		if err := guestRun(out); err != nil {
			t.Error(err)
		}
	})
	for file, want := range map[string]string{"lab": "lab.json", "datapath": "datapath.json"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		var o inventory.Observation
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		golden(t, want, 0, func() *inventory.Observation { return &o })
	}
	if *update {
		for file := range recordings {
			recorded, err := os.ReadFile(filepath.Join(dir, file))
			if err == nil {
				err = os.WriteFile(filepath.Join("testdata", file), recorded, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// guestRun makes links in the guest and writes what the collector sees of them.
func guestRun(out string) error {
	if err := labHost(); err != nil {
		return err
	}
	if err := observe(out, "lab", "bond0", "bond0.120", "br-vlan120", "br0"); err != nil {
		return err
	}
	for file, what := range recordings {
		if err := record(filepath.Join(out, file), what); err != nil {
			return fmt.Errorf("record %s: %w", what.name, err)
		}
	}
	// A datapath in the kernel whose database isn't there.
	if err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs("ovs-port", 13)}); err != nil {
		return err
	}
	for _, args := range [][]string{{"add-dp", "ovs-system"}, {"add-if", "ovs-system", "ovs-port"}} {
		if out, err := exec.Command("/usr/bin/ovs-dpctl", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("ovs-dpctl %s: %w: %s", args, err, out)
		}
	}
	dp, err := netlink.LinkByName("ovs-system")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetHardwareAddr(dp, attrs("", 14).HardwareAddr); err != nil {
		return err
	}
	if err := observe(out, "datapath"); err != nil {
		return err
	}
	return proveEvents(context.Background(), &Collector{}, linkEvents())
}

// observe writes to a file in out what the collector sees once the links named
// are up, which is some milliseconds after they were raised.
func observe(out, file string, up ...string) error {
	var o *inventory.Observation
	settled := func() bool {
		o = (&collectors.Runner{Collector: &Collector{}}).Run(context.Background())
		return !slices.ContainsFunc(o.Links, func(l inventory.Link) bool {
			return slices.Contains(up, l.Name) && l.OperState != "up"
		})
	}
	for deadline := time.Now().Add(10 * time.Second); !settled() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, file), data, 0o644)
}

// record writes a dump's messages, one a line.
func record(file string, what request) error {
	socket, err := openRoute("")
	if err != nil {
		return err
	}
	defer socket.Close()
	messages, err := socketDumper(socket)(context.Background(), what)
	if err != nil {
		return err
	}
	var lines strings.Builder
	for _, m := range messages {
		fmt.Fprintln(&lines, hex.EncodeToString(m))
	}
	return os.WriteFile(file, []byte(lines.String()), 0o644)
}

// labHost makes the links of a host as operators build them: two NICs in a bond,
// VLAN links on it, a bridge on one of these, and a bridge that filters VLANs
// with an access port, a hybrid one and a trunk.
func labHost() error {
	var failed error
	do := func(what string, err error) {
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", what, err)
		}
	}
	add := func(l netlink.Link) netlink.Link {
		name := l.Attrs().Name
		do("add link "+name, netlink.LinkAdd(l))
		made, err := netlink.LinkByName(name)
		if err != nil {
			do("find link "+name, err)
			return l
		}
		return made
	}
	join := func(l, master netlink.Link) { do("join "+l.Attrs().Name, netlink.LinkSetMaster(l, master)) }
	under := func(a netlink.LinkAttrs, parent netlink.Link) netlink.LinkAttrs {
		a.ParentIndex = parent.Attrs().Index
		return a
	}

	bondLink := netlink.NewLinkBond(attrs("bond0", 2))
	bondLink.Mode, bondLink.Miimon = netlink.BOND_MODE_ACTIVE_BACKUP, 100
	bond := add(bondLink)
	join(add(&netlink.Dummy{LinkAttrs: attrs("nic1", 3)}), bond) // the first to join is the active one
	join(add(&netlink.Dummy{LinkAttrs: attrs("nic2", 4)}), bond)
	do("raise bond0", netlink.LinkSetUp(bond))
	lacp := netlink.NewLinkBond(attrs("bond1", 5))
	lacp.Mode = netlink.BOND_MODE_802_3AD
	add(lacp)

	vlan120 := add(&netlink.Vlan{LinkAttrs: under(attrs("bond0.120", 6), bond), VlanId: 120})
	add(&netlink.Vlan{LinkAttrs: under(attrs("bond0.200", 7), bond), VlanId: 200, VlanProtocol: netlink.VLAN_PROTOCOL_8021AD})
	bridge120 := add(&netlink.Bridge{LinkAttrs: attrs("br-vlan120", 8)})
	join(vlan120, bridge120)

	yes := true
	bridge := add(&netlink.Bridge{LinkAttrs: attrs("br0", 9), VlanFiltering: &yes})
	access := add(&netlink.Dummy{LinkAttrs: attrs("access", 10)})
	hybrid := add(&netlink.Dummy{LinkAttrs: attrs("hybrid", 11)})
	trunk := add(&netlink.Dummy{LinkAttrs: attrs("trunk", 12)})
	for _, port := range []netlink.Link{access, hybrid, trunk} {
		join(port, bridge)
		do("take VLAN 1 from "+port.Attrs().Name, netlink.BridgeVlanDel(port, 1, true, true, false, false))
	}
	do("access port", netlink.BridgeVlanAdd(access, 120, true, true, false, false))
	do("hybrid port", netlink.BridgeVlanAdd(hybrid, 10, true, true, false, false))
	do("hybrid port", netlink.BridgeVlanAdd(hybrid, 20, false, false, false, false))
	do("trunk", netlink.BridgeVlanAddRange(trunk, 100, 104, false, false, false, false))
	do("trunk", netlink.BridgeVlanAdd(trunk, 4094, false, false, false, false))
	// A port of a bridge with STP listens for twice the delay before it forwards.
	tree := add(&netlink.Bridge{LinkAttrs: attrs("br-stp", 15)})
	for file, value := range map[string]string{"stp_state": "1", "forward_delay": "3000"} {
		do("STP of br-stp", os.WriteFile("/sys/class/net/br-stp/bridge/"+file, []byte(value), 0))
	}
	branch := add(&netlink.Dummy{LinkAttrs: attrs("branch", 16)})
	join(branch, tree)
	for _, l := range []netlink.Link{vlan120, bridge120, bridge, access, hybrid, trunk, tree, branch} {
		do("raise "+l.Attrs().Name, netlink.LinkSetUp(l))
	}
	if vec0, err := netlink.LinkByName("vec0"); err == nil {
		do("raise vec0", netlink.LinkSetUp(vec0))
	}
	return failed
}
