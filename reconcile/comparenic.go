package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// nicPair is a NIC on both sides. Indexes are guest order.
type nicPair struct {
	intended, observed int
	byOrder            bool // nothing else tells that they are the same
}

// pairNICs pairs by MAC, and by order only where Sentral leaves the MAC to the
// runtime: a NIC with another MAC is another NIC.
func pairNICs(want []sentral.NIC, have []inventory.NIC) (pairs []nicPair, onlyWant, onlyHave []int) {
	taken := make([]bool, len(have))
	var open []int
	for i := range want {
		o := -1
		if want[i].MAC != (inventory.MAC{}) {
			for n := range have {
				if o < 0 && !taken[n] && have[n].MAC == want[i].MAC {
					o = n
				}
			}
		}
		if o < 0 {
			open = append(open, i)
			continue
		}
		taken[o] = true
		pairs = append(pairs, nicPair{i, o, false})
	}
	for _, i := range open {
		o := slices.Index(taken, false)
		if want[i].MAC != (inventory.MAC{}) || o < 0 {
			onlyWant = append(onlyWant, i)
			continue
		}
		taken[o] = true
		pairs = append(pairs, nicPair{i, o, true})
	}
	for o := range have {
		if !taken[o] {
			onlyHave = append(onlyHave, o)
		}
	}
	slices.SortFunc(pairs, func(a, b nicPair) int { return a.intended - b.intended })
	return pairs, onlyWant, onlyHave
}

func (p *pass) compareNICs(vp *pair) {
	want, vm := vp.Intended.NICs, vp.seen.lead.vm
	if reason := vp.hidden("vm.nics"); reason != "" {
		p.note(vp, Comparison{Field: "vm.nics", Path: "nics", Class: Unknown, Reason: reason, Provenance: vp.provenance("vm.nics")})
		return
	}
	if p.agree(p.sameNICs(vp)) {
		return
	}
	pairs, onlyWant, onlyHave := pairNICs(want, vm.NICs)
	paths := vp.Paths
	for _, np := range pairs {
		have := &vm.NICs[np.observed]
		name := nicName(have.MAC, np.observed)
		isolation := p.checkIsolation(vp, have, name, &paths[np.observed])
		p.compareNetwork(vp, &want[np.intended], have, name, &paths[np.observed], isolation)
		p.compareNIC(vp, &want[np.intended], have, name)
	}
	for _, i := range onlyWant {
		p.missingNIC(vp, &want[i], i)
	}
	for _, o := range onlyHave {
		name := nicName(vm.NICs[o].MAC, o)
		p.checkIsolation(vp, &vm.NICs[o], name, &paths[o])
		p.unknownNIC(vp, &vm.NICs[o], name, &paths[o])
	}
	p.compareNICOrder(vp, pairs)
}

// sameNICs says whether the NICs are those of the record, in its order, where they
// should be.
func (p *pass) sameNICs(vp *pair) bool {
	want, have := vp.Intended.NICs, vp.seen.lead.vm.NICs
	if len(want) != len(have) {
		return false
	}
	site := vp.seen.lead.host.site()
	for i := range want {
		w, h, path := &want[i], &have[i], &vp.Paths[i]
		network := p.intended.networks[w.Network]
		if w.MAC != h.MAC || w.MAC == (inventory.MAC{}) || network == nil || path.VLAN == nil || h.LinkUp == nil || !*h.LinkUp {
			return false
		}
		vlan, here := network.VLANs[site]
		switch {
		case !here || vlan != *path.VLAN || p.foreignOwner(vp, site, path.VLAN) != nil:
			return false
		case h.Network != "" && h.Network != w.Network && p.intended.networks[h.Network] != nil:
			return false
		case w.Model != "" && w.Model != h.Model:
			return false
		}
	}
	return true
}

// nicName is how paths and messages name a NIC: its MAC, else its place.
func nicName(mac inventory.MAC, index int) string {
	if mac != (inventory.MAC{}) {
		return mac.String()
	}
	return fmt.Sprintf("#%d", index+1)
}

func pathName(path *NICPath, index int) string { return nicName(path.MAC, index) }

