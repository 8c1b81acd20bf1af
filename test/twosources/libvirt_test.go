package twosources

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/collectors/qemu"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/test/rig"
)

const guest = `<domain type='qemu'><name>web-01</name><uuid>%s</uuid><memory unit='MiB'>32</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><interface type='ethernet'><mac address='52:54:00:aa:00:01'/><model type='virtio'/></interface></devices></domain>`

var (
	guestID = uuid.MustParse("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001")
	hostID  = uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e002")
)

// host is a rig's libvirt with both collectors over it.
type host struct {
	t       *testing.T
	rig     *rig.Rig
	sources []collectors.Collector
}

func newHost(t *testing.T) *host {
	r := rig.ForTest(t)
	if err := r.Define(fmt.Sprintf(guest, guestID)); err != nil {
		t.Fatal(err)
	}
	if err := r.StartVMPaused("web-01"); err != nil {
		t.Fatal(err)
	}
	byDaemon := &libvirt.Collector{Sockets: []string{r.LibvirtReadOnlySocket()}, Root: r.Dir(), CallTimeout: 5 * time.Second}
	byProcess := &qemu.Collector{Root: filepath.Join(filepath.Dir(filepath.Dir(r.NetNS())), "root"), NetNS: r.NetNS()}
	t.Cleanup(func() { byDaemon.Close(); byProcess.Close() })
	return &host{t, r, []collectors.Collector{byDaemon, byProcess}}
}

// reconcile passes over the host and holds it against a record of the VM.
func (h *host) reconcile() *reconcile.Result {
	h.t.Helper()
	now := time.Now()
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: now, Intended: &sentral.Inventory{
		Sites: []sentral.Site{{ID: "osl1"}},
		Hosts: []sentral.Host{{ID: "hv1", HostID: hostID, Site: "osl1", Platform: "libvirt"}},
		VMs:   []sentral.VM{{ID: guestID.String(), Name: "web-01", Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", Host: "hv1"}},
	}}
	for _, c := range h.sources {
		o := (&collectors.Runner{Collector: c, Timeout: time.Minute}).Run(h.t.Context())
		o.Host, o.Site, o.Epoch, o.Gen = hostID, "osl1", 1, 1
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: now})
	}
	return reconcile.Reconcile(in)
}

// seen is the one VM of a result.
func (h *host) seen(result *reconcile.Result) *reconcile.ObservedVM {
	h.t.Helper()
	if len(result.VMs) != 1 || result.VMs[0].Observed == nil {
		h.t.Fatalf("VMs %+v: want one that is seen", result.VMs)
	}
	return result.VMs[0].Observed
}

func kinds(result *reconcile.Result) map[reconcile.Kind]int {
	n := map[reconcile.Kind]int{}
	for _, f := range result.Findings {
		n[f.Kind]++
	}
	return n
}

func TestLibvirtLeads(t *testing.T) {
	h := newHost(t)
	result := h.reconcile()
	vm := h.seen(result)
	if vm.Source != "runtime-libvirt" || len(vm.Also) != 1 || vm.Also[0] != "runtime-qemu" || vm.Platform != "libvirt" || vm.State != inventory.StatePaused {
		t.Errorf("VM is %s by %s, also by %v, of %s", vm.State, vm.Source, vm.Also, vm.Platform)
	}
	byProcess := (&collectors.Runner{Collector: h.sources[1], Timeout: time.Minute}).Run(t.Context())
	collectorstest.Prove(t, "../../collectors/qemu/"+collectorstest.ProofFile, "TestLibvirtLeads", byProcess)
	if n := kinds(result); n[reconcile.ObserveConflict]+n[reconcile.VMUnknown]+n[reconcile.VMMissing]+n[reconcile.ObservePartial] > 0 {
		t.Errorf("findings: %v", n)
	}
}

// While the daemon hangs its VM is seen by its process, and nothing is missing;
// once it stops, libvirt keeps it.
func TestProcessWhereTheDaemonHangs(t *testing.T) {
	h := newHost(t)
	if err := h.rig.PauseLibvirtd(); err != nil {
		t.Fatal(err)
	}
	result := h.reconcile()
	if vm := h.seen(result); vm.Source != "runtime-qemu" || vm.Platform != "libvirt" || vm.NICs[0].Link == "" {
		t.Errorf("while the daemon hangs: by %s, of %s, NICs %+v", vm.Source, vm.Platform, vm.NICs)
	}
	if n := kinds(result); n[reconcile.VMMissing] > 0 || n[reconcile.ObserveBlind] == 0 {
		t.Errorf("while the daemon hangs: %v", n)
	}
	if err := h.rig.ResumeLibvirtd(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.rig.Virsh("destroy", "web-01"); err != nil {
		t.Fatal(err)
	}
	result = h.reconcile()
	if vm := h.seen(result); vm.State != inventory.StateStopped || vm.Source != "runtime-libvirt" || len(vm.Also) > 0 {
		t.Errorf("once it is stopped: %s by %s, also by %v", vm.State, vm.Source, vm.Also)
	}
	if n := kinds(result); n[reconcile.VMMissing] > 0 || n[reconcile.VMState] == 0 {
		t.Errorf("once it is stopped: %v", n)
	}
}
