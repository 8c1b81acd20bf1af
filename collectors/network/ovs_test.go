package network

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// ovs is an Open vSwitch of a test's own: ovsdb-server and ovs-vswitchd in the
// test's directory and network namespace, with the datapath in user space.
type ovs struct {
	t    *testing.T
	n    *namespace
	dir  string
	pids map[string]int
}

func (o *ovs) socket() string { return filepath.Join(o.dir, "db.sock") }

func startOVS(t *testing.T, n *namespace) *ovs {
	t.Helper()
	o := prepareOVS(t, n)
	o.startServer()
	o.vsctl("--no-wait", "init")
	o.daemon("ovs-vswitchd", "unix:"+o.socket())
	return o
}

// prepareOVS makes the database.
func prepareOVS(t *testing.T, n *namespace) *ovs {
	t.Helper()
	dir, err := os.MkdirTemp("", "ovs") // a unix socket's path is at most 107 bytes long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := &ovs{t, n, dir, map[string]int{}}
	o.run("ovsdb-tool", "create", filepath.Join(dir, "conf.db"), "/usr/share/openvswitch/vswitch.ovsschema")
	return o
}

func (o *ovs) startServer() {
	o.t.Helper()
	o.daemon("ovsdb-server", filepath.Join(o.dir, "conf.db"), "--remote=punix:"+o.socket())
}

// stop ends a daemon as its unit would, and waits until it has tidied up.
func (o *ovs) stop(name string) {
	o.t.Helper()
	if err := syscall.Kill(o.pids[name], syscall.SIGTERM); err != nil {
		o.t.Fatal(err)
	}
	control := filepath.Join(o.dir, name+".ctl")
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(control); errors.Is(err, fs.ErrNotExist) {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("%s doesn't end", name)
		}
	}
}

// daemon starts one that is ready when its control socket is there.
func (o *ovs) daemon(name string, args ...string) {
	o.t.Helper()
	control := filepath.Join(o.dir, name+".ctl")
	cmd := exec.Command(name, append(args, "--unixctl="+control, "-vconsole:off", "-vsyslog:off", "--log-file="+filepath.Join(o.dir, name+".log"))...)
	cmd.Env = o.environ()
	o.n.do(cmd.Start)
	o.pids[name] = cmd.Process.Pid
	o.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(control); err == nil {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(o.dir, name+".log"))
			o.t.Fatalf("%s doesn't come up:\n%s", name, log)
		}
	}
}

func (o *ovs) environ() []string {
	return append(os.Environ(), "OVS_RUNDIR="+o.dir, "OVS_LOGDIR="+o.dir, "OVS_DBDIR="+o.dir)
}

func (o *ovs) run(name string, args ...string) {
	o.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = o.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("%s (package openvswitch-switch): %v\n%s", cmd, err, out)
	}
}

func (o *ovs) vsctl(args ...string) {
	o.t.Helper()
	o.run("ovs-vsctl", append([]string{"--timeout=20", "--db=unix:" + o.socket()}, args...)...)
}

// labOVS has a port of each sort: access, tagged with 0, trunk, native VLAN,
// bond, patch, tunnel.
func labOVS(t *testing.T) *ovs {
	n := newNamespace(t)
	for i, tap := range []string{"vnet0", "vnet1", "vnet2", "vnet3"} {
		n.add(&netlink.Tuntap{LinkAttrs: attrs(tap, 0), Mode: netlink.TUNTAP_MODE_TAP})
		n.must(n.LinkSetHardwareAddr(n.link(tap), attrs("", byte(i+1)).HardwareAddr))
	}
	n.add(&netlink.Veth{LinkAttrs: attrs("eno1", 11), PeerName: "wire1", PeerHardwareAddr: attrs("", 12).HardwareAddr})
	n.add(&netlink.Veth{LinkAttrs: attrs("eno2", 13), PeerName: "wire2", PeerHardwareAddr: attrs("", 14).HardwareAddr})
	o := startOVS(t, n)
	o.vsctl("add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev", "other_config:hwaddr=52:54:00:aa:00:21")
	o.vsctl("add-br", "br-ex", "--", "set", "bridge", "br-ex", "datapath_type=netdev", "other_config:hwaddr=52:54:00:aa:00:22")
	o.vsctl("add-port", "br-int", "vnet0", "tag=120", "--", "set", "interface", "vnet0",
		"external_ids:attached-mac=52:54:00:12:34:56", "external_ids:iface-id=9c1f4a7e-5f57-4f38-8a8a-3b6f3f8e6f10",
		"external_ids:vm-id=0f7b1c4e-3a53-4d4e-9a51-d1a5b8b0c3d2", "external_ids:iface-status=active")
	o.vsctl("add-port", "br-int", "vnet1", "tag=0")
	o.vsctl("add-port", "br-int", "vnet2", "trunks=30,10,20")
	o.vsctl("add-port", "br-int", "vnet3", "tag=99", "trunks=100", "vlan_mode=native-untagged")
	n.up("eno1", "wire1") // and not eno2, so that it is known which member is active
	o.vsctl("set-fail-mode", "br-ex", "secure", "--", "set-controller", "br-ex", "punix:"+o.dir+"/ex.controller")
	o.vsctl("add-bond", "br-ex", "bond0", "eno1", "eno2", "bond_mode=balance-slb")
	o.vsctl("add-port", "br-int", "int-ex", "--", "set", "interface", "int-ex", "type=patch", "options:peer=ex-int")
	o.vsctl("add-port", "br-ex", "ex-int", "--", "set", "interface", "ex-int", "type=patch", "options:peer=int-ex")
	o.vsctl("add-port", "br-int", "vx0", "--", "set", "interface", "vx0", "type=vxlan", "options:remote_ip=192.0.2.1")
	return o
}

