package reconcile_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/seed"
	"github.com/dataverket/avstem/sentral"
)

// checkLaws holds any result to what must be true of all: the same answer in
// whatever order the input comes, an ID for one finding only, a path, a sentence
// and both values on each, a way to resolve it, and every comparison that differs
// tied to its finding.
func checkLaws(t testing.TB, in reconcile.Input, result *reconcile.Result) {
	t.Helper()
	if diff := gocmp.Diff(result.Findings, reconcile.Findings(in)); diff != "" {
		t.Errorf("a pass for findings alone gives others (-whole +alone):\n%s", diff)
	}
	ids := map[string]bool{}
	for _, f := range result.Findings {
		switch {
		case ids[f.ID]:
			t.Errorf("%s: %s is given twice", f.ID, f.Message)
		case f.Field == "" || f.Message == "" || f.Subject.ID == "" || f.Subject.Type == "":
			t.Errorf("finding %s lacks a field, a message or a subject: %+v", f.Kind, f)
		case f.Intended == nil && f.Observed == nil:
			t.Errorf("%s has neither an intended nor an observed value: %s", f.Kind, f.Message)
		case len(f.Resolutions) == 0:
			t.Errorf("%s says no way to resolve it: %s", f.Kind, f.Message)
		case f.Verdict == reconcile.Potential && len(f.Evidence) == 0 && (f.Match == nil || !f.Match.Weak):
			t.Errorf("%s is only potential and doesn't say why: %s", f.Kind, f.Message)
		case f.Kind.Info().Means == "":
			t.Errorf("%s is not in the table of kinds", f.Kind)
		}
		ids[f.ID] = true
	}
	for _, f := range result.Findings {
		if f.CausedBy != "" && !ids[f.CausedBy] {
			t.Errorf("%s: %s follows from %s, which isn't there", f.Kind, f.Message, f.CausedBy)
		}
	}
	findings := map[string]*reconcile.Finding{}
	for i := range result.Findings {
		findings[result.Findings[i].ID] = &result.Findings[i]
	}
	sure := func(match *reconcile.MatchBasis, comparisons []reconcile.Comparison) {
		for _, c := range comparisons {
			if f := findings[c.Finding]; f != nil && match != nil && match.Weak && f.Verdict == reconcile.Confirmed {
				t.Errorf("%s rests on a match by %s and is confirmed: %s", f.Kind, match.By, f.Message)
			}
		}
	}
	for _, host := range result.Hosts {
		sure(host.Match, host.Comparisons)
	}
	for _, vm := range result.VMs {
		sure(vm.Match, vm.Comparisons)
		for _, c := range vm.Comparisons {
			differs := c.Class != reconcile.Equal && c.Class != reconcile.Unknown
			if differs != ids[c.Finding] {
				t.Errorf("comparison %s is %s and has finding %q", c.Path, c.Class, c.Finding)
			}
			if c.Class == reconcile.Unknown && c.Reason == "" {
				t.Errorf("comparison %s is unknown without a reason", c.Path)
			}
		}
	}
	checkOrder(t, in, result)
}

// checkOrder: the same answer in whatever order documents come.
func checkOrder(t testing.TB, in reconcile.Input, result *reconcile.Result) {
	t.Helper()
	shuffled := in
	shuffled.Observed = slices.Clone(in.Observed)
	rand.Shuffle(len(shuffled.Observed), func(i, j int) {
		shuffled.Observed[i], shuffled.Observed[j] = shuffled.Observed[j], shuffled.Observed[i]
	})
	again := reconcile.Reconcile(shuffled)
	if diff := gocmp.Diff(encode(t, result), encode(t, again)); diff != "" {
		t.Errorf("another order of documents gives another result:\n%s", diff)
	}
}

func encode(t testing.TB, v any) string {
	t.Helper()
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fleet is a generated fleet whose two books agree.
type fleet struct {
	intended sentral.Inventory
	observed []reconcile.Document
}

func genFleet(t *rapid.T) fleet {
	f := fleet{intended: sentral.Inventory{
		Sites:    []sentral.Site{{ID: "osl1"}},
		Networks: []sentral.Network{{ID: "n", Tenant: "acme", Project: "web", VLANs: map[string]inventory.VLAN{"osl1": 110}}},
	}}
	serial := 0
	for h := range rapid.IntRange(1, 4).Draw(t, "hosts") {
		host := uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "host ", h))
		key := fmt.Sprintf("hv%d", h)
		f.intended.Hosts = append(f.intended.Hosts, sentral.Host{ID: key, HostID: host, Site: "osl1"})
		network := inventory.Observation{Source: "network", Body: inventory.Body{OVSBridges: []inventory.OVSBridge{{Name: "br0"}}}}
		runtime := inventory.Observation{Source: "runtime-libvirt", Body: inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}}}
		for range rapid.IntRange(0, 4).Draw(t, "vms") {
			serial++
			want, have, port := genVM(t, serial, key)
			f.intended.VMs = append(f.intended.VMs, want)
			runtime.VMs = append(runtime.VMs, have)
			network.OVSBridges[0].Ports = append(network.OVSBridges[0].Ports, port)
		}
		for _, o := range []inventory.Observation{network, runtime} {
			o.Schema, o.Host, o.Site, o.Epoch, o.Gen, o.ObservedAt = inventory.Schema, host, "osl1", 1, 1, epoch
			o.Outcome, o.Complete = inventory.OutcomeComplete, true
			f.observed = append(f.observed, reconcile.Document{Observation: &o, Received: epoch})
		}
	}
	return f
}

