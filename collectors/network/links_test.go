package network

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// vmHost makes links as a host with VMs has them: a bridge with an uplink and a
// tap, a macvtap, a vxlan.
func vmHost(t testing.TB) *namespace {
	n := newNamespace(t)
	n.add(&netlink.Bridge{LinkAttrs: attrs("br0", 1)})
	bridge := n.link("br0")
	n.add(&netlink.Veth{LinkAttrs: attrs("uplink", 2), PeerName: "wire", PeerHardwareAddr: attrs("", 3).HardwareAddr})
	n.add(&netlink.Tuntap{LinkAttrs: attrs("vnet0", 0), Mode: netlink.TUNTAP_MODE_TAP})
	n.must(n.LinkSetHardwareAddr(n.link("vnet0"), attrs("", 4).HardwareAddr))
	n.must(n.LinkSetMaster(n.link("uplink"), bridge))
	n.must(n.LinkSetMaster(n.link("vnet0"), bridge))
	macvtap := &netlink.Macvtap{Macvlan: netlink.Macvlan{LinkAttrs: attrs("macvtap0", 5), Mode: netlink.MACVLAN_MODE_BRIDGE}}
	macvtap.ParentIndex = n.link("wire").Attrs().Index
	n.add(macvtap)
	vxlan := &netlink.Vxlan{LinkAttrs: attrs("vxlan42", 6), VxlanId: 42, Port: 4789,
		VtepDevIndex: n.link("wire").Attrs().Index, Group: net.IPv4(239, 1, 1, 1)}
	vxlan.MTU = 1450
	n.add(vxlan)
	n.add(&netlink.Vxlan{LinkAttrs: mtu(attrs("vxlan43", 7), 1430), VxlanId: 1<<24 - 1, Port: 4789,
		SrcAddr: net.ParseIP("2001:db8::1"), Group: net.ParseIP("2001:db8::2")})
	n.add(&netlink.Vxlan{LinkAttrs: mtu(attrs("vxlan-evpn", 8), 1450), Port: 4790, FlowBased: true})
	macvlan := &netlink.Macvlan{LinkAttrs: attrs("macvlan0", 9), Mode: netlink.MACVLAN_MODE_BRIDGE}
	macvlan.ParentIndex = n.link("wire").Attrs().Index
	n.add(macvlan)
	n.must(n.LinkAddAltName(n.link("uplink"), "enp59s0f0"))
	n.must(n.LinkAddAltName(n.link("uplink"), "ens1f0"))
	n.address("br0", "192.0.2.10/24")
	n.address("br0", "2001:db8::10/64")
	n.address("br0", "fe80::10/64")
	n.address("wire", "198.51.100.1/32")
	n.up("lo", "br0", "uplink", "wire", "vnet0", "macvtap0")
	return n
}

func mtu(a netlink.LinkAttrs, bytes int) netlink.LinkAttrs {
	a.MTU = bytes
	return a
}

func TestLinksOfAHost(t *testing.T) {
	n := vmHost(t)
	c := &Collector{NetNS: n.path(), Root: t.TempDir()}
	golden(t, "host.json", settleTime, func() *inventory.Observation { return collect(t, c) })
}

