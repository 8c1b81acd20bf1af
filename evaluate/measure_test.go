package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func ptr[T any](v T) *T { return &v }

func id(n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))
}

// capable declares fields as known by poll, and others as absent.
func capable(known []inventory.Field, absent ...inventory.Field) []inventory.Capability {
	var table []inventory.Capability
	for _, f := range known {
		table = append(table, inventory.Capability{Field: f, From: "call " + string(f), Known: inventory.KnownDirect, Change: inventory.ChangeByPoll})
	}
	for _, f := range absent {
		table = append(table, inventory.Capability{Field: f, Known: inventory.KnownAbsent, Note: "it has none"})
	}
	return table
}

func document(host int, source string, o inventory.Observation) reconcile.Document {
	o.Host, o.Source, o.Site, o.Complete, o.Outcome = id(host), source, "osl1", true, inventory.OutcomeComplete
	o.ObservedAt = now.Add(-5 * time.Second)
	return reconcile.Document{Observation: &o, Received: now.Add(-5 * time.Second)}
}

func measureOf(intended *sentral.Inventory, documents []reconcile.Document, by By) []Numbers {
	result := reconcile.Reconcile(reconcile.Input{Intended: intended, Observed: documents, Policy: reconcile.DefaultPolicy(), Now: now})
	return Measure(documents, result, now, by)
}

func fieldOf(t *testing.T, n *Numbers, name inventory.Field) FieldShare {
	t.Helper()
	for _, f := range n.Fields {
		if f.Field == name {
			return f
		}
	}
	t.Fatalf("%s is not counted", name)
	return FieldShare{}
}

// Every reason for a gap, each on a field of its own.
func TestGapsSayWhy(t *testing.T) {
	known := []inventory.Field{"vm.uuid", "vm.name", "vm.state", "vm.memory", "vm.vcpus", "vm.machine", "image.id", "disk.capacity", "disk.serial", "disk.target"}
	doc := document(1, "runtime-x", inventory.Observation{
		Capabilities: capable(known, "placement.tenant"),
		Problems: []inventory.Problem{
			{Entity: inventory.VMEntity(id(11)), Field: "disk.capacity", Call: "blockinfo", Why: inventory.WhyTimedOut, Error: "no answer in 2s", Remedy: "look at its monitor"},
			{Field: "vm.vcpus", Call: "read cpus", Why: inventory.WhyRefused, Error: "permission denied"},
			{Entity: inventory.VMEntity(id(12)), Call: "read XML", Why: inventory.WhyBroken, Error: "no XML"},
		},
		Body: inventory.Body{
			Runtime: &inventory.Runtime{Name: "x", Platform: "x", Version: "1"},
			VMs: []inventory.VM{
				{UUID: id(11), Name: "a", State: inventory.StateStopped, Memory: ptr(inventory.Bytes(1)), Disks: []inventory.Disk{
					{Target: "vda", Serial: "s"}, {Target: "sda", Device: "cdrom"},
				}},
				{UUID: id(12), Name: "b"},
			},
		},
	})
	numbers := measureOf(&sentral.Inventory{}, []reconcile.Document{doc}, ByPlatform)
	if len(numbers) != 1 {
		t.Fatalf("%d groups, want one", len(numbers))
	}
	n := &numbers[0]
	type want struct {
		share Share
		gaps  map[Why]int
	}
	for field, want := range map[inventory.Field]want{
		"vm.uuid":          {Share{2, 2}, map[Why]int{}},
		"vm.memory":        {Share{1, 2}, map[Why]int{Broken: 1}},
		"vm.vcpus":         {Share{0, 2}, map[Why]int{Refused: 1, Broken: 1}},
		"vm.machine":       {Share{0, 2}, map[Why]int{Unset: 1, Broken: 1}},
		"image.id":         {Share{0, 2}, map[Why]int{Unset: 1, Broken: 1}},
		"image.version":    {Share{0, 2}, map[Why]int{NotRead: 1, Broken: 1}},
		"placement.tenant": {Share{0, 2}, map[Why]int{NotThere: 1, Broken: 1}},
		// The one of the VM that can't be read is counted too, as nobody knows
		// that it has none; the CD-ROM is not.
		"disk.capacity": {Share{0, 2}, map[Why]int{TimedOut: 1, Broken: 1}},
		"disk.serial":   {Share{1, 2}, map[Why]int{Broken: 1}},
	} {
		f := fieldOf(t, n, field)
		gaps := map[Why]int{}
		for _, g := range f.Gaps {
			gaps[g.Why] += g.Count
		}
		if f.Share != want.share || !cmp.Equal(gaps, want.gaps) {
			t.Errorf("%s is %v with gaps %v, want %v with %v", field, f.Share, gaps, want.share, want.gaps)
		}
	}
	if f := fieldOf(t, n, "disk.capacity"); f.Gaps[0].Remedy != "look at its monitor" || f.Change != inventory.ChangeByPoll || f.From != "call disk.capacity" {
		t.Errorf("disk.capacity lost where it comes from or what helps: %+v", f)
	}
	if f := fieldOf(t, n, "vm.uuid"); f.Oldest != 5*time.Second {
		t.Errorf("vm.uuid is %s old, want 5s", f.Oldest)
	}
	if n.Hosts != (Share{1, 1}) || n.VMs != 2 || n.Identity.Unknown != 2 {
		t.Errorf("hosts %v, VMs %d, unknown %d", n.Hosts, n.VMs, n.Identity.Unknown)
	}
}

