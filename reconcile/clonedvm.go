package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// A copied mark is no ownership. Where two VMs bear one identity, one of them has
// it by its own UUID, and the other is a clone: it was made by copying a VM, its
// configuration or its metadata, and what others do by that mark (backup, monitoring,
// deletion) may hit either.

// ownerOf is the VM that a record was matched with by a durable mark, if that is
// another one than vp.
func (p *pass) ownerOf(record *sentral.VM, vp *pair) *pair {
	if record == nil {
		return nil
	}
	owner := p.pairOf(record)
	if owner == nil || owner == vp || owner.seen == nil || owner.Match.Weak {
		return nil
	}
	return owner
}

// checkCloned finds a VM without a record that bears the marks of one that has
// its own VM, and returns the finding's ID.
func (p *pass) checkCloned(vp *pair) string {
	vm := vp.seen.lead.vm
	for _, label := range labelKeys(vm) {
		if owner := p.ownerOf(p.recordOf(label), vp); owner != nil {
			return p.clonedLabel(vp, owner)
		}
	}
	for _, id := range []uuid.UUID{vm.SMBIOSUUID, inventory.SwapUUID(vm.SMBIOSUUID)} {
		if uuidText(id) == "" {
			continue
		}
		if owner := p.ownerOf(p.recordWith(id), vp); owner != nil {
			return p.clonedSMBIOS(vp, owner)
		}
	}
	return ""
}

// clonedLabel reports a VM that carries another one's Sentral ID in its metadata.
func (p *pass) clonedLabel(vp, owner *pair) string {
	own := owner.seen.lead
	resolve := "write its own Sentral ID into its placement metadata, or take the copied one out"
	if vp.Intended != nil {
		resolve = "write vm=" + quote(vp.Intended.ID) + " into its placement metadata"
	}
	return p.find(vp.finding(Finding{
		Kind: IdentityCloned, Field: "vm.identity", Intended: orNothing(ownID(vp)), Observed: owner.Intended.ID,
		Hosts: hostsOf(vp, owner),
		Message: fmt.Sprintf("%s on %s carries the Sentral ID of %s, which is another VM (%s, on %s)",
			vmName(vp.seen.lead.vm), vp.seen.lead.host.key(), owner.name(), own.vm.Key(), own.host.key()),
		Evidence:    p.cloneEvidence(vp, owner),
		Provenance:  vp.provenance("placement.vm"),
		Resolutions: bothWays(resolve, "live", ""),
	}))
}

// clonedSMBIOS reports a VM whose guest sees another one's UUID.
func (p *pass) clonedSMBIOS(vp, owner *pair) string {
	vm, own := vp.seen.lead.vm, owner.seen.lead
	return p.find(vp.finding(Finding{
		Kind: IdentityCloned, Field: "vm.smbiosUUID", Intended: orNothing(uuidText(vm.UUID)), Observed: vm.SMBIOSUUID.String(),
		Hosts: hostsOf(vp, owner),
		Message: fmt.Sprintf("the guest of %s on %s sees the UUID of %s, which is another VM (on %s)",
			vmName(vm), vp.seen.lead.host.key(), owner.name(), own.host.key()),
		Evidence:    p.cloneEvidence(vp, owner),
		Provenance:  vp.provenance("vm.smbiosUUID"),
		Resolutions: bothWays("give its guest a system UUID of its own", "reboot", ""),
	}))
}

// ownID is what the VM should be called instead: its own record's ID or its UUID.
func ownID(vp *pair) string {
	if vp.Intended != nil {
		return vp.Intended.ID
	}
	return uuidText(vp.seen.lead.vm.UUID)
}

func hostsOf(vps ...*pair) []string {
	var hosts []string
	for _, vp := range vps {
		hosts = append(hosts, vp.seen.lead.host.key())
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// cloneEvidence says how alike two VMs are that bear one mark.
func (p *pass) cloneEvidence(vp, owner *pair) []string {
	vm, own := vp.seen.lead.vm, owner.seen.lead.vm
	evidence := []string{fmt.Sprintf("%s has it by %s", owner.name(), rungWords(owner.Match.By))}
	if shared := common(observedMACs(vm), observedMACs(own)); len(shared) > 0 {
		evidence = append(evidence, "both have MAC "+listed(shared, "and"))
	}
	if shared := common(observedSerials(vm), observedSerials(own)); len(shared) > 0 {
		evidence = append(evidence, "both have a disk with serial "+listed(shared, "and"))
	}
	if vm.GenerationID != uuid.Nil && vm.GenerationID == own.GenerationID {
		evidence = append(evidence, fmt.Sprintf("both have generation ID %s: the guest was not told that it is a copy", vm.GenerationID))
	}
	return evidence
}

func common(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(key string) bool { return !slices.Contains(b, key) })
}

// checkClonedElsewhere finds a VM of the same UUID on another host that is not
// this VM as a migration leaves it behind. While both are active that is
// vm.duplicate.
func (p *pass) checkClonedElsewhere(vp *pair) {
	for i := range vp.seen.copies {
		if at := &vp.seen.copies[i]; at.fresh {
			p.clonedUUID(vp, at.vm, at.host.key())
		}
	}
}

// checkClonedHere finds two VMs of one UUID on one host, which no runtime allows
// among its own.
func (p *pass) checkClonedHere(vp *pair) {
	lead := &vp.seen.lead
	for _, other := range lead.others {
		if other.vm.Name != lead.vm.Name {
			p.clonedUUID(vp, other.vm, lead.host.key())
		}
	}
}

// clonedUUID reports two VMs of one UUID, unless they are one.
func (p *pass) clonedUUID(vp *pair, other *inventory.VM, otherHost string) {
	vm, host := vp.seen.lead.vm, vp.seen.lead.host.key()
	why := otherVM(vm, other)
	if why == "" {
		return
	}
	here, there := vmName(vm)+" on "+host, vmName(other)+" on "+otherHost
	hosts := []string{host, otherHost}
	slices.Sort(hosts)
	verdict := Confirmed
	if vm.Name == other.Name { // a definition that was left behind, and a NIC that was replaced since
		verdict = Potential
	}
	p.find(vp.finding(Finding{
		Kind: IdentityCloned, Field: "vm.uuid", Intended: "one VM", Observed: []string{here, there}, Hosts: slices.Compact(hosts), Verdict: verdict,
		Message:     fmt.Sprintf("%s and %s have one UUID, %s, and are two VMs", here, there, vm.UUID),
		Evidence:    []string{why, fmt.Sprintf("%s is %s, %s is %s", here, stateWords(vm.State), there, stateWords(other.State))},
		Provenance:  vp.provenance("vm.uuid"),
		Resolutions: bothWays("define the one that is the copy again, under a UUID of its own, or remove it", "person", ""),
	}))
}

// otherVM says why two VMs of one UUID are not one VM in two places: a migration
// keeps MACs and disks' serials, a copy that was given some of its own does not.
func otherVM(vm, other *inventory.VM) string {
	macs, otherMACs := observedMACs(vm), observedMACs(other)
	if len(macs) == 0 || len(otherMACs) == 0 || shareKey(macs, otherMACs) || shareKey(observedSerials(vm), observedSerials(other)) {
		return ""
	}
	return fmt.Sprintf("they share no MAC and no disk: one has %s, the other %s", strings.Join(macs, " "), strings.Join(otherMACs, " "))
}