// compareNetwork holds the VLAN that the NIC's frames really are on against the
// one that its network has in this site.
func (p *pass) compareNetwork(vp *pair, want *sentral.NIC, have *inventory.NIC, name string, path *NICPath, isolation string) {
	network, site := p.intended.networks[want.Network], vp.seen.lead.host.site()
	if want.Network == "" {
		return
	}
	if network == nil { // inventory.invalid says why
		p.hold(vp, Comparison{Field: "nic.network", Path: "nics[" + name + "].network", Intended: want.Network, Observed: orNothing(have.Network), Class: Unknown,
			Reason: "Sentral has no record of network " + want.Network + " that can be used"}, nil)
		p.cantCompare(vp, "nic.vlan", "nics["+name+"].vlan", nil, "which VLAN it should be on is not known")
		return
	}
	if other := p.intended.networks[have.Network]; other != nil && other != network {
		p.hold(vp, Comparison{Field: "nic.network", Path: "nics[" + name + "].network", Intended: want.Network, Observed: have.Network, Class: Mismatched}, func() Finding {
			return Finding{
				Kind: NICNetwork, CausedBy: isolation,
				Message:     fmt.Sprintf("NIC %s of %s is on network %s, Sentral says %s", name, vp.name(), have.Network, want.Network),
				Resolutions: bothWays("connect it to network "+want.Network, "live", moveTo(vp.Intended, other)),
			}
		})
		return
	}
	c := Comparison{Field: "nic.vlan", Path: "nics[" + name + "].vlan"}
	if path.VLAN == nil {
		c.Class, c.Reason = Unknown, path.Reason
	} else {
		c.Observed, c.Reason = int(*path.VLAN), path.Reason
		c.Provenance = p.pathProvenance(vp, path)
	}
	vlan, has := network.VLANs[site]
	if !has {
		p.strayNetwork(vp, want, name, path, isolation)
		return
	}
	c.Intended = int(vlan)
	if path.VLAN != nil {
		c.Class = class(*path.VLAN == vlan)
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind: NICVLAN, CausedBy: isolation, Verdict: path.verdict(), Evidence: path.evidence(),
			Message:     fmt.Sprintf("NIC %s of %s is on VLAN %d%s, Sentral says %d (network %s)", name, vp.name(), *path.VLAN, p.whose(site, *path.VLAN), vlan, want.Network),
			Resolutions: bothWays(fmt.Sprintf("put %s on VLAN %d", linkOrNIC(have), vlan), "live", p.moveRecord(vp.Intended, site, *path.VLAN, network)),
		}
	})
}

// strayNetwork finds a NIC whose network has no VLAN here, on a VLAN that is
// another network's.
func (p *pass) strayNetwork(vp *pair, want *sentral.NIC, name string, path *NICPath, isolation string) {
	site := vp.seen.lead.host.site()
	if path.VLAN == nil {
		p.cantCompare(vp, "nic.network", "nics["+name+"].network", want.Network, path.Reason)
		return
	}
	owners := p.intended.owners[siteVLAN{site, *path.VLAN}]
	c := Comparison{Field: "nic.network", Path: "nics[" + name + "].network", Intended: want.Network, Class: Unknown,
		Reason: fmt.Sprintf("%s has no VLAN in %s, and VLAN %d is no network's", want.Network, site, *path.VLAN), Provenance: p.pathProvenance(vp, path)}
	if len(owners) > 0 {
		c.Observed, c.Class, c.Reason = owners[0].ID, Mismatched, ""
	}
	p.hold(vp, c, func() Finding {
		return Finding{
			Kind: NICNetwork, CausedBy: isolation, Verdict: path.verdict(), Evidence: path.evidence(),
			Message: fmt.Sprintf("NIC %s of %s is on VLAN %d%s, Sentral says network %s, which has no VLAN in %s",
				name, vp.name(), *path.VLAN, p.whose(site, *path.VLAN), want.Network, site),
			Resolutions: bothWays(fmt.Sprintf("take it off VLAN %d", *path.VLAN), "live",
				fmt.Sprintf("give %s a VLAN in %s, or set the NIC's network to %s", want.Network, site, owners[0].ID)),
		}
	})
}

// cantCompare records that a field could not be compared.
func (p *pass) cantCompare(vp *pair, field inventory.Field, path string, want any, reason string) {
	p.note(vp, Comparison{Field: field, Path: path, Intended: want, Class: Unknown, Reason: reason, Provenance: vp.provenance(field)})
}

// whose names the networks that have the VLAN in the site.
func (p *pass) whose(site string, vlan inventory.VLAN) string {
	owners := p.intended.owners[siteVLAN{site, vlan}]
	if len(owners) == 0 {
		return ""
	}
	names := make([]string, len(owners))
	for i, n := range owners {
		names[i] = n.ID
	}
	return " (network " + listed(names, "and") + ")"
}