// observe makes a pass, and leaves out what OVS rolls dice for: one link, and
// the MACs of patch interfaces and tunnels.
func (o *ovs) observe() *inventory.Observation {
	seen := collect(o.t, &Collector{NetNS: o.n.path(), OVSDB: o.socket(), Root: "/nonexistent"})
	seen.Links = slices.DeleteFunc(seen.Links, func(l inventory.Link) bool { return l.Name == "ovs-netdev" })
	for _, bridge := range seen.OVSBridges {
		for _, port := range bridge.Ports {
			for i, iface := range port.Interfaces {
				if iface.Type == "patch" || iface.Type == "vxlan" {
					port.Interfaces[i].MAC = inventory.MAC{}
				}
			}
		}
	}
	return seen
}

func TestOpenVSwitch(t *testing.T) {
	o := labOVS(t)
	c := &Collector{NetNS: o.n.path(), OVSDB: o.socket(), Root: t.TempDir()}
	golden(t, "ovs.json", settleTime, o.observe)

	t.Run("one port more", func(t *testing.T) {
		before := collect(t, c)
		if again := collect(t, c); again.Digest != before.Digest {
			t.Error("two passes over one state differ in their digest")
		}
		o.vsctl("set", "port", "vnet0", "tag=121")
		after := collect(t, c)
		if after.Digest == before.Digest || *portNamed(t, after, "vnet0").Tag != 121 {
			t.Errorf("tag is %d, digest before %s and after %s", *portNamed(t, after, "vnet0").Tag, before.Digest, after.Digest)
		}
	})
	t.Run("refused to others", func(t *testing.T) { refusedToOthers(t, o) })
	t.Run("hung", func(t *testing.T) { hungServer(t, o) })
}

func portNamed(t *testing.T, o *inventory.Observation, name string) inventory.OVSPort {
	t.Helper()
	for _, br := range o.OVSBridges {
		for _, p := range br.Ports {
			if p.Name == name {
				return p
			}
		}
	}
	t.Fatalf("no port %q on %d bridges", name, len(o.OVSBridges))
	return inventory.OVSPort{}
}

// Debian's ovsdb-server lets root alone connect.
func refusedToOthers(t *testing.T, o *ovs) {
	root := openDir(t)
	run := filepath.Join(root, "run/openvswitch")
	if err := os.MkdirAll(run, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(o.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(o.socket(), filepath.Join(run, "db.sock")); err != nil {
		t.Fatal(err)
	}
	asRoot, nobody := collect(t, &Collector{NetNS: o.n.path(), Root: root}), observeAsNobody(t, o.n, root)
	if len(asRoot.OVSBridges) != 2 || asRoot.Outcome != inventory.OutcomeComplete {
		t.Fatalf("root sees %d bridges, problems %v", len(asRoot.OVSBridges), asRoot.Problems)
	}
	if diff := cmp.Diff(asRoot.Links, nobody.Links); diff != "" || !nobody.Complete {
		t.Errorf("links (-root +nobody), complete %t:\n%s", nobody.Complete, diff)
	}
	p, hidden := nobody.ProblemOf("", "ovsBridge.ports")
	if !hidden || p.Why != inventory.WhyRefused || !strings.Contains(p.Remedy, "let the agent's user open") {
		t.Errorf("problem %+v", p)
	}
}

// ovsdb-server that is stopped still has its connections accepted by the kernel.
func hungServer(t *testing.T, o *ovs) {
	pid := o.pids["ovsdb-server"]
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	seen := (&collectors.Runner{Collector: &Collector{NetNS: o.n.path(), OVSDB: o.socket(), Root: t.TempDir()}}).Run(ctx)
	p, hidden := seen.ProblemOf("", "ovsBridge.ports")
	if !hidden || p.Why != inventory.WhyTimedOut || p.Remedy == "" {
		t.Errorf("problems %+v", seen.Problems)
	}
	if !seen.Complete || len(seen.Links) == 0 {
		t.Errorf("complete %t with %d links", seen.Complete, len(seen.Links))
	}
}

// A host without OVS is the usual case.
func TestNoDatabaseIsNoProblem(t *testing.T) {
	n := newNamespace(t)
	o := collect(t, &Collector{NetNS: n.path(), Root: t.TempDir()})
	if o.Outcome != inventory.OutcomeComplete || len(o.Problems) != 0 || o.OVSBridges != nil {
		data, _ := json.Marshal(o)
		t.Errorf("observation %s", data)
	}
	if _, declared := o.Capability("ovsPort.tag"); !declared {
		t.Error("the capability went with the switch")
	}
}