func genVM(t *rapid.T, n int, host string) (sentral.VM, inventory.VM, inventory.OVSPort) {
	id := uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "vm ", n))
	mac := inventory.MAC{0x52, 0x54, 0, 0, byte(n >> 8), byte(n)}
	vcpus, memory := rapid.IntRange(1, 64).Draw(t, "vcpus"), inventory.Bytes(rapid.IntRange(1, 64).Draw(t, "GiB"))*inventory.GiB
	size, tag := 10*inventory.GiB, inventory.VLAN(110)
	up := true
	want := sentral.VM{
		ID: id.String(), Name: fmt.Sprintf("vm-%d", n), Tenant: "acme", Project: "web", Environment: "prod", Site: "osl1", Host: host,
		VCPUs: &vcpus, Memory: &memory,
		NICs:  []sentral.NIC{{MAC: mac, Network: "n"}},
		Disks: []sentral.Disk{{Name: "root", Serial: fmt.Sprintf("serial-%d", n), Size: &size}},
	}
	have := inventory.VM{
		UUID: id, Name: want.Name, State: inventory.StateRunning, VCPUs: &vcpus, Memory: &memory,
		Placement: &inventory.Placement{VM: want.ID, Tenant: "acme", Project: "web", Environment: "prod"},
		NICs:      []inventory.NIC{{MAC: mac, Attachment: "ovs", Link: fmt.Sprintf("vnet%d", n), LinkUp: &up}},
		Disks:     []inventory.Disk{{Target: "vda", Serial: want.Disks[0].Serial, Capacity: &size, Source: fmt.Sprintf("/d/%d", n)}},
	}
	port := inventory.OVSPort{Name: have.NICs[0].Link, Tag: &tag, Interfaces: []inventory.OVSInterface{{Name: have.NICs[0].Link}}}
	return want, have, port
}

func (f *fleet) input(now time.Time) reconcile.Input {
	return reconcile.Input{Intended: &f.intended, Observed: f.observed, Policy: reconcile.DefaultPolicy(), Now: now}
}

// TestAgreementIsSilent: two books that say the same give no finding.
func TestAgreementIsSilent(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		f := genFleet(rt)
		in := f.input(epoch)
		result := reconcile.Reconcile(in)
		checkLaws(t, in, result)
		if len(result.Findings) > 0 {
			rt.Fatalf("%d findings, the first: %s", len(result.Findings), result.Findings[0].Message)
		}
	})
}

// TestNoAbsenceWithoutSight: whatever else goes wrong, a VM of a host that is
// silent, blind or seen in part is never called missing with its host.
func TestNoAbsenceWithoutSight(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		f := genFleet(rt)
		unseen := map[string]bool{}
		for i := range f.observed {
			doc := *f.observed[i].Observation
			if doc.Source != "runtime-libvirt" {
				continue
			}
			// Some of the VMs are no longer listed …
			doc.VMs = slices.DeleteFunc(slices.Clone(doc.VMs), func(inventory.VM) bool { return rapid.Bool().Draw(rt, "gone") })
			// … by a source that was not seen whole.
			how := rapid.SampledFrom([]string{"seen", "failed", "partial", "absent", "silent", "never"}).Draw(rt, "how")
			for _, h := range f.intended.Hosts {
				if h.HostID == doc.Host && how != "seen" {
					unseen[h.ID] = true
				}
			}
			switch how {
			case "failed", "absent":
				doc.Outcome, doc.Complete, doc.VMs = inventory.Outcome(how), false, nil
			case "partial":
				doc.Outcome, doc.Complete = inventory.OutcomePartial, false
			case "silent":
				for j := range f.observed {
					if f.observed[j].Host == doc.Host {
						f.observed[j].Received = epoch.Add(-time.Hour)
					}
				}
			case "never":
				doc.Source = "storage"
				doc.VMs, doc.Runtime = nil, nil
			}
			f.observed[i].Observation = &doc
		}
		in := f.input(epoch)
		result := reconcile.Reconcile(in)
		checkLaws(t, in, result)
		for _, finding := range result.Findings {
			if finding.Kind != reconcile.VMMissing {
				continue
			}
			for _, vm := range f.intended.VMs {
				if vm.ID == finding.Subject.ID && unseen[vm.Host] {
					rt.Fatalf("%s, although %s was not seen", finding.Message, vm.Host)
				}
			}
			if len(unseen) > 0 && finding.Verdict == reconcile.Confirmed {
				rt.Fatalf("%s is confirmed, although it could be on a host that was not seen", finding.Message)
			}
		}
	})
}
