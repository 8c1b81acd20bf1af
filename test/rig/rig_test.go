package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// libvirtSocket is libvirtd's read-write socket, as seen inside.
const libvirtSocket = "/run/libvirt/libvirt-sock"

// guestXML is a domain over an image, on an Open vSwitch port with a tag.
func guestXML(name, image string, tag int) string {
	return fmt.Sprintf(`<domain type='qemu'>
  <name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'><source bridge='br0'/><virtualport type='openvswitch'/><vlan><tag id='%d'/></vlan><model type='virtio'/></interface>
  </devices>
</domain>`, name, image, tag)
}

// addGuest makes the bridge, if need be, and a defined guest.
func addGuest(t *testing.T, r *Rig, name string, tag int) {
	t.Helper()
	must(t)(r.VSCtl("--may-exist", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"))
	image := must(t)(r.CreateBootImage(name+".qcow2", 1<<20))
	if err := r.Define(guestXML(name, image, tag)); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// tapOf returns the host's link for the guest's only NIC.
func tapOf(t *testing.T, r *Rig, name string) string {
	t.Helper()
	fields := strings.Fields(must(t)(r.Virsh("domiflist", name)))
	if len(fields) == 0 {
		t.Fatalf("%s has no interface", name)
	}
	return fields[0]
}

func TestGuestOnOpenVSwitchPort(t *testing.T) {
	r := ForTest(t)
	addGuest(t, r, "web-01", 120)
	if err := r.StartVM("web-01"); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(r.Virsh("domstate", "web-01")); strings.TrimSpace(got) != "running" {
		t.Errorf("state is %q, want running", got)
	}
	tap := tapOf(t, r, "web-01")
	if got := must(t)(r.VSCtl("get", "port", tap, "tag")); got != "120" {
		t.Errorf("tag of %s is %q, want 120", tap, got)
	}
	if got := must(t)(r.Run("ls", "/sys/class/net")); !strings.Contains(got, tap) {
		t.Errorf("%s is not among the links of /sys/class/net: %q", tap, got)
	}

	addGuest(t, r, "web-02", 121)
	if err := r.StartVMPaused("web-02"); err != nil {
		t.Fatal(err)
	}
	if got := must(t)(r.Virsh("domstate", "web-02")); strings.TrimSpace(got) != "paused" {
		t.Errorf("state is %q, want paused", got)
	}
	// A guest that ends is reaped: libvirtd would wait 15 s for one that isn't.
	start := time.Now()
	must(t)(r.Virsh("destroy", "web-01"))
	t.Logf("destroy took %s", time.Since(start))
	if got := must(t)(r.Run("sh", "-c", "cat /proc/[0-9]*/status | grep -c '^State:.Z' || true")); got != "0" {
		t.Errorf("%s zombies are left, want none", got)
	}
}

func TestImageLayers(t *testing.T) {
	r := ForTest(t)
	must(t)(r.CreateBootImage("base.qcow2", 1<<20))
	top := must(t)(r.CreateImage("top.qcow2", 1<<30, "base.qcow2"))
	info := must(t)(r.Run("qemu-img", "info", "--output=json", top))
	for _, want := range []string{`"virtual-size": 1073741824`, `"backing-filename": "` + ImagePath("base.qcow2") + `"`} {
		if !strings.Contains(info, want) {
			t.Errorf("qemu-img info doesn't say %s:\n%s", want, info)
		}
	}
	if _, err := os.Stat(r.Outside(top)); err != nil {
		t.Error(err)
	}
	if found, _ := filepath.Glob(r.Outside(imagesPath) + "/*.raw"); len(found) > 0 {
		t.Errorf("left behind: %v", found)
	}
}

func TestSocketsAreReachableFromOutside(t *testing.T) {
	r := ForTest(t)
	for _, path := range []string{r.Outside(libvirtSocket), r.LibvirtReadOnlySocket(), r.Outside("/run/openvswitch/db.sock")} {
		conn, err := net.Dial("unix", path)
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
	info, err := os.Stat(r.LibvirtReadOnlySocket())
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o777 {
		t.Errorf("read-only socket has mode %v, want 0777", info.Mode().Perm())
	}
}

// Everything that the daemons write lands in the rig's directory: the paths that
// they know are the rig's own files.
func TestMachineIsCovered(t *testing.T) {
	r := ForTest(t)
	addGuest(t, r, "rig-covers-this", 1)
	for _, path := range covered {
		inside, err := os.Stat(fmt.Sprintf("/proc/%d/root%s", r.init.PID, path))
		if err != nil {
			t.Error(err)
			continue
		}
		ours, err := os.Stat(r.Outside(path))
		if err != nil {
			t.Error(err)
			continue
		}
		if !os.SameFile(inside, ours) {
			t.Errorf("%s inside is not %s", path, r.Outside(path))
		}
	}
	for _, path := range []string{"/etc/libvirt/qemu/rig-covers-this.xml", imagesPath + "/rig-covers-this.qcow2"} {
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("%s is on the machine: %v", path, err)
		}
		if _, err := os.Stat(r.Outside(path)); err != nil {
			t.Error(err)
		}
	}
	machine, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if own, err := os.Readlink(r.NetNS()); err != nil || own == machine {
		t.Errorf("network namespace is %q (%v), the machine's is %q", own, err, machine)
	}
	if name := must(t)(r.Run("hostname")); name != "rig" {
		t.Errorf("hostname inside is %q", name)
	}
}

func TestTwoRigsDoNotSeeEachOther(t *testing.T) {
	a, b := ForTest(t), ForTest(t)
	addGuest(t, a, "only-in-a", 10)
	addGuest(t, b, "only-in-b", 20)
	for _, r := range []*Rig{a, b} {
		if err := r.StartVMPaused("only-in-" + map[*Rig]string{a: "a", b: "b"}[r]); err != nil {
			t.Fatal(err)
		}
	}
	if got := must(t)(a.Virsh("list", "--all", "--name")); strings.TrimSpace(got) != "only-in-a" {
		t.Errorf("a has guests %q", got)
	}
	if got := must(t)(b.Virsh("list", "--all", "--name")); strings.TrimSpace(got) != "only-in-b" {
		t.Errorf("b has guests %q", got)
	}
	// Both taps have the same name: they are in different networks.
	if x, y := tapOf(t, a, "only-in-a"), tapOf(t, b, "only-in-b"); x != y {
		t.Errorf("taps are %s and %s, want one name twice", x, y)
	}
	if x, y := must(t)(a.Run("cat", "/etc/machine-id")), must(t)(b.Run("cat", "/etc/machine-id")); x == y {
		t.Errorf("both hosts have machine-id %s", x)
	}
}

func TestLibvirtdDiesAndComesBack(t *testing.T) {
	r := ForTest(t)
	addGuest(t, r, "survivor", 120)
	if err := r.StartVM("survivor"); err != nil {
		t.Fatal(err)
	}
	guest := must(t)(r.Run("cat", "/run/libvirt/qemu/survivor.pid"))

	if err := r.KillLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("unix", r.Outside(libvirtSocket)); err == nil {
		conn.Close()
		t.Error("a dead libvirtd accepted a connection")
	}
	if err := r.RestartLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if err := r.RestartLibvirtd(); err != nil { // of one that runs
		t.Fatal(err)
	}
	if got := must(t)(r.Virsh("domstate", "survivor")); strings.TrimSpace(got) != "running" {
		t.Errorf("state is %q after the restart, want running", got)
	}
	if got := must(t)(r.Run("cat", "/run/libvirt/qemu/survivor.pid")); got != guest {
		t.Errorf("guest is process %s, was %s", got, guest)
	}
}

func TestLibvirtdHangsAndGoesOn(t *testing.T) {
	r := ForTest(t)
	if err := r.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", r.Outside(libvirtSocket))
	if err != nil {
		t.Fatalf("a hung libvirtd's socket takes connections: %v", err)
	}
	conn.Close()
	state := must(t)(r.Run("sh", "-c", `grep '^State:' /proc/$(cat /run/libvirtd.pid)/status`))
	if !strings.Contains(state, "T (stopped)") {
		t.Errorf("libvirtd is in %q, want stopped", state)
	}
	if err := r.ResumeLibvirtd(); err != nil {
		t.Fatal(err)
	}
	must(t)(r.Virsh("list"))
	if err := r.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if err := r.RestartLibvirtd(); err != nil {
		t.Fatal(err)
	}
}

func TestCommandEndsWithItsContext(t *testing.T) {
	r := ForTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := r.Command(ctx, "sh", "-c", "echo started; sleep 3600")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if _, err := out.Read(buf); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := cmd.Wait(); err == nil {
		t.Error("command ended well, want killed")
	}
	awaitTrue(t, "the command inside is gone", func() bool {
		return must(t)(r.Run("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c 'echo [s]tarted' || true")) == "0"
	})
}

func TestRunSaysWhatWentWrong(t *testing.T) {
	r := ForTest(t)
	_, err := r.Virsh("start", "nobody")
	if err == nil || !strings.Contains(err.Error(), "failed to get domain 'nobody'") {
		t.Errorf("error is %v, want virsh's own words", err)
	}
}

// awaitTrue polls for a state that somebody else's process brings about.
func awaitTrue(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
