package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// unknownVM reports a VM that Sentral has not, unless Sentral may have it in a
// record that can't be used.
func (p *pass) unknownVM(vp *pair) {
	vm := vp.seen.lead.vm
	for o := range vm.NICs {
		path := vp.seen.lead.host.pathOf(vm, &vm.NICs[o], &p.in)
		vp.Paths = append(vp.Paths, path)
		p.checkIsolation(vp, &vm.NICs[o], nicName(&vm.NICs[o], o), &path)
	}
	marks := []string{vm.Key(), strings.Join(labelKeys(vm), "")}
	if vm.SMBIOSUUID != uuid.Nil {
		marks = append(marks, vm.SMBIOSUUID.String())
	}
	marks = append(marks, observedMACs(vm)...)
	switch {
	case vp.tied:
		vp.Uncovered = append(vp.Uncovered, "another VM has the same marks: see identity.ambiguous")
		return
	case p.intended.setAside("vm", marks...):
		vp.Uncovered = append(vp.Uncovered, "its record in Sentral can't be used: see inventory.invalid and inventory.duplicate")
		return
	case p.intended.Incomplete:
		vp.Uncovered = append(vp.Uncovered, "a part of the inventory can't be read, and its record may be there")
		return
	}
	lead := vp.seen.lead
	evidence := []string{fmt.Sprintf("%s, %s, on %s", vm.Key(), vm.State, lead.host.key())}
	if pl := vm.Placement; pl != nil {
		evidence = append(evidence, fmt.Sprintf("its metadata says vm=%q tenant=%q project=%q environment=%q", pl.VM, pl.Tenant, pl.Project, pl.Environment))
	}
	p.find(vp.finding(Finding{
		Kind: VMUnknown, Field: "vm", Observed: vm.Name,
		Message:     fmt.Sprintf("%s is %s on %s, and Sentral has no such VM", vm.Name, vm.State, lead.host.key()),
		Evidence:    evidence,
		Provenance:  vp.provenance("vm.uuid"),
		Resolutions: bothWays("find out whose it is; then stop and remove it", "person", "add a record with id "+vm.Key()),
	}))
}

// lingering reports a VM that must not be anywhere.
func (p *pass) lingering(vp *pair) {
	lead := vp.seen.lead
	p.find(vp.finding(Finding{
		Kind: VMLingering, Field: "vm", Intended: string(sentral.VMAbsent), Observed: string(lead.vm.State),
		Message:     fmt.Sprintf("%s is still there (%s on %s), Sentral says that it must not be", vp.name(), lead.vm.State, lead.host.key()),
		Provenance:  vp.provenance("vm.uuid"),
		Resolutions: bothWays("remove it", "person", "set state to "+sentralState(lead.vm.State)+", if it was taken back into use"),
	}))
}

// checkDuplicate reports a VM that is active in more places than one: after a
// failover both sites may run it, writing to two copies of its disks.
func (p *pass) checkDuplicate(vp *pair) {
	var active []string
	for _, at := range append([]place{vp.seen.lead}, vp.seen.copies...) {
		if at.vm.State.Active() && at.host.fresh(at.doc, &p.in) {
			active = append(active, at.host.key())
		}
	}
	if len(active) < 2 {
		return
	}
	slices.Sort(active)
	p.find(vp.finding(Finding{
		Kind: VMDuplicate, Field: "vm.host", Intended: orNil(vp.Intended), Observed: active,
		Message:     fmt.Sprintf("%s is active on %s at the same time", vp.name(), strings.Join(active, " and ")),
		Evidence:    []string{"runtime UUID " + vp.seen.lead.vm.UUID.String() + " is active on each of them"},
		Provenance:  vp.provenance("vm.state"),
		Resolutions: bothWays("decide which copy is right and stop the other before both write", "person", "nothing: a record can't run twice"),
	}))
}

func orNil(want *sentral.VM) any {
	if want == nil || want.Host == "" {
		return nil
	}
	return want.Host
}

