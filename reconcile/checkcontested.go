package reconcile

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/dataverket/avstem/sentral"
)

// contested says whether a VLAN's networks belong to several tenants without all of
// them saying that they share it: a slip in one number looks like that, and would
// make a NIC that is inside another tenant's network one that belongs there.
func contested(owners []*sentral.Network) bool {
	foreign := func(n *sentral.Network) bool { return n.Tenant != owners[0].Tenant }
	unsaid := func(n *sentral.Network) bool { return !n.Shared }
	return slices.ContainsFunc(owners, foreign) && slices.ContainsFunc(owners, unsaid)
}

func (at siteVLAN) String() string { return fmt.Sprintf("VLAN %d in %s", at.vlan, at.site) }

// checkContested makes a finding of each VLAN that several tenants' networks claim.
func (p *pass) checkContested() {
	order := func(a, b siteVLAN) int { return cmp.Or(cmp.Compare(a.site, b.site), cmp.Compare(a.vlan, b.vlan)) }
	for _, at := range slices.SortedFunc(maps.Keys(p.intended.contested), order) {
		key := "vlans." + at.site
		var claims, evidence []string
		for _, n := range p.intended.owners[at] {
			claim := fmt.Sprintf("network %s (%s/%s)", n.ID, n.Tenant, n.Project)
			claims = append(claims, claim)
			if place := p.intended.Places.Place(sentral.IDOf(n), key); place.Name != "" {
				evidence = append(evidence, fmt.Sprintf("%s: %s", place, claim))
			}
		}
		p.find(Finding{
			Kind: InventoryDuplicate, Subject: Subject{Type: "inventory", ID: at.String(), Name: at.String()}, Field: key, Intended: "one tenant's", Observed: claims,
			Message:  fmt.Sprintf("%s is claimed by %s: whether a NIC on it is inside another tenant's network can't be judged", at, listed(claims, "and")),
			Evidence: evidence,
			Resolutions: []Resolution{{Side: "sentral",
				Do: "correct the VLAN of the network that has the wrong one, or say shared: true in each of them, if they are meant to share it"}},
		})
	}
}
