package reconcile_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/seed"
	"github.com/dataverket/avstem/sentral"
)

// genTangle draws both books from so few marks that copies, ties, clones,
// contradictions and halves are the rule.
func genTangle(t *rapid.T) reconcile.Input {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	id := func(label string) uuid.UUID {
		return rapid.SampledFrom([]uuid.UUID{{}, {1, 2, 3, 4, 5, 6, 7, 8}, inventory.SwapUUID(uuid.UUID{1, 2, 3, 4, 5, 6, 7, 8}), {2, 0, 0, 1}, {3, 0, 0, 1}}).Draw(t, label)
	}
	mac := func() inventory.MAC {
		return inventory.MAC{0x52, 0, 0, 0, 0, byte(rapid.IntRange(0, 3).Draw(t, "mac"))}
	}
	vlan := inventory.VLAN(110)
	inv := &sentral.Inventory{
		Networks: []sentral.Network{{ID: "n", Tenant: "t", Project: "p", VLANs: map[string]inventory.VLAN{"s1": 110}}, {ID: "m", Tenant: "u", Project: "p", VLANs: map[string]inventory.VLAN{"s1": 120}}},
		Images:   []sentral.Image{{ID: "i", Version: "1", Source: "/i"}, {ID: "i", Version: "2", Source: "/i"}},
	}
	inv.Incomplete = rapid.IntRange(0, 9).Draw(t, "incomplete") == 0
	for h := range rapid.IntRange(0, 3).Draw(t, "hosts") {
		inv.Hosts = append(inv.Hosts, sentral.Host{ID: fmt.Sprintf("h%d", h), HostID: id("hostID"), Site: pick("site", "s1", "s2"), Serial: pick("serial", "", "A1", "B2"),
			SystemUUID: id("systemUUID"), Name: pick("hostname", "", "x", "y"), State: sentral.HostState(pick("host state", "", "", "planned", "retired"))})
	}
	taken := map[uuid.UUID]bool{}
	for v := range rapid.IntRange(0, 4).Draw(t, "records") {
		runtimeID := id("runtimeID")
		if taken[runtimeID] { // Sentral lets no two have one
			runtimeID = uuid.Nil
		}
		taken[runtimeID] = true
		inv.VMs = append(inv.VMs, sentral.VM{ID: fmt.Sprintf("v%d", v), RuntimeID: runtimeID, Name: pick("name", "a", "b"), Tenant: "t", Project: "p", Site: pick("site", "s1", "s2"),
			Host: pick("host", "", "h0", "h1", "h7"), State: sentral.VMState(pick("state", "", "", "stopped", "absent")), Image: &sentral.ImageRef{ID: "i", Version: "1"},
			NICs: []sentral.NIC{{MAC: mac(), Network: pick("network", "n", "m", "gone")}}, Disks: []sentral.Disk{{Name: "vda", Serial: pick("disk", "", "D1", "D2")}}})
	}
	in := reconcile.Input{Intended: inv, Policy: reconcile.DefaultPolicy(), Now: epoch}
	for h := range rapid.IntRange(0, 4).Draw(t, "observed hosts") {
		host := uuid.UUID{byte(h), 0, 0, byte(min(h, 1))}
		received := epoch.Add(-time.Duration(rapid.SampledFrom([]int{0, 0, 0, 60, 120, 3600}).Draw(t, "age")) * time.Second)
		add := func(source string, body inventory.Body, problems ...inventory.Problem) {
			o := &inventory.Observation{Host: host, Site: pick("site", "", "s1", "s2"), Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body, Problems: problems}
			if len(problems) > 0 {
				o.Outcome = inventory.OutcomePartial
			}
			if rapid.IntRange(0, 5).Draw(t, "incomplete") == 0 {
				o.Outcome, o.Complete = inventory.OutcomePartial, false
			}
			in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: received})
		}
		add("identity", inventory.Body{Identity: &inventory.Host{Hostname: pick("hostname", "", "x", "y"), Serial: pick("serial", "", "A1", "B2"), SystemUUID: id("systemUUID"), MACs: []inventory.MAC{mac()}}})
		add("network", inventory.Body{OVSBridges: []inventory.OVSBridge{{Name: "br", Ports: []inventory.OVSPort{{Name: "tap", Tag: &vlan, Interfaces: []inventory.OVSInterface{{Name: "tap"}}}}}}})
		for _, source := range []string{"runtime-a", "runtime-b"}[:rapid.IntRange(0, 2).Draw(t, "runtimes")] {
			var vms []inventory.VM
			var problems []inventory.Problem
			for range rapid.IntRange(0, 4).Draw(t, "vms") {
				vm := inventory.VM{UUID: id("uuid"), SMBIOSUUID: id("smbios"), Name: pick("name", "", "a", "b"), NativeID: pick("native", "", "100"), State: inventory.State(pick("vm state", "", "running", "paused", "stopped")),
					Type: pick("type", "", "", "", inventory.TypeContainer)}
				if rapid.IntRange(0, 4).Draw(t, "unreadable") == 0 {
					problems = append(problems, inventory.Problem{Entity: vm.Entity(), Call: "xml", Why: inventory.WhyBroken, Error: "eof"})
				} else {
					if label := pick("label", "", "v0", "v1", "v9"); label != "" {
						vm.Placement = &inventory.Placement{VM: label, Tenant: "t", Project: "p"}
					}
					vm.NICs = []inventory.NIC{{MAC: mac(), Attachment: "ovs", Link: pick("link", "", "tap", "lost")}, {MAC: mac()}}
					vm.Disks = []inventory.Disk{{Target: "vda", Serial: pick("disk", "", "D1", "D2"), Source: pick("source", "", "/1", "p/v"), SourceType: pick("source type", "", "", "network", "volume")},
						{Target: "vdb", Source: pick("source", "", "", "/1", "p/v"), SourceType: pick("source type", "", "network")}}
					vm.Image = &inventory.Image{ID: "i", Source: "/i"}
				}
				vms = append(vms, vm)
			}
			add(source, inventory.Body{VMs: vms}, problems...)
		}
	}
	return in
}

