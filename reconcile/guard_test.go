package reconcile_test

import (
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// twoSites is an inventory of so many VMs in each of two sites.
func twoSites(osl, trd int) *sentral.Inventory {
	inv := &sentral.Inventory{Hosts: []sentral.Host{{ID: "hv-osl", Site: "osl1", Platform: "libvirt"}, {ID: "hv-trd", Site: "trd1", Platform: "incus"}}}
	for i := range osl {
		inv.VMs = append(inv.VMs, sentral.VM{ID: fmt.Sprintf("osl-%d", i), Site: "osl1", Host: "hv-osl"})
	}
	for i := range trd {
		inv.VMs = append(inv.VMs, sentral.VM{ID: fmt.Sprintf("TRD-%d", i), Site: "trd1", Host: "hv-trd"})
	}
	return inv
}

func TestGuard(t *testing.T) {
	left := twoSites(100, 5)
	for i := 5; i < 20; i++ {
		left.LeftOut = append(left.LeftOut, sentral.LeftOut{Type: "vm", ID: fmt.Sprintf("trd-%d", i)})
	}
	moved := twoSites(100, 20)
	for i := range moved.VMs {
		moved.VMs[i].Site, moved.VMs[i].Host = "osl2", ""
	}
	for name, test := range map[string]struct {
		previous, next *sentral.Inventory
		want           []string
	}{
		"nothing":             {twoSites(100, 20), twoSites(100, 20), nil},
		"more":                {twoSites(100, 20), twoSites(200, 40), nil},
		"first of all":        {&sentral.Inventory{}, twoSites(100, 20), nil},
		"a few":               {twoSites(100, 20), twoSites(71, 20), nil},
		"a third":             {twoSites(100, 20), twoSites(70, 20), []string{"30 of 100 VMs of platform libvirt are gone", "30 of 100 VMs of site osl1 are gone"}},
		"a site":              {twoSites(100, 20), twoSites(100, 8), []string{"12 of 20 VMs of platform incus are gone", "12 of 20 VMs of site trd1 are gone"}},
		"of a small site":     {twoSites(100, 9), twoSites(100, 0), nil},
		"everything":          {twoSites(100, 0), &sentral.Inventory{}, []string{"100 of 100 VMs are gone"}},
		"most of one site":    {twoSites(20, 20), twoSites(5, 20), []string{"15 of 20 VMs of platform libvirt are gone", "15 of 20 VMs of site osl1 are gone"}},
		"of both sites":       {twoSites(20, 20), twoSites(5, 9), []string{"26 of 40 VMs are gone", "15 of 20 VMs of platform libvirt are gone", "15 of 20 VMs of site osl1 are gone", "11 of 20 VMs of platform incus are gone", "11 of 20 VMs of site trd1 are gone"}},
		"can't be used":       {twoSites(100, 20), left, nil},
		"are elsewhere":       {twoSites(100, 20), moved, nil},
		"all but a few of 15": {twoSites(0, 15), twoSites(0, 6), nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, loss := range reconcile.Guard(test.previous, test.next, reconcile.DefaultPolicy().Mass) {
				got = append(got, loss.String())
			}
			if diff := gocmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
