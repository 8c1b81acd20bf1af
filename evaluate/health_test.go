package evaluate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// healthOf reconciles six hosts, each in another state, and counts them.
func healthOf(t *testing.T, platform string) Health {
	t.Helper()
	intended := &sentral.Inventory{Sites: []sentral.Site{{ID: "osl1"}, {ID: "trd1"}}, ReadAt: now}
	for i, name := range []string{"live", "silent", "blind", "partial", "refused", "unheard", "elsewhere", "planned"} {
		h := sentral.Host{ID: "hv-" + name, HostID: id(i + 1), Site: "osl1", Platform: "libvirt"}
		switch name {
		case "elsewhere":
			h.Site = "trd1" // its own reconciler counts it
		case "planned":
			h.State = sentral.HostPlanned
		case "blind":
			h.Platform = "incus"
		}
		intended.Hosts = append(intended.Hosts, h)
	}
	for i, name := range []string{"same", "differs"} {
		intended.VMs = append(intended.VMs, sentral.VM{ID: id(100 + i).String(), Name: name, Tenant: "acme", Project: "web", Site: "osl1", Host: "hv-live", State: sentral.VMRunning})
	}
	intended.Projects = []sentral.Project{{Tenant: "acme", ID: "web"}}
	runtime := func(vms ...inventory.VM) inventory.Observation {
		return inventory.Observation{Capabilities: capable([]inventory.Field{"vm.uuid", "vm.state"}),
			Body: inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}, VMs: vms}}
	}
	vm := func(n int, name string, state inventory.State) inventory.VM {
		return inventory.VM{UUID: id(n), Name: name, State: state, Placement: &inventory.Placement{VM: id(n).String(), Tenant: "acme", Project: "web"}}
	}
	live := runtime(vm(100, "same", inventory.StateRunning), vm(101, "differs", inventory.StateStopped))
	documents := []reconcile.Document{
		document(1, "runtime-libvirt", live), document(2, "runtime-libvirt", runtime()), document(3, "runtime-libvirt", runtime()),
		document(4, "runtime-libvirt", runtime()), document(5, "runtime-libvirt", runtime()),
	}
	documents[2].Outcome, documents[2].Complete = inventory.OutcomeFailed, false
	documents[3].Outcome = inventory.OutcomePartial
	documents[3].Problems = []inventory.Problem{{Entity: "", Field: "vm.memory", Call: "virConnect", Why: inventory.WhyRefused, Error: "permission denied"}}
	in := reconcile.Input{Intended: intended, Observed: documents, Policy: reconcile.DefaultPolicy(), Now: now,
		Heard: map[uuid.UUID]time.Time{id(2): now.Add(-time.Hour)},
		Refused: []reconcile.Refusal{{Host: id(5), Site: "osl1", Reason: "its state directory was copied", At: now},
			{Host: id(99), Site: "osl1", Reason: strings.Repeat("long ", 200), At: now}}}
	agents := map[uuid.UUID]Agent{id(1): {Version: "v1", Skew: 300 * time.Millisecond}, id(2): {Version: "v0"}, id(4): {Version: "v1", Skew: -7 * time.Second}}
	return HealthOf(reconcile.Reconcile(in), agents, "osl1", HostsAsked{Platform: platform}, now)
}

func TestHealth(t *testing.T) {
	h := healthOf(t, "")
	want := map[HostState]int{HostLive: 1, HostSilent: 1, HostBlind: 1, HostPartial: 1, HostRefused: 2, HostUnheard: 1}
	if diff := cmp.Diff(want, h.Whole.Hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"v1": 2, "v0": 1}, h.Whole.Versions); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if h.Whole.VMs != 2 || h.Whole.Agreeing != 1 || h.Whole.Total() != 7 {
		t.Errorf("the whole: %+v", h.Whole)
	}
	var order []string
	for _, host := range h.Hosts {
		order = append(order, host.Host+" "+string(host.State))
		if len(host.Why) == 0 || len(host.Why[0]) > maxWhyBytes+3 {
			t.Errorf("%s: why it should be looked at: %q", host.Host, host.Why)
		}
	}
	if diff := cmp.Diff([]string{id(99).String() + " refused", "hv-refused refused", "hv-unheard unheard", "hv-silent silent", "hv-blind blind", "hv-partial partial"}, order); diff != "" {
		t.Errorf("worst first (-want +got):\n%s", diff)
	}
	if partial := h.Hosts[5]; partial.Skew != -7*time.Second || partial.Version != "v1" || partial.LastHeard.IsZero() {
		t.Errorf("what is known of one: %+v", partial)
	}
}

func TestHealthOfAPlatform(t *testing.T) {
	h := healthOf(t, "incus")
	if len(h.Hosts) != 1 || h.Hosts[0].Host != "hv-blind" {
		t.Errorf("hosts: %+v", h.Hosts)
	}
	var names []string
	for _, f := range h.Platforms {
		names = append(names, f.Platform)
	}
	if diff := cmp.Diff([]string{"incus", "libvirt"}, names); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
}

// Two sites' worth is twice one's.
func TestMergeHealth(t *testing.T) {
	one := healthOf(t, "")
	both := MergeHealth(one, one)
	if both.Whole.Total() != 2*one.Whole.Total() || both.Whole.VMs != 4 || len(both.Hosts) != 2*len(one.Hosts) || both.Platforms[1].Hosts[HostSilent] != 2 {
		t.Errorf("merged: %+v", both)
	}
	if one.Whole.Total() != 7 {
		t.Error("a part was written to")
	}
}
