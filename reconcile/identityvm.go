package reconcile

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// checkIdentity finds what the marks of a matched VM say against the match.
func (p *pass) checkIdentity(vp *pair) {
	if !vp.Match.Weak && vp.seen.claimsNoOther() {
		return
	}
	vp.show()
	label, own := evidenceOf(vp.Evidence, "sentral-id"), evidenceOf(vp.Evidence, "runtime-uuid")
	other := p.recordWith(vp.seen.lead.vm.UUID)
	switch {
	case label.Says == Disagrees:
		p.otherLabel(vp)
	case own.Says == Disagrees && other != nil && other != vp.Intended:
		p.otherUUID(vp, other.Name+" ("+other.ID+")")
	case own.Says == Disagrees:
		p.changedUUID(vp)
	case vp.Match.Weak && vp.hidden("placement.vm") == "":
		p.weakMatch(vp)
	}
}

// otherLabel reports a VM whose metadata names another record than the mark that
// it was matched by.
func (p *pass) otherLabel(vp *pair) {
	want, label := vp.Intended, vp.seen.lead.vm.Placement.VM
	if owner := p.ownerOf(p.recordOf(strings.ToLower(label)), vp); owner != nil {
		p.clonedLabel(vp, owner)
		return
	}
	p.find(vp.finding(Finding{
		Kind: IdentityConflict, Field: "vm.identity", Intended: want.ID, Observed: label,
		Message:    fmt.Sprintf("%s was recognised by %s, but its metadata says that it is %s", vp.name(), rungWords(vp.Match.By), p.nameOf(label)),
		Evidence:   says(vp.Evidence),
		Provenance: vp.provenance("placement.vm"),
		Resolutions: bothWays("write vm="+quote(want.ID)+" into its placement metadata, if this is "+want.Name, "live",
			"correct the runtimeID of both records, if it really is the other VM"),
	}))
}

// otherUUID reports a VM whose label names one record and whose UUID another.
func (p *pass) otherUUID(vp *pair, other string) {
	want, vm := vp.Intended, vp.seen.lead.vm
	p.find(vp.finding(Finding{
		Kind: IdentityConflict, Field: "vm.identity", Intended: want.UUID().String(), Observed: vm.UUID.String(),
		Message:    fmt.Sprintf("%s on %s is %s by %s, and %s by its UUID", vmName(vm), vp.seen.lead.host.key(), want.Name, rungWords(vp.Match.By), other),
		Evidence:   says(vp.Evidence),
		Provenance: vp.provenance("vm.uuid"),
		Resolutions: bothWays("correct its placement metadata, if that was copied from "+want.Name, "live",
			"set runtimeID of "+want.Name+" to "+vm.UUID.String()+", if its UUID was changed on purpose"),
	}))
}

func (p *pass) changedUUID(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	p.find(vp.finding(Finding{
		Kind: IdentityChanged, Field: "vm.uuid", Intended: want.UUID().String(), Observed: vm.UUID.String(),
		Message:    fmt.Sprintf("%s has UUID %s, Sentral says %s: it was recognised by %s", vp.name(), vm.UUID, want.UUID(), rungWords(vp.Match.By)),
		Evidence:   says(vp.Evidence),
		Provenance: vp.provenance("vm.uuid"),
		Resolutions: bothWays("define the VM again under UUID "+want.UUID().String(), "reboot",
			"set runtimeID to "+vm.UUID.String()+", if it was restored or moved on purpose"),
	}))
}

func (p *pass) weakMatch(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	record := ""
	if vm.UUID != uuid.Nil { // runtimeID holds nothing else
		record = "set runtimeID to " + vm.UUID.String()
	}
	p.find(vp.finding(Finding{
		Kind: IdentityWeak, Field: "vm.identity", Intended: want.ID, Observed: vm.Key(),
		Message:     fmt.Sprintf("%s was recognised by %s alone, which can be copied or reused", vp.name(), rungWords(vp.Match.By)),
		Evidence:    says(vp.Evidence),
		Provenance:  vp.provenance("vm.uuid"),
		Resolutions: bothWays("write vm="+quote(want.ID)+" into its placement metadata", "live", record),
	}))
}

// nameOf writes a Sentral ID with the name that goes with it, if any does.
func (p *pass) nameOf(id string) string {
	if vm := p.recordOf(strings.ToLower(id)); vm != nil {
		return vm.Name + " (" + vm.ID + ")"
	}
	return id + ", which Sentral doesn't have"
}
