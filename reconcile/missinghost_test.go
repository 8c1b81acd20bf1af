package reconcile_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// A reconciler of one site says only of that site's hosts that they are missing, and
// concludes nothing about any that it doesn't hear.
func TestOtherSitesMissTheirOwnHosts(t *testing.T) {
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: time.Date(2026, 11, 1, 2, 3, 4, 0, time.UTC), Intended: &sentral.Inventory{
		Sites: []sentral.Site{{ID: "here"}, {ID: "there"}},
		Hosts: []sentral.Host{{ID: "hv-1", Name: "hv-1", Site: "here", State: sentral.HostActive}, {ID: "hv-2", Name: "hv-2", Site: "there", State: sentral.HostActive}},
	}}
	missing := func(in reconcile.Input) (hosts []string) {
		for _, f := range reconcile.Reconcile(in).Findings {
			if f.Kind == reconcile.HostMissing {
				hosts = append(hosts, f.Subject.ID)
			}
		}
		return hosts
	}
	expect := func(in reconcile.Input, want ...string) {
		t.Helper()
		if diff := gocmp.Diff(want, missing(in)); diff != "" {
			t.Errorf("site %q (-want +missing):\n%s", in.Site, diff)
		}
	}
	expect(in, "hv-1", "hv-2")
	in.Site = "here"
	expect(in, "hv-1")
	for _, h := range reconcile.Reconcile(in).Hosts {
		if h.Blind == "" {
			t.Errorf("%s is taken for one that is seen", h.Intended.ID)
		}
	}
}
