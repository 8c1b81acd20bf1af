package reconcile_test

import (
	"runtime"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// TestSideBySide: units that are judged at the same time come to what they come to
// one after another, findings and comparisons, on as many cores as there are.
func TestSideBySide(t *testing.T) {
	in := benchFleet(40, 12)
	for n := range in.Observed {
		doc := *in.Observed[n].Observation
		if len(doc.VMs) == 0 {
			continue
		}
		vms := append([]inventory.VM(nil), doc.VMs...)
		three, wrong := 3, inventory.VLAN(999)
		vms[0].VCPUs = &three
		vms[1].Placement = nil
		vms[2].State = inventory.StateStopped
		vms[3].NICs = []inventory.NIC{{MAC: inventory.MAC{0x52, 0x54, 0xff, 0, 0, 1}, Attachment: "direct", VLAN: &wrong}} // all of them meet
		vms[4].Name, vms[4].UUID = "stranger", vms[5].UUID
		vms[6].Disks = append([]inventory.Disk{{Target: "vdb", SourceType: "network", Source: "rbd:pool/shared"}}, vms[6].Disks...)
		doc.VMs = vms[:11] // one is gone
		if n%5 == 0 {
			doc.Problems = []inventory.Problem{{Entity: vms[7].Entity(), Call: "xml", Why: inventory.WhyBroken, Error: "eof"}}
			vms[7] = inventory.VM{UUID: vms[7].UUID}
		}
		in.Observed[n].Observation = &doc
	}
	cores := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(cores)
	one := reconcile.Reconcile(in)
	runtime.GOMAXPROCS(max(cores, 4))
	several := reconcile.Reconcile(in)
	if diff := gocmp.Diff(encode(t, one), encode(t, several)); diff != "" {
		t.Errorf("side by side another result (-in turn +side by side):\n%s", diff)
	}
	checkLaws(t, in, several)
	if len(several.Findings) < 6*40 {
		t.Errorf("%d findings: it tries less than it should", len(several.Findings))
	}
}