// absences concludes which intended VMs are nowhere. It takes a complete and
// fresh look at every host where one could be: a VM bound to a host could have
// moved within its site, so that what can't be seen elsewhere makes the verdict
// potential, and what can't be seen at home makes none.
func (p *pass) absences() {
	unseen := p.unseenBySite()
	for _, vp := range p.pairs {
		want := vp.Intended
		if want == nil || vp.seen != nil || want.State == sentral.VMAbsent {
			continue
		}
		if vp.tied {
			vp.Uncovered = append(vp.Uncovered, "another VM has its marks: see the identity findings")
			continue
		}
		dark := unseen[want.Site]
		verdict := Confirmed
		switch atHome, bound := p.home(want), want.Host != ""; {
		case bound && atHome == nil:
			vp.Uncovered = append(vp.Uncovered, "its host "+want.Host+" is not in Sentral")
			continue
		case bound && !atHome.covered():
			vp.Uncovered = append(vp.Uncovered, atHome.unseen())
			continue
		case !bound && (len(dark) > 0 || !p.anyCovered(want.Site)):
			vp.Uncovered = append(vp.Uncovered, dark...)
			if len(dark) == 0 {
				vp.Uncovered = append(vp.Uncovered, "no host of "+want.Site+" has reported")
			}
			continue
		case len(dark) > 0:
			verdict = Potential
		}
		where := "any host of " + want.Site
		if want.Host != "" {
			where = want.Host
		}
		f := Finding{
			Kind: VMMissing, Field: "vm", Intended: want.Name, Verdict: verdict,
			Message:     fmt.Sprintf("%s is not on %s", vp.name(), where),
			Evidence:    []string{fmt.Sprintf("no VM has its Sentral ID, its UUID %s, its MACs, disk serials or name", want.UUID())},
			Resolutions: bothWays("create it, or start it where its disks are", "person", "set state to absent, if it was removed on purpose"),
		}
		if home := p.home(want); home != nil {
			f.Provenance = home.runtimeProvenance()
		}
		if len(dark) > 0 {
			f.Evidence = append(f.Evidence, "it could be where nothing is seen: "+strings.Join(dark, "; "))
		}
		p.find(vp.finding(f))
	}
}

// home is the host that a VM is bound to; nil where it is bound to none.
func (p *pass) home(want *sentral.VM) *hostPair { return p.hostRecord[want.Host] }

// unseenBySite says for each site which of its hosts nothing may be concluded
// from. Planned and retired hosts that don't speak aren't expected to hold VMs.
func (p *pass) unseenBySite() map[string][]string {
	unseen := map[string][]string{}
	for _, hp := range p.hostPairs {
		if hp.covered() {
			continue
		}
		if hp.Observed == nil && (hp.Intended.State == sentral.HostPlanned || hp.Intended.State == sentral.HostRetired) {
			continue
		}
		unseen[hp.site()] = append(unseen[hp.site()], hp.unseen())
	}
	return unseen
}

func (p *pass) anyCovered(site string) bool {
	return slices.ContainsFunc(p.hostPairs, func(hp *hostPair) bool { return hp.site() == site && hp.covered() })
}

// unseen says why nothing may be concluded from the host.
func (hp *hostPair) unseen() string {
	switch {
	case hp.Observed == nil:
		return hp.key() + " has not reported"
	case hp.Observed.Stale:
		return hp.key() + " is silent"
	}
	for _, s := range hp.Observed.Sources {
		if isRuntime(s.Source) && s.Outcome != inventory.OutcomeAbsent && (!s.Complete || s.Old) {
			return fmt.Sprintf("%s of %s was not seen whole (%s)", s.Source, hp.key(), s.Outcome)
		}
	}
	return hp.key() + " shows no runtime"
}

func (hp *hostPair) runtimeProvenance() *Provenance {
	for i := range hp.view.docs {
		if doc := &hp.view.docs[i]; isRuntime(doc.Source) && doc.Complete {
			return provenance(doc, "vm.uuid")
		}
	}
	return nil
}