func (p *pass) moveRecord(vm *sentral.VM, site string, vlan inventory.VLAN, network *sentral.Network) string {
	owners := p.intended.owners[siteVLAN{site, vlan}]
	if len(owners) == 0 {
		return fmt.Sprintf("set the VLAN of network %s in %s to %d, if all its NICs belong there", network.ID, site, vlan)
	}
	return moveTo(vm, owners[max(slices.IndexFunc(owners, func(n *sentral.Network) bool { return ownedBy(n, vm) }), 0)])
}

// moveTo is what makes a network the intended one. That of somebody else is hardly
// it.
func moveTo(vm *sentral.VM, n *sentral.Network) string {
	do := "set the NIC's network to " + n.ID
	if !ownedBy(n, vm) {
		do += ", if the VM is meant to be on the network of " + n.Tenant + "/" + n.Project
	}
	return do
}

func ownedBy(n *sentral.Network, vm *sentral.VM) bool {
	return n.Tenant == vm.Tenant && n.Project == vm.Project
}

func linkOrNIC(nic *inventory.NIC) string {
	if nic.Link != "" {
		return "its port " + nic.Link
	}
	return "it"
}

// verdict is what a finding about the path's VLAN is worth; empty leaves it to
// the match.
func (path *NICPath) verdict() Verdict {
	if path.Derived {
		return Potential
	}
	return ""
}

func (path *NICPath) evidence() []string {
	if len(path.Hops) == 0 {
		return nil
	}
	return []string{"path: " + PathText(path.Hops)}
}

// pathProvenance says where the VLAN at the end of a path was read.
func (p *pass) pathProvenance(vp *pair, path *NICPath) *Provenance {
	if network := vp.seen.lead.host.network; network != nil && path.From != "nic.vlan" && path.From != "" {
		return network.provenance(path.From)
	}
	return vp.provenance("nic.vlan")
}

func (p *pass) compareNIC(vp *pair, want *sentral.NIC, have *inventory.NIC, name string) {
	if want.Model != "" {
		c := Comparison{Field: "nic.model", Path: "nics[" + name + "].model", Intended: want.Model, Observed: have.Model,
			Class: class(inventory.CanonicalNICModel(want.Model) == inventory.CanonicalNICModel(have.Model))}
		if have.Model == "" {
			c.Class, c.Reason = Unknown, notReported
		}
		p.hold(vp, c, func() Finding {
			return Finding{
				Kind:        NICModel,
				Message:     fmt.Sprintf("NIC %s of %s has model %s, Sentral says %s", name, vp.name(), have.Model, want.Model),
				Resolutions: bothWays("change its model to "+want.Model, "reboot", "set the NIC's model to "+have.Model),
			}
		})
	}
	if have.LinkUp == nil {
		p.cantCompare(vp, "nic.linkUp", "nics["+name+"].linkUp", true, notReported)
		return
	}
	p.hold(vp, Comparison{Field: "nic.linkUp", Path: "nics[" + name + "].linkUp", Intended: true, Observed: *have.LinkUp, Class: class(*have.LinkUp)}, func() Finding {
		return Finding{
			Kind:        NICLink,
			Message:     fmt.Sprintf("the virtual cable of NIC %s of %s is unplugged", name, vp.name()),
			Resolutions: bothWays("set its link state to up", "live", "take the NIC out of the record, if it isn't to be used"),
		}
	})
}

func (p *pass) missingNIC(vp *pair, want *sentral.NIC, index int) {
	name, do := nicName(want.MAC, index), "attach a NIC on network "+want.Network
	if want.MAC != (inventory.MAC{}) {
		do = "attach a NIC with MAC " + name + " on network " + want.Network
	}
	p.hold(vp, Comparison{Field: "nic.mac", Path: "nics[" + name + "]", Intended: want.Network, Class: Missing}, func() Finding {
		return Finding{
			Kind: NICMissing, CausedBy: vp.waitsForNIC(want.MAC),
			Message:     fmt.Sprintf("%s has no NIC %s, Sentral says it is on network %s", vp.name(), name, want.Network),
			Resolutions: bothWays(do, "live", "take the NIC out of the record"),
		}
	})
}