// Nothing counts as seen on a host that has gone silent.
func TestSilentHostsAreGaps(t *testing.T) {
	doc := document(1, "runtime-x", inventory.Observation{
		Capabilities: capable([]inventory.Field{"vm.uuid"}),
		Body:         inventory.Body{Runtime: &inventory.Runtime{Name: "x", Platform: "x"}, VMs: []inventory.VM{{UUID: id(11), Name: "a"}}},
	})
	doc.Received = now.Add(-time.Hour)
	n := measureOf(&sentral.Inventory{}, []reconcile.Document{doc}, ByHost)[0]
	f := fieldOf(t, &n, "vm.uuid")
	if f.Share != (Share{0, 1}) || f.Gaps[0].Why != Silent || n.Hosts != (Share{0, 1}) {
		t.Errorf("vm.uuid is %v with %v on hosts %v, want nothing seen", f.Share, f.Gaps, n.Hosts)
	}
}

// What was compared, and how VMs were recognised.
func TestReconcilability(t *testing.T) {
	intended := &sentral.Inventory{
		Sites: []sentral.Site{{ID: "osl1"}},
		Hosts: []sentral.Host{{ID: "hv1", HostID: id(1), Site: "osl1", Platform: "x"}},
		VMs: []sentral.VM{
			{ID: id(11).String(), Name: "a", Tenant: "t", Project: "p", Environment: "e", Site: "osl1", Host: "hv1", VCPUs: ptr(1), Memory: ptr(inventory.Bytes(1))},
			{ID: id(12).String(), Name: "gone", Tenant: "t", Project: "p", Environment: "e", Site: "osl1", Host: "hv1"},
			{ID: id(13).String(), Name: "c", Tenant: "t", Project: "p", Environment: "e", Site: "osl1", Host: "hv1"},
		},
	}
	doc := document(1, "runtime-x", inventory.Observation{
		Capabilities: capable([]inventory.Field{"vm.uuid", "vm.memory"}),
		Body: inventory.Body{Runtime: &inventory.Runtime{Name: "x", Platform: "x", Version: "1"}, VMs: []inventory.VM{
			{UUID: id(11), Name: "a", State: inventory.StateRunning, Memory: ptr(inventory.Bytes(1))},
			{UUID: id(99), Name: "c", State: inventory.StateRunning, Placement: &inventory.Placement{Tenant: "t", Project: "p", Environment: "e"}},
			{UUID: id(77), Name: "box", Type: "container", State: inventory.StateRunning},
		}},
	})
	all := measureOf(intended, []reconcile.Document{doc}, ByVersion)
	if len(all) != 2 || all[0].Type != "" || all[1].Type != "container" || all[1].VMs != 1 {
		t.Fatalf("want VMs and containers apart, have %+v", all)
	}
	n := &all[0]
	if n.VMs != 2 || n.Version != "1" || n.Identity.Missing != 1 {
		t.Errorf("VMs %d of version %q, missing %d", n.VMs, n.Version, n.Identity.Missing)
	}
	if want := (Share{1, 2}); n.Identity.Durable != want {
		t.Errorf("durable %v, want %v: one was matched by UUID, one by name (%v)", n.Identity.Durable, want, n.Identity.By)
	}
	got := map[inventory.Field]Share{}
	for _, f := range n.Compared {
		got[f.Field] = f.Share
	}
	if got["vm.memory"] != (Share{1, 1}) || got["vm.vcpus"] != (Share{0, 1}) {
		t.Errorf("memory %v, vCPUs %v: want one compared and one not", got["vm.memory"], got["vm.vcpus"])
	}
}

