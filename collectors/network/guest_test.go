package network

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/uml"
)

// User-mode Linux (Debian's package user-mode-linux) is a kernel with VLAN
// links, bonds and bridges that filter VLANs, whatever the machine's own has.
// The guest's root is the machine's, read-only; its first process is this test
// binary, which writes to one directory of the test's and powers off.

const (
	umlModules = "/usr/lib/uml/modules"
	guestOut   = "/run/out" // where the guest sees the test's directory
)

var recordings = map[string]request{
	"links.hex": linkRequest, "addresses.hex": addressRequest, "portvlans.hex": portVLANRequest,
}

func TestLinksOfALabHost(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, "guest"), ".") // without -race, whose memory map needs the machine's own kernel
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build guest: %v\n%s", err, out)
	}
	if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(umlModules, filepath.Join(dir, "lib/modules")); err != nil {
		t.Fatal(err)
	}
	n := newNamespace(t)
	n.add(&netlink.Tuntap{LinkAttrs: attrs("guest", 0), Mode: netlink.TUNTAP_MODE_TAP})
	n.up("guest")
	console := bootGuest(t, n, dir)

	for file, want := range map[string]string{"lab": "lab.json", "datapath": "datapath.json"} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatalf("%v; the guest's console:\n%s", err, tail(console))
		}
		var o inventory.Observation
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		golden(t, want, 0, func() *inventory.Observation { return &o })
	}
	switch untold, err := os.ReadFile(filepath.Join(dir, "events")); {
	case err != nil:
		t.Errorf("%v; the guest's console:\n%s", err, tail(console))
	case len(untold) > 0:
		t.Errorf("events: %s", untold)
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

// bootGuest runs the guest to its end and gives what it wrote to its console.
func bootGuest(t *testing.T, n *namespace, dir string) (console []byte) {
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	n.do(func() error {
		adapted, err := uml.Adapt()
		if err != nil {
			return err
		}
		guest := exec.CommandContext(ctx, "linux.uml", append(adapted, "mem=192M", "rootfstype=hostfs", "ro", "init="+filepath.Join(dir, "guest"),
			"uml_dir="+dir, "con=null", "con0=null,fd:1", "vec0:transport=tap,ifname=guest,depth=16,mac=52:54:00:aa:00:01",
			"AVSTEM_TEST_ROLE="+roleGuest, "AVSTEM_TEST_OUT="+dir)...)
		guest.Env = append(os.Environ(), "TMPDIR="+dir, "HOME="+dir)
		// Its processes are a group of their own, since it leaves some behind when killed.
		guest.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
		guest.Cancel = func() error { return unix.Kill(-guest.Process.Pid, unix.SIGKILL) }
		guest.WaitDelay = 5 * time.Second
		console, err = guest.CombinedOutput()
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && ctx.Err() == nil {
			err = nil // what counts is what it wrote
		}
		if err != nil {
			err = fmt.Errorf("run guest (package user-mode-linux): %w\n%s", err, tail(console))
		}
		return err
	})
	return console
}

// tail is the end of a console, where a guest says what went wrong.
func tail(console []byte) []byte { return console[max(0, len(console)-2000):] }

// guestMain is the guest's first process.
func guestMain() {
	if err := guestRun(); err != nil {
		fmt.Println("guest:", err)
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func guestRun() error {
	for _, m := range []struct{ what, where, kind, data string }{
		{"proc", "/proc", "proc", ""}, {"sysfs", "/sys", "sysfs", ""}, {"tmpfs", "/run", "tmpfs", ""}, {"tmpfs", "/tmp", "tmpfs", ""},
	} {
		if err := unix.Mount(m.what, m.where, m.kind, 0, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.where, err)
		}
	}
	if err := os.Mkdir(guestOut, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("none", guestOut, "hostfs", 0, os.Getenv("AVSTEM_TEST_OUT")); err != nil {
		return fmt.Errorf("mount %s: %w", guestOut, err)
	}
	for _, module := range []string{"8021q", "bonding", "bridge", "dummy", "macvlan", "openvswitch", "veth", "vxlan"} {
		if out, err := exec.Command("/sbin/modprobe", "-d", guestOut, module).CombinedOutput(); err != nil {
			return fmt.Errorf("load module %s: %w: %s", module, err, out)
		}
	}
	if err := labHost(); err != nil {
		return err
	}
	if err := observe("lab", "bond0", "bond0.120", "br-vlan120", "br0"); err != nil {
		return err
	}
	for file, what := range recordings {
		if err := record(filepath.Join(guestOut, file), what); err != nil {
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
	if err := observe("datapath"); err != nil {
		return err
	}
	return guestEvents()
}

// guestEvents writes what isn't told of links' changes.
func guestEvents() error {
	var untold string
	if err := proveEvents(context.Background(), &Collector{}, linkEvents()); err != nil {
		untold = err.Error()
	}
	return os.WriteFile(filepath.Join(guestOut, "events"), []byte(untold), 0o644)
}

// observe writes what the collector sees once the links named are up, which is
// some milliseconds after they were raised.
func observe(file string, up ...string) error {
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
	return os.WriteFile(filepath.Join(guestOut, file), data, 0o644)
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