// Another implementation of netlink must see the same links.
func TestLinksAgreeWithNetlinkLibrary(t *testing.T) {
	n := vmHost(t)
	o := collect(t, &Collector{NetNS: n.path(), Root: t.TempDir()})
	others, err := n.LinkList()
	n.must(err)
	type line struct {
		Name, MAC string
		MTU       int
		Up        bool
		Alt       []string
	}
	var want, got []line
	for _, l := range others {
		a := l.Attrs()
		mac := a.HardwareAddr.String()
		if a.Name == "lo" {
			mac = ""
		}
		slices.Sort(a.AltNames)
		want = append(want, line{a.Name, mac, a.MTU, a.Flags&net.FlagUp != 0, a.AltNames})
	}
	for _, l := range o.Links {
		got = append(got, line{l.Name, l.MAC.String(), *l.MTU, *l.Up, l.AltNames})
	}
	slices.SortFunc(want, func(x, y line) int { return bytes.Compare([]byte(x.Name), []byte(y.Name)) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("links (-library +ours):\n%s", diff)
	}
}

// The index that a parent has in another namespace is the index of something
// else in this one.
func TestParentInAnotherNamespaceStaysUnresolved(t *testing.T) {
	outer, inner := newNamespace(t), newNamespace(t)
	outer.add(&netlink.Veth{LinkAttrs: attrs("wire", 1), PeerName: "rope"})
	index := outer.link("wire").Attrs().Index
	decoy := &netlink.Bridge{LinkAttrs: attrs("decoy", 2)}
	decoy.Index = index
	inner.add(decoy)
	macvlan := &netlink.Macvlan{LinkAttrs: attrs("moved", 3), Mode: netlink.MACVLAN_MODE_BRIDGE}
	macvlan.ParentIndex = index
	outer.add(macvlan)
	outer.must(outer.LinkSetNsFd(outer.link("moved"), int(inner.handle)))

	o := collect(t, &Collector{NetNS: inner.path(), Root: t.TempDir()})
	if l := linkNamed(t, o, "moved"); l.Parent != "" || !o.Complete || len(o.Problems) != 0 {
		t.Errorf("moved has parent %q, pass complete %t with problems %v", l.Parent, o.Complete, o.Problems)
	}
	o = collect(t, &Collector{NetNS: outer.path(), Root: t.TempDir()})
	if slices.ContainsFunc(o.Links, func(l inventory.Link) bool { return l.Name == "moved" || l.Name == "decoy" }) {
		t.Error("links of the inner namespace are seen in the outer one")
	}
}

// A veth's other end has a name here only where it is here.
func TestPeerInAnotherNamespaceStaysUnresolved(t *testing.T) {
	outer, inner := newNamespace(t), newNamespace(t)
	outer.add(&netlink.Veth{LinkAttrs: attrs("wire", 1), PeerName: "rope"})
	see := func(n *namespace, name string) string {
		return linkNamed(t, collect(t, &Collector{NetNS: n.path(), Root: t.TempDir()}), name).Peer
	}
	if wire, rope := see(outer, "wire"), see(outer, "rope"); wire != "rope" || rope != "wire" {
		t.Errorf("peers are %q and %q", wire, rope)
	}
	// The end that moves meets a link that has its old index, one of a pair too.
	decoy := &netlink.Veth{LinkAttrs: attrs("decoy", 2), PeerName: "ploy"}
	decoy.Index = outer.link("wire").Attrs().Index
	inner.add(decoy)
	outer.must(outer.LinkSetNsFd(outer.link("rope"), int(inner.handle)))
	if wire, rope := see(outer, "wire"), see(inner, "rope"); wire != "" || rope != "" {
		t.Errorf("peers are %q and %q, each of which is in the other namespace", wire, rope)
	}
}

// The process's own namespace and its sysfs: whatever hardware there is. Virtual
// links may come and go meanwhile.
func TestLinksOfThisMachine(t *testing.T) {
	host := &Collector{}
	o := collect(t, host)
	if !o.Complete || linkNamed(t, o, "lo").Kind != "loopback" {
		t.Fatalf("outcome %s, problems %v", o.Outcome, o.Problems)
	}
	for _, l := range o.Links {
		dir := "/sys/class/net/" + l.Name
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		driver, _ := host.linkBase(dir + "/device/driver")
		device, _ := host.device(dir + "/device")
		if l.Driver != driver || l.Device != device || (device != "") != (l.Kind == kindPhysical) {
			t.Errorf("%s: kind %q, driver %q, device %q; sysfs has driver %q, device %q", l.Name, l.Kind, l.Driver, l.Device, driver, device)
		}
	}
}

// openDir is a directory that everybody may look into, as /run is; t.TempDir's
// is the user's alone.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "network")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// What a collector sees must not hang on its being root, save for OVSDB.
func TestUnprivilegedUserSeesTheSame(t *testing.T) {
	n := vmHost(t)
	root := openDir(t)
	nobody := observeAsNobody(t, n, root)
	asRoot := collect(t, &Collector{NetNS: n.path(), Root: root})
	if diff := cmp.Diff(seenIn(asRoot), seenIn(nobody)); diff != "" || !nobody.Complete {
		t.Errorf("what nobody saw (-root +nobody):\n%s", diff)
	}
}

// observeAsNobody makes a pass in a process that is in the namespace and may do
// nothing special.
func observeAsNobody(t *testing.T, n *namespace, root string) *inventory.Observation {
	t.Helper()
	var out bytes.Buffer
	cmd := asNobody(roleObserve, "AVSTEM_TEST_ROOT="+root)
	cmd.Stdout = &out
	n.do(cmd.Run)
	o := new(inventory.Observation)
	if err := json.Unmarshal(out.Bytes(), o); err != nil {
		t.Fatalf("%v in %q", err, out.Bytes())
	}
	return o
}

// asNobody is this program in a role, as a user who may do nothing special.
func asNobody(role string, env ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(env, "AVSTEM_TEST_ROLE="+role)
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	return cmd
}

func TestMissingNamespaceIsSaid(t *testing.T) {
	o := collect(t, &Collector{NetNS: "/nonexistent/netns"})
	if o.Outcome != inventory.OutcomeFailed || o.Complete || len(o.Problems) != 1 {
		t.Fatalf("outcome %s, problems %v", o.Outcome, o.Problems)
	}
	if p := o.Problems[0]; p.Why != inventory.WhyAbsent || p.Call != "enter network namespace /nonexistent/netns" || p.Remedy == "" {
		t.Errorf("problem %+v", p)
	}
}

// A link's name may be any bytes but a few. In a document two that differ in bytes
// which are no text must not be one.
func TestLinksWhoseNamesAreNoText(t *testing.T) {
	n := newNamespace(t)
	n.add(&netlink.Bridge{LinkAttrs: attrs("br\xff", 1)})
	n.add(&netlink.Bridge{LinkAttrs: attrs("br\xfe", 2)})
	n.add(&netlink.Veth{LinkAttrs: attrs("end0", 3), PeerName: "end1", PeerHardwareAddr: attrs("", 4).HardwareAddr})
	n.must(n.LinkSetMaster(n.link("end0"), n.link("br\xfe")))
	o := (&collectors.Runner{Collector: &Collector{NetNS: n.path(), Root: t.TempDir()}}).Run(t.Context())
	raw, err := json.Marshal(o.Links)
	if err != nil {
		t.Fatal(err)
	}
	var read []inventory.Link
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	masters := map[string]string{}
	for _, l := range read {
		masters[l.Name] = l.Master
	}
	want := map[string]string{"lo": "", `br\377`: "", `br\376`: "", "end0": `br\376`, "end1": ""}
	if diff := cmp.Diff(want, masters); diff != "" {
		t.Errorf("masters by link (-want +got):\n%s", diff)
	}
}