func (p *pass) unknownNIC(vp *pair, have *inventory.NIC, name string, path *NICPath) {
	where, reason := "on an unknown VLAN", " ("+path.Reason+")"
	if path.VLAN != nil {
		reason, where = "", fmt.Sprintf("on VLAN %d%s", *path.VLAN, p.whose(vp.seen.lead.host.site(), *path.VLAN))
	}
	unknown := p.hold(vp, Comparison{Field: "nic.mac", Path: "nics[" + name + "]", Observed: where, Class: Unexpected}, func() Finding {
		return Finding{
			Kind: NICUnknown, CausedBy: vp.waitsForNIC(have.MAC),
			Message:     fmt.Sprintf("%s has a NIC %s that its record doesn't have, %s%s", vp.name(), name, where, reason),
			Evidence:    path.evidence(),
			Resolutions: bothWays("detach it", "live", "add the NIC to the record"),
		}
	})
	p.nobodysVLAN(vp, name, path, unknown)
}

// compareNICOrder asks whether the NICs that both sides have come in one order:
// a guest names them by it.
func (p *pass) compareNICOrder(vp *pair, pairs []nicPair) {
	vm := vp.seen.lead.vm
	pairs = slices.DeleteFunc(pairs, func(np nicPair) bool { return np.byOrder })
	if len(pairs) < 2 {
		return
	}
	have := slices.Clone(pairs)
	slices.SortFunc(have, func(a, b nicPair) int { return a.observed - b.observed })
	names := func(in []nicPair) []string {
		var names []string
		for _, np := range in {
			names = append(names, nicName(vm.NICs[np.observed].MAC, np.observed))
		}
		return names
	}
	intended, observed := names(pairs), names(have)
	p.hold(vp, Comparison{Field: "vm.nics", Path: "nics", Intended: intended, Observed: observed, Class: class(slices.Equal(intended, observed))}, func() Finding {
		return Finding{
			Kind:        NICOrder,
			Message:     fmt.Sprintf("the NICs of %s come in the order %s, Sentral says %s", vp.name(), strings.Join(observed, ", "), strings.Join(intended, ", ")),
			Resolutions: bothWays("attach them again in the intended order", "reboot", "put the record's NICs into the order that the guest sees"),
		}
	})
}

// checkIsolation asks whether the NIC is on a VLAN of somebody else. It needs no
// intent about the NIC: whose the VM is and whose the VLAN is are enough.
func (p *pass) checkIsolation(vp *pair, have *inventory.NIC, name string, path *NICPath) string {
	tenant, project, _ := vp.owner()
	site := vp.seen.lead.host.site()
	owner := p.foreignOwner(vp, site, path.VLAN)
	if owner == nil {
		return ""
	}
	who := strings.TrimSuffix(tenant+"/"+project, "/")
	f := Finding{
		Kind: NetworkIsolation, Field: "nics[" + name + "].vlan", CausedBy: vp.contradiction,
		Intended: who, Observed: owner.Tenant + "/" + owner.Project,
		Message: fmt.Sprintf("NIC %s of %s (%s) is on VLAN %d, which belongs to %s/%s (network %s)",
			name, vp.name(), who, *path.VLAN, owner.Tenant, owner.Project, owner.ID),
		Evidence:    path.evidence(),
		Provenance:  p.pathProvenance(vp, path),
		Resolutions: bothWays(fmt.Sprintf("take %s off VLAN %d", linkOrNIC(have), *path.VLAN), "live", shareWith(who, *path.VLAN, site, owner.Tenant != tenant)),
	}
	if owner.Tenant == tenant {
		f.Severity = High // another project of the same tenant
	}
	if owners := p.intended.owners[siteVLAN{site, *path.VLAN}]; len(owners) > 1 {
		all := make([]string, len(owners))
		for i, n := range owners {
			all[i] = fmt.Sprintf("%s/%s (network %s)", n.Tenant, n.Project, n.ID)
		}
		f.Evidence = append(f.Evidence, fmt.Sprintf("VLAN %d in %s belongs to %s", *path.VLAN, site, listed(all, "and")))
	}
	if p.intended.unsure {
		f.Evidence = append(f.Evidence, "some network records in Sentral can't be used: one of them may say that it shares the VLAN")
	}
	if path.Derived || p.intended.unsure || vp.Intended == nil || (vp.Match != nil && vp.Match.Weak) {
		f.Verdict = Potential
	}
	return p.find(vp.finding(f))
}

// shareWith is what makes it intended that somebody is on another's VLAN.
func shareWith(who string, vlan inventory.VLAN, site string, foreign bool) string {
	share := ""
	if foreign {
		share = " that says shared: true, and have those that have it say so"
	}
	return fmt.Sprintf("give %s a network on VLAN %d in %s too%s, if it is meant to be shared", who, vlan, site, share)
}
