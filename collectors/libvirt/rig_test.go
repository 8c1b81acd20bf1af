package libvirt

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/test/rig"
)

var richUUID = uuid.MustParse("11111111-2222-4333-8444-555555555551")

// richHost is a host with the guest of testdata/guests/rich.xml, defined: on
// Open vSwitch, a Linux bridge and a libvirt network, with a backing chain of
// two below its root disk.
func richHost(t testing.TB) *rig.Rig {
	t.Helper()
	r := rig.ForTest(t)
	run(t, r, "ip", "link", "add", "br0", "type", "bridge")
	run(t, r, "ip", "link", "set", "br0", "up")
	must(t)(r.VSCtl("add-br", "ovsbr0", "--", "set", "bridge", "ovsbr0", "datapath_type=netdev"))
	must(t)(r.CreateBootImage("base.qcow2", 1<<20))
	must(t)(r.CreateImage("mid.qcow2", 1<<20, "base.qcow2"))
	must(t)(r.CreateImage("top.qcow2", 2<<30, "mid.qcow2"))
	for name, size := range map[string]int{"data.raw": 64 << 20, "cd.iso": 1 << 20} {
		if err := os.WriteFile(r.Outside(rig.ImagePath(name)), make([]byte, size), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	virsh(t, r, string(read(t, "testdata/guests/network.xml")), "net-define")
	must(t)(r.Virsh("net-start", "tenants"))
	if err := r.Define(string(read(t, "testdata/guests/rich.xml"))); err != nil {
		t.Fatal(err)
	}
	return r
}

// virsh runs a virsh command that reads XML from a file.
func virsh(t testing.TB, r *rig.Rig, xml string, args ...string) {
	t.Helper()
	path := "/var/lib/libvirt/input.xml"
	if err := os.WriteFile(r.Outside(path), []byte(xml), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t)(r.Virsh(append([]string{args[0], path}, args[1:]...)...))
}

// plain is a guest with nothing but a disk where image isn't empty.
func plain(name string, n int, image string) string {
	disk := ""
	if image != "" {
		disk = fmt.Sprintf(`<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='%s'/><target dev='vda' bus='virtio'/></disk>`, image)
	}
	return fmt.Sprintf(`<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os><devices>%s</devices></domain>`, name, plainUUID(n), disk)
}

func plainUUID(n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
}

func definePlain(t testing.TB, r *rig.Rig, n int) string {
	t.Helper()
	name := fmt.Sprintf("plain-%d", n)
	if err := r.Define(plain(name, n, "")); err != nil {
		t.Fatal(err)
	}
	return name
}

// open is a collector on the rig, closed with the test.
func open(t testing.TB, r *rig.Rig) *Collector {
	return closed(t, &Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, Root: r.Dir()})
}

func closed(t testing.TB, c *Collector) *Collector {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func collect(t testing.TB, c *Collector) *inventory.Observation {
	return (&collectors.Runner{Collector: c}).Run(t.Context())
}

// complete makes a pass that must be complete.
func complete(t testing.TB, c *Collector) *inventory.Observation {
	t.Helper()
	o := collect(t, c)
	if o.Outcome != inventory.OutcomeComplete {
		t.Fatalf("outcome is %s: %+v", o.Outcome, o.Problems)
	}
	return o
}

func vmOf(t testing.TB, o *inventory.Observation, id uuid.UUID) inventory.VM {
	t.Helper()
	for _, vm := range o.VMs {
		if vm.UUID == id {
			return vm
		}
	}
	t.Fatalf("VM %s is not in the document: %+v", id, o.Problems)
	return inventory.VM{}
}

// eventually polls until what is awaited is there.
func eventually(t testing.TB, what string, there func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !there(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}

func run(t testing.TB, r *rig.Rig, name string, args ...string) string {
	t.Helper()
	return must(t)(r.Run(name, args...))
}

// signalGuest sends a signal to a guest's QEMU process.
func signalGuest(t testing.TB, r *rig.Rig, name, signal string) {
	t.Helper()
	run(t, r, "sh", "-c", `kill -s "$1" "$(cat "/run/libvirt/qemu/$2.pid")"`, "sh", signal, name)
}

func must(t testing.TB) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(s)
	}
}