// TestTangle: however the marks lie, the laws of results and of the life of
// findings hold, and a record whose label or UUID some VM bears is not missing.
func TestTangle(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		var findings []reconcile.Finding
		told := map[string]reconcile.State{}
		for pass := range 2 {
			in := genTangle(rt)
			in.Now = epoch.Add(time.Duration(pass) * 20 * time.Second)
			result := reconcile.Reconcile(in)
			checkLaws(t, in, result)
			checkBorne(rt, in, result)
			before := findings
			var events []reconcile.Event
			findings, events = reconcile.Advance(before, result, in.Policy, in.Now)
			checkLife(rt, before, findings, in)
			checkEvents(rt, events, findings, told)
			for _, f := range findings {
				if _, err := reconcile.Explain(result, findings, in.Now, f.ID); err != nil {
					rt.Fatal(err)
				}
			}
		}
	})
}

func checkBorne(t *rapid.T, in reconcile.Input, result *reconcile.Result) {
	borne := map[string]bool{}
	former := map[uuid.UUID]bool{} // what such a host said is said again
	for _, m := range result.Hosts {
		for _, id := range m.Former {
			former[id] = true
		}
	}
	for _, doc := range in.Observed {
		for _, vm := range doc.VMs {
			if former[doc.Host] || vm.IsContainer() {
				continue
			}
			borne[vm.UUID.String()] = vm.UUID != uuid.Nil
			if vm.Placement != nil {
				borne[vm.Placement.VM] = true
			}
		}
	}
	for _, f := range result.Findings {
		if f.Kind != reconcile.VMMissing {
			continue
		}
		for _, want := range in.Intended.VMs {
			if want.ID == f.Subject.ID && (borne[strings.ToLower(want.ID)] || borne[want.UUID().String()]) {
				t.Fatalf("%s, and some VM bears its label or UUID", f.Message)
			}
		}
	}
}
