package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// contradiction is what goes against a record's word on whose a VM is.
type contradiction struct {
	claims   []string // who says what
	foreign  bool     // another tenant is named by what carries its frames
	severity Severity
	verdict  Verdict
	owners   []string // whom the claims name
	recorded bool     // the record goes against itself
}

// checkContradiction holds the words on whose a VM is against each other: the
// record's own owner and the owners of the networks that it names, the placement
// metadata, and the owner of the VLANs that its frames are on. One word against
// the record is a finding of its own already (vm.placement, network.isolation);
// where two agree against it, or it goes against itself, that is what those follow
// from. It gives the finding's ID.
func (p *pass) checkContradiction(vp *pair, seen bool) {
	want := vp.Intended
	if want.State == sentral.VMAbsent || want.Tenant == "" {
		return
	}
	vp.blindScope = !seen && vp.seen != nil && !vp.seen.lead.fresh
	c := contradiction{severity: Medium}
	p.recordAgainstItself(want, &c)
	if seen {
		label, networks := p.labelAgainst(vp, &c), p.networksAgainst(vp, &c)
		if !c.recorded && !(label && networks) {
			return
		}
	} else if !c.recorded {
		return
	}
	owner := want.Tenant + "/" + want.Project
	do, record := "", "move the record to the project that the VM belongs to, or name networks of "+owner
	if seen {
		do = "correct its placement metadata and its NICs' VLANs, if it is " + owner + "'s"
	}
	if len(c.owners) == 1 && !c.recorded {
		record = "move the record to " + c.owners[0] + ", if it is theirs"
	}
	vp.contradiction = p.find(vp.finding(Finding{
		Kind: ScopeContradiction, Severity: c.severity, Verdict: c.verdict, Field: "scope", Intended: owner, Observed: c.claims,
		Message:     fmt.Sprintf("Sentral says that %s is %s's, and %s", vp.name(), owner, listed(c.claims, "and")),
		Resolutions: bothWays(do, "person", record),
	}))
}

// recordAgainstItself finds NICs on networks of somebody else in the record.
func (p *pass) recordAgainstItself(want *sentral.VM, c *contradiction) {
	for i := range want.NICs {
		n := p.intended.networks[want.NICs[i].Network]
		if n == nil || (n.Tenant == want.Tenant && (n.Project == "" || n.Project == want.Project)) || p.shares(n, want) {
			continue
		}
		if _, here := n.VLANs[want.Site]; !here && n.Tenant == want.Tenant {
			continue // it keeps nothing apart
		}
		c.recorded = true
		if n.Tenant != want.Tenant {
			c.severity = High
		}
		c.add(fmt.Sprintf("its NIC %s is to be on network %s, which is %s/%s's", nicName(want.NICs[i].MAC, i), n.ID, n.Tenant, n.Project), n.Tenant+"/"+n.Project)
	}
}

// shares says whether the network has its VLAN in common with one of the VM's
// owner where the VM is to be.
func (p *pass) shares(n *sentral.Network, want *sentral.VM) bool {
	vlan, has := n.VLANs[want.Site]
	return has && slices.ContainsFunc(p.intended.owners[siteVLAN{want.Site, vlan}], func(other *sentral.Network) bool {
		return other.Tenant == want.Tenant && (other.Project == "" || other.Project == want.Project)
	})
}

// labelAgainst says whether the placement metadata names another owner.
func (p *pass) labelAgainst(vp *pair, c *contradiction) bool {
	pl, want := vp.seen.lead.vm.Placement, vp.Intended
	if vp.hidden("placement.tenant") != "" {
		vp.blindScope = true
		return false
	}
	if pl == nil || pl.Tenant == "" {
		return false
	}
	if pl.Tenant == want.Tenant && (pl.Project == "" || pl.Project == want.Project) {
		return false
	}
	who := strings.TrimSuffix(pl.Tenant+"/"+pl.Project, "/")
	c.add("its metadata says "+who, who)
	return true
}

// networksAgainst says whether frames of a NIC are on a VLAN of somebody else.
func (p *pass) networksAgainst(vp *pair, c *contradiction) bool {
	if vp.blindPaths() {
		vp.blindScope = true
	}
	if vp.hidden("vm.nics") != "" {
		return false
	}
	before := len(c.claims)
	site := vp.seen.lead.host.site()
	for o := range vp.Paths {
		path := &vp.Paths[o]
		owner := p.foreignOwner(vp, site, path.VLAN)
		if owner == nil {
			if path.VLAN != nil && p.intended.contested[siteVLAN{site, *path.VLAN}] {
				vp.blindScope = true
			}
			continue
		}
		c.severity = High
		c.foreign = c.foreign || owner.Tenant != vp.Intended.Tenant
		if c.foreign {
			c.severity = Critical
		}
		if path.Derived || p.intended.unsure {
			c.verdict = Potential
		}
		c.add(fmt.Sprintf("its NIC %s is on VLAN %d, which is %s/%s's", pathName(path, o), *path.VLAN, owner.Tenant, owner.Project), owner.Tenant+"/"+owner.Project)
	}
	return len(c.claims) > before
}

func (c *contradiction) add(claim, owner string) {
	c.claims = append(c.claims, claim)
	if !slices.Contains(c.owners, owner) {
		c.owners = append(c.owners, owner)
	}
}

// foreignOwner is the network that a VLAN belongs to in a site, where it belongs
// to others than the VM's owner: another tenant's, where there is one.
func (p *pass) foreignOwner(vp *pair, site string, vlan *inventory.VLAN) *sentral.Network {
	tenant, project, _ := vp.owner()
	if vlan == nil || tenant == "" {
		return nil
	}
	owners := p.intended.owners[siteVLAN{site, *vlan}]
	if len(owners) == 0 || slices.ContainsFunc(owners, func(n *sentral.Network) bool {
		return n.Tenant == tenant && (n.Project == "" || project == "" || n.Project == project)
	}) {
		return nil
	}
	return owners[max(slices.IndexFunc(owners, func(n *sentral.Network) bool { return n.Tenant != tenant }), 0)]
}
