package names

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// A name counts wherever a finding could have it from.
func TestOf(t *testing.T) {
	intended := &sentral.Inventory{
		Sites:    []sentral.Site{{ID: "osl1"}},
		Projects: []sentral.Project{{Tenant: "acme", ID: "web"}},
		Networks: []sentral.Network{{Tenant: "initech", Project: "net"}},
		Hosts:    []sentral.Host{{Site: "trd1", Platform: "libvirt"}, {Site: "trd1"}},
		VMs:      []sentral.VM{{Tenant: "globex", Project: "shop", Site: "brg1"}},
	}
	result := &reconcile.Result{
		Hosts: []reconcile.HostMatch{{}, {Observed: &reconcile.ObservedHost{Site: "lab", Sources: []reconcile.SourceStatus{{}, {Runtime: &inventory.Runtime{Platform: "incus"}}}}}},
		VMs: []reconcile.VMMatch{{}, {Observed: &reconcile.ObservedVM{Platform: "openstack"}},
			{Observed: &reconcile.ObservedVM{VM: inventory.VM{Placement: &inventory.Placement{Tenant: "umbrella", Project: "lab"}}}}},
	}
	findings := []reconcile.Finding{{Subject: reconcile.Subject{Site: "old1", Platform: "qemu", Tenant: "acme", Project: "old"}}, {}}
	want := Names{
		Sites: []string{"brg1", "lab", "old1", "osl1", "trd1"}, Platforms: []string{"incus", "libvirt", "openstack", "qemu"},
		Tenants:  []string{"acme", "globex", "initech", "umbrella"},
		Projects: []string{"acme/old", "acme/web", "globex/shop", "initech/net", "umbrella/lab"},
	}
	got := Of(intended, result, findings)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	parts := Of(nil, nil, findings)
	parts.Add(Of(intended, result, nil))
	if diff := cmp.Diff(want, parts); diff != "" {
		t.Errorf("in two parts (-want +got):\n%s", diff)
	}
}

func TestCheck(t *testing.T) {
	var many []string
	for i := range 30 {
		many = append(many, fmt.Sprintf("tenant-%02d", i))
	}
	for _, test := range []struct {
		asked string
		known []string
		want  string
	}{
		{"", nil, ""},
		{"libvirt", []string{"incus", "libvirt"}, ""},
		{"libvrit", []string{"incus", "libvirt", "lxd"}, `there is no platform "libvrit": did you mean libvirt? There are libvirt, incus, lxd`},
		{"proxmox", []string{"incus", "libvirt"}, `there is no platform "proxmox": there are incus, libvirt`},
		{"LIBVIRT", []string{"libvirt"}, `there is no platform "LIBVIRT": did you mean libvirt? There is only libvirt`},
		{"x", nil, `there is no platform "x": there is no platform at all`},
		{"zz", many, `there is no platform "zz": there are tenant-00, tenant-01, tenant-02, tenant-03, tenant-04, tenant-05, tenant-06, tenant-07, tenant-08, tenant-09, tenant-10, tenant-11 and 18 more`},
	} {
		got := ""
		if err := Check("platform", test.asked, test.known); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: %s\nwant %s", test.asked, got, test.want)
		}
	}
	n := Names{Projects: []string{"acme/web", "globex/web", "globex/shop"}}
	for asked, want := range map[string]string{
		"": "", "web": "", "acme/web": "", "wbe": `there is no project "wbe": did you mean web? There are web, shop`,
		"acme/shop": `there is no project "acme/shop": did you mean globex/shop`,
	} {
		err := n.CheckProject(asked)
		if got := fmt.Sprint(err); (err == nil) != (want == "") || err != nil && len(got) < len(want) {
			t.Errorf("%q: %v, want %s", asked, err, want)
		}
	}
}