// Laws: nothing is counted twice or lost, and parts add up to the whole.
func TestNumbersAddUp(t *testing.T) {
	fields := []inventory.Field{"vm.uuid", "vm.name", "vm.memory", "nic.mac", "disk.serial", "placement.tenant"}
	rapid.Check(t, func(t *rapid.T) {
		var documents []reconcile.Document
		next := 100
		for host := range rapid.IntRange(0, 4).Draw(t, "hosts") {
			known := rapid.SliceOfDistinct(rapid.SampledFrom(fields), func(f inventory.Field) inventory.Field { return f }).Draw(t, "known")
			o := inventory.Observation{Capabilities: capable(known), Body: inventory.Body{Runtime: &inventory.Runtime{
				Name: "x", Platform: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "platform"), Version: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"),
			}}}
			for range rapid.IntRange(0, 4).Draw(t, "VMs") {
				next++
				vm := inventory.VM{UUID: id(next), Name: fmt.Sprint("vm", next), State: rapid.SampledFrom([]inventory.State{inventory.StateRunning, inventory.StateStopped}).Draw(t, "state")}
				for range rapid.IntRange(0, 2).Draw(t, "NICs") {
					vm.NICs = append(vm.NICs, inventory.NIC{Link: rapid.SampledFrom([]string{"", "tap0"}).Draw(t, "link")})
				}
				for range rapid.IntRange(0, 2).Draw(t, "disks") {
					vm.Disks = append(vm.Disks, inventory.Disk{Serial: rapid.SampledFrom([]string{"", "s"}).Draw(t, "serial"), Device: rapid.SampledFrom([]string{"", "cdrom"}).Draw(t, "device")})
				}
				if rapid.Bool().Draw(t, "hidden") {
					o.Problems = append(o.Problems, inventory.Problem{Entity: inventory.VMEntity(vm.UUID), Field: "vm.disks", Call: "c", Why: inventory.WhyRefused, Error: "e"})
				}
				o.VMs = append(o.VMs, vm)
			}
			documents = append(documents, document(host+1, "runtime-x", o))
		}
		whole := measureOf(&sentral.Inventory{}, documents, ByPlatform)
		var parts [][]Numbers
		for _, doc := range documents {
			parts = append(parts, measureOf(&sentral.Inventory{}, []reconcile.Document{doc}, ByPlatform))
		}
		if diff := cmp.Diff(whole, Merge(parts...)); diff != "" {
			t.Errorf("the hosts apart don't add up to the whole (-whole +parts):\n%s", diff)
		}
		for _, n := range whole {
			for _, f := range n.Fields {
				lacking := 0
				for _, g := range f.Gaps {
					lacking += g.Count
				}
				if f.Have < 0 || f.Have > f.Of || lacking != f.Of-f.Have {
					t.Errorf("%s %s: %d of %d with gaps %v", n.Platform, f.Field, f.Have, f.Of, f.Gaps)
				}
			}
		}
	})
}

// What is counted must be in the model, and nothing needed may be forgotten when
// the model grows: every field that matching or comparing rests on is asked for.
func TestAskedFieldsAreOfTheModel(t *testing.T) {
	seen := map[inventory.Field]bool{}
	for _, a := range askedFields {
		if !a.field.Known() {
			t.Errorf("%s is no field of the model", a.field)
		}
		if seen[a.field] {
			t.Errorf("%s is counted twice", a.field)
		}
		seen[a.field] = true
	}
}
