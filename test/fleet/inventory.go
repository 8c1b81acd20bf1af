package fleet

import (
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Inventory is what Sentral says, as a source would give it.
func (f *Fleet) Inventory() *sentral.Inventory {
	var records []sentral.Record
	place := func(string) sentral.Place { return sentral.Place{Name: "a simulated fleet"} }
	add := func(value any) { records = append(records, sentral.Record{Value: value, Place: place}) }
	for s := range f.Sites {
		add(&sentral.Site{ID: f.Site(s)})
	}
	for n := range tenants * projects {
		o := f.owner(n)
		vlans := map[string]inventory.VLAN{}
		for s := range f.Sites {
			vlans[f.Site(s)] = o.vlan
		}
		add(&sentral.Project{Tenant: o.tenant, ID: o.project, Environments: []string{"prod"}})
		add(&sentral.Network{ID: o.network(), Tenant: o.tenant, Project: o.project, VLANs: vlans})
		add(&sentral.Network{ID: o.backup(), Tenant: o.tenant, Project: o.project})
	}
	for _, version := range []string{"20260901", "20261101"} {
		add(&sentral.Image{ID: image, Version: version, Digest: digest(version), Source: imagePath(version)})
	}
	for h := range f.Hosts {
		if h/f.Sites%rack == 0 {
			add(&sentral.FailureDomain{ID: f.rack(h), Site: f.Site(h), Kind: "rack"})
		}
		if drift := f.hostDrift(h); drift != nil && drift.unknown {
			continue
		}
		add(f.host(h).want)
		for nth := range f.VMs {
			v := f.place(h, nth)
			if v.project != nil {
				add(v.project)
			}
			for _, v := range append([]vm{v}, v.beside...) {
				if v.want != nil {
					add(v.want)
				}
			}
		}
	}
	inv := sentral.Assemble(records, nil)
	inv.Source, inv.Version, inv.ReadAt = "a simulated fleet", "1", epoch
	return inv
}
