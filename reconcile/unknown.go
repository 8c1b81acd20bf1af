package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// unknownVM reports a VM that Sentral has not, unless Sentral may have it in a
// record that can't be used.
func (p *pass) unknownVM(vp *pair) {
	vm, lead := vp.seen.lead.vm, vp.seen.lead
	for o := range vm.NICs {
		p.checkIsolation(vp, &vm.NICs[o], nicName(vm.NICs[o].MAC, o), &vp.Paths[o])
	}
	if why := p.mayBeKnown(vp); why != "" {
		vp.Uncovered = append(vp.Uncovered, why)
		return
	}
	tenant, project, _ := vp.owner()
	vp.stray = projectKey{tenant, project}
	f := Finding{
		Kind: VMUnknown, Field: "vm", Observed: vp.name(),
		// A copy follows from its being one; a whole host or project that Sentral
		// hasn't is one matter, not as many as it has VMs.
		CausedBy:   orElse(orElse(p.checkCloned(vp), lead.host.pair.unknown), p.unresolvedID(vp.stray)),
		Message:    fmt.Sprintf("%s is %s on %s, and Sentral has no such VM", vp.name(), stateWords(vm.State), lead.host.key()),
		Evidence:   []string{fmt.Sprintf("%s, %s, on %s", orElse(vm.Key(), "no UUID"), stateWords(vm.State), lead.host.key())},
		Provenance: vp.provenance("vm.uuid"),
	}
	if pl := vm.Placement; pl != nil {
		f.Evidence = append(f.Evidence, fmt.Sprintf("its metadata says vm=%q tenant=%q project=%q environment=%q", pl.VM, pl.Tenant, pl.Project, pl.Environment))
		if other := p.recordOf(strings.ToLower(pl.VM)); other != nil && p.pairOf(other).seen != nil {
			f.Message = fmt.Sprintf("%s is %s on %s with the metadata of %s, which is another VM", vp.name(), stateWords(vm.State), lead.host.key(), other.Name)
		}
	}
	record := "add a record for it"
	if vm.UUID != (inventory.VM{}).UUID {
		record = "add a record with id " + vm.UUID.String()
	}
	f.Evidence = append(f.Evidence, p.likelyOwner(vp)...)
	f.Resolutions = bothWays("find out whose it is, then stop and remove it", "person", record)
	unknown := p.find(vp.finding(f))
	p.unresolvedVM(vp, unknown)
	for o := range vm.NICs {
		p.nobodysVLAN(vp, nicName(vm.NICs[o].MAC, o), &vp.Paths[o], unknown)
	}
}

// mayBeKnown says why a VM that nothing was matched with isn't called unknown.
func (p *pass) mayBeKnown(vp *pair) string {
	vm := vp.seen.lead.vm
	marks := append([]string{vm.NativeID}, labelKeys(vm)...)
	marks = append(marks, bothOrders(vm.UUID)...)
	marks = append(marks, bothOrders(vm.SMBIOSUUID)...)
	marks = append(marks, observedMACs(vm)...)
	switch reason := vp.hidden("placement.vm"); {
	case vp.tied:
		return "another VM has the same marks: see identity.ambiguous"
	case p.intended.setAside("vm", marks...):
		vp.Record = p.unusable(p.intended.setAsideAs("vm", marks...))
		return "its record in Sentral can't be used: see inventory.invalid and inventory.duplicate"
	case p.intended.Incomplete:
		return "a part of the inventory can't be read, and its record may be there"
	case reason != "":
		return "whose it is could not be read: " + reason
	}
	return ""
}

// unusable names a record that is left out. What is wrong with it is for readers
// alone.
func (p *pass) unusable(label string) *UnusableRecord {
	r := &UnusableRecord{Label: label}
	if p.whole {
		r.Faults = p.intended.faults(label)
	}
	return r
}

func stateWords(s inventory.State) string {
	if s == "" || s == inventory.StateUnknown {
		return "in an unknown state"
	}
	return string(s)
}

// lingering reports a VM that must not be anywhere.
func (p *pass) lingering(vp *pair) {
	lead := vp.seen.lead
	p.find(vp.finding(Finding{
		Kind: VMLingering, Field: "vm", Intended: string(sentral.VMAbsent), Observed: string(lead.vm.State),
		Message:     fmt.Sprintf("%s is still on %s (%s), Sentral says that it must not be anywhere", vp.name(), lead.host.key(), stateWords(lead.vm.State)),
		Provenance:  vp.provenance("vm.uuid"),
		Resolutions: bothWays("remove it", "person", "set state to "+sentralState(lead.vm.State)+", if it was taken back into use"),
	}))
}

// checkDuplicate reports a VM that is active in more places than one: after a
// failover both sites may run it, writing to two copies of its disks.
func (p *pass) checkDuplicate(vp *pair) {
	p.checkClonedHere(vp)
	if len(vp.seen.copies) == 0 {
		return
	}
	var active []string
	running := 0
	for _, at := range append([]place{vp.seen.lead}, vp.seen.copies...) {
		if at.vm.State.Active() && at.fresh && !inFlight(at.vm) {
			active = append(active, at.host.key())
			if at.vm.State == inventory.StateRunning {
				running++
			}
		}
	}
	if len(active) < 2 {
		p.checkClonedElsewhere(vp)
		return
	}
	slices.Sort(active)
	f := Finding{
		Kind: VMDuplicate, Field: "vm.host", Intended: orNil(vp.Intended), Observed: active, Hosts: active, Verdict: Confirmed,
		Message:     fmt.Sprintf("%s is active on %s at the same time", vp.name(), listed(active, "and")),
		Evidence:    []string{"UUID " + vp.seen.lead.vm.UUID.String() + " is active on each of them"},
		Provenance:  vp.provenance("vm.state"),
		Resolutions: bothWays("decide which copy is right, and stop the other before both write", "person", ""),
	}
	for i := range vp.seen.copies {
		if why := otherVM(vp.seen.lead.vm, vp.seen.copies[i].vm); why != "" {
			f.Evidence = append(f.Evidence, why)
		}
	}
	if running < 2 {
		f.Verdict = Potential
		f.Evidence = append(f.Evidence, "only one of them runs, the other is paused: a live migration looks like this while it lasts")
	}
	p.find(vp.finding(f))
}

// inFlight says whether the VM is the end of a migration that doesn't execute:
// what libvirt calls paused (migrating), QEMU inmigrate and postmigrate. However
// long that lasts, it is not the VM twice.
func inFlight(vm *inventory.VM) bool {
	return vm.State == inventory.StatePaused && strings.Contains(vm.RawState, "migrat")
}

func orNil(want *sentral.VM) any {
	if want == nil {
		return nil
	}
	return orNothing(want.Host)
}
