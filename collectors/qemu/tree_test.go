package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// madeUp is a host's tree of processes, for what can't be had here or not at will.
type madeUp struct {
	t    testing.TB
	root string
}

func newMadeUp(t testing.TB) *madeUp {
	m := &madeUp{t, emptyHost(t)}
	m.process(1, 0, 2, "/sbin/init")
	return m
}

func (m *madeUp) write(path, text string) {
	m.t.Helper()
	path = filepath.Join(m.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// process adds one, whose name is its program's, cut as the kernel does.
func (m *madeUp) process(pid, parent int, started uint64, argv ...string) {
	m.t.Helper()
	comm := filepath.Base(argv[0])
	comm = comm[:min(len(comm), 15)]
	m.write(procFile(pid, "cmdline"), strings.Join(argv, "\x00")+"\x00")
	m.write(procFile(pid, "comm"), comm+"\n")
	m.write(procFile(pid, "stat"), fmt.Sprintf("%d (%s) S %d 1 1 0 -1 4 1 0 0 0 1 1 0 0 20 0 6 0 %d 1 2\n", pid, comm, parent, started))
}

func (m *madeUp) collect() *inventory.Observation {
	m.t.Helper()
	return collect(m.t, closed(m.t, &Collector{Root: m.root}))
}

// A pod's process tree tells KubeVirt, whose libvirt nobody outside the pod sees.
// Of the shape that its virt-launcher gives: not verified on the real thing.
func TestKubeVirtByItsLauncher(t *testing.T) {
	m := newMadeUp(t)
	m.process(100, 1, 10, "/usr/bin/virt-launcher-monitor", "--qemu-timeout", "300s")
	m.process(120, 100, 11, "/usr/bin/virt-launcher", "--name", "web-01")
	m.process(150, 100, 12, "/usr/libexec/qemu-kvm", "-name", "guest=default_web-01,debug-threads=on", "-S", "-uuid", richUUID,
		"-chardev", "socket,id=charmonitor,fd=19,server=on,wait=off", "-mon", "chardev=charmonitor,id=monitor,mode=control", "-nodefaults")
	o := m.collect()
	if vm := only(t, o); vm.Manager == nil || vm.Manager.Name != "kubevirt" || o.Runtime.Platform != "kubevirt" {
		t.Errorf("manager %+v, platform %s", vm.Manager, o.Runtime.Platform)
	}
}

// A PID that was given again between two passes is another VM.
func TestPIDIsGivenAgain(t *testing.T) {
	m := newMadeUp(t)
	c := closed(t, &Collector{Root: m.root})
	m.process(150, 1, 12, "/usr/bin/qemu-system-x86_64", "-name", "first")
	if vm := only(t, collect(t, c)); vm.Name != "first" {
		t.Errorf("VM %+v", vm)
	}
	m.process(150, 1, 99, "/usr/bin/qemu-system-x86_64", "-name", "second")
	if vm := only(t, collect(t, c)); vm.Name != "second" {
		t.Errorf("after the PID was given again: %+v", vm)
	}
}

// Where the processes of others are hidden, or none is there at all, nothing is
// concluded from what doesn't show.
func TestHiddenProcesses(t *testing.T) {
	m := newMadeUp(t)
	m.process(150, 1, 12, "/usr/bin/qemu-system-x86_64", "-name", "ours")
	if err := os.RemoveAll(filepath.Join(m.root, "proc/1")); err != nil { // as with hidepid=2
		t.Fatal(err)
	}
	o := m.collect()
	if o.Complete || len(o.VMs) != 1 || o.Outcome != inventory.OutcomePartial || o.Problems[0].Why != inventory.WhyRefused || o.Problems[0].Remedy == "" {
		t.Errorf("outcome %s, VMs %v, problems %v", o.Outcome, o.VMs, o.Problems)
	}
	for _, gone := range []string{"proc/150", "proc"} { // as in a capture without /proc
		if err := os.RemoveAll(filepath.Join(m.root, gone)); err != nil {
			t.Fatal(err)
		}
		if o := m.collect(); o.Complete {
			t.Errorf("without %s the pass is complete", gone)
		}
	}
}

// A host that could run QEMU and has no process of it runs no VMs, which is known.
func TestInstalledAndIdle(t *testing.T) {
	m := newMadeUp(t)
	m.write("/usr/bin/qemu-system-x86_64", "")
	if o := m.collect(); !o.Complete || len(o.VMs) != 0 || o.Runtime.Platform != "qemu" {
		t.Errorf("complete %v, %v", o.Complete, o.Problems)
	}
}

func TestProxmoxTree(t *testing.T) {
	o := collect(t, closed(t, &Collector{Root: collectorstest.Tree(t, "testdata/proxmox.txtar")}))
	vm := only(t, o)
	if vm.Placement == nil || vm.Placement.VM != richUUID || vm.Name != "web-01" || o.Runtime.Platform != "proxmox-ve" || len(vm.NICs) != 2 || vm.NICs[1].Link != "tap100i1" {
		t.Errorf("VM %+v, platform %s, problems %v", vm, o.Runtime.Platform, o.Problems)
	}
	if got := parseTags("tags: a;dv-vm-x,b\n"); got != "x" {
		t.Errorf("tag is %q", got)
	}
	if got := parseTags("name: a\n\n[snapshot]\ntags: dv-vm-x\n"); got != "" {
		t.Errorf("a snapshot's tag is %q", got)
	}
}
