package reconcile

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// pair is a VM on either side or on both.
type pair struct {
	VMMatch
	seen *sighted
	tied bool // some other VM could be it: nothing is concluded from its absence
}

func (p *pass) matchVMs() {
	vms := p.intended.VMs
	result := climb(len(vms), len(p.vms), vmRungs(vms, p.vms))
	byIntended := make([]*pair, len(vms))
	for i := range vms {
		byIntended[i] = &pair{VMMatch: VMMatch{Intended: &vms[i]}}
		p.byRecord[&vms[i]] = byIntended[i]
		p.pairs = append(p.pairs, byIntended[i])
	}
	for _, m := range result.pairs {
		vp, seen := byIntended[m.intended], p.vms[m.observed]
		seen.choose(vp.Intended.Host)
		vp.seen, seen.pair = seen, vp
		vp.Match = &MatchBasis{By: m.rung.name, Weak: m.rung.weak}
	}
	for _, seen := range p.vms {
		if seen.pair == nil {
			seen.pair = &pair{seen: seen}
			p.pairs = append(p.pairs, seen.pair)
		}
		p.show(seen.pair)
	}
	for _, t := range result.ties {
		p.tiedVMs(t, byIntended)
	}
	for _, vp := range byIntended {
		if vp.seen != nil {
			p.checkIdentity(vp)
		}
	}
}

// show fills in what a reader sees of the observed side.
func (p *pass) show(vp *pair) {
	lead := vp.seen.lead.show(&p.in)
	vp.Observed = &lead
	for i := range vp.seen.copies {
		vp.Copies = append(vp.Copies, vp.seen.copies[i].show(&p.in))
	}
	if vp.Intended != nil {
		vp.Evidence = vmEvidence(vp.Intended, vp.seen)
	}
}

// vmRungs is the ladder of DESIGN.md §5.
func vmRungs(vms []sentral.VM, seen []*sighted) []rung {
	vm := func(o int) *inventory.VM { return seen[o].lead.vm }
	site := func(o int) string { return seen[o].lead.host.site() }
	weakly := func(i, o int) bool { return couldBe(&vms[i], vm(o), site(o)) }
	return []rung{
		{
			name:     "sentral-id",
			intended: func(i int) []string { return []string{strings.ToLower(vms[i].ID)} },
			observed: func(o int) []string { return labelKeys(vm(o)) },
			// A copied label is no ownership: the VM whose own UUID agrees has it.
			owns: func(i, o int) bool { return vms[i].UUID() != uuid.Nil && vms[i].UUID() == vm(o).UUID },
		},
		{
			name:     "runtime-uuid",
			intended: func(i int) []string { return bothOrders(vms[i].UUID()) },
			observed: func(o int) []string { return uuidKeys(vm(o).UUID) },
			owns:     func(i, o int) bool { return vms[i].UUID() == vm(o).UUID },
		},
		{
			name:     "smbios-uuid",
			intended: func(i int) []string { return bothOrders(vms[i].UUID()) },
			observed: func(o int) []string { return uuidKeys(vm(o).SMBIOSUUID) },
			owns:     func(i, o int) bool { return vms[i].UUID() == vm(o).SMBIOSUUID },
		},
		{
			name: "macs", weak: true,
			intended: func(i int) []string { return intendedMACs(&vms[i]) },
			observed: func(o int) []string { return observedMACs(vm(o)) },
			allowed: func(i, o int) bool {
				return weakly(i, o) && oneHoldsOther(intendedMACs(&vms[i]), observedMACs(vm(o)))
			},
		},
		{
			name: "disk-serials", weak: true,
			intended: func(i int) []string { return intendedSerials(&vms[i]) },
			observed: func(o int) []string { return observedSerials(vm(o)) },
			allowed: func(i, o int) bool {
				return weakly(i, o) && oneHoldsOther(intendedSerials(&vms[i]), observedSerials(vm(o)))
			},
		},
		{
			name: "name", weak: true,
			intended: func(i int) []string {
				return []string{vms[i].Tenant + "/" + vms[i].Project + "/" + vms[i].Name}
			},
			observed: func(o int) []string {
				if pl := vm(o).Placement; pl != nil && pl.Tenant != "" && pl.Project != "" && vm(o).Name != "" {
					return []string{pl.Tenant + "/" + pl.Project + "/" + vm(o).Name}
				}
				return nil
			},
			allowed: weakly,
		},
	}
}

// couldBe keeps the weak rungs from pairing what is known to be different: in
// another site, of another owner by its own label, or labelled as another VM.
// What Sentral wants absent may have given its MACs away since.
func couldBe(want *sentral.VM, vm *inventory.VM, site string) bool {
	if want.State == sentral.VMAbsent || (site != "" && want.Site != "" && site != want.Site) {
		return false
	}
	pl := vm.Placement
	if pl == nil {
		return true
	}
	other := func(have, want string) bool { return have != "" && have != want }
	return !other(pl.Tenant, want.Tenant) && !other(pl.Project, want.Project) &&
		(pl.VM == "" || strings.EqualFold(pl.VM, want.ID))
}

// oneHoldsOther says whether the smaller set lies within the larger: a NIC that
// was added or taken away doesn't make another VM, one that is shared does not
// make the same.
func oneHoldsOther(a, b []string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) > 0 && !slices.ContainsFunc(a, func(key string) bool { return !slices.Contains(b, key) })
}

func labelKeys(vm *inventory.VM) []string {
	if vm.Placement == nil || vm.Placement.VM == "" {
		return nil
	}
	return []string{strings.ToLower(vm.Placement.VM)}
}

func intendedMACs(vm *sentral.VM) []string {
	var keys []string
	for i := range vm.NICs {
		keys = append(keys, macKeys(vm.NICs[i].MAC)...)
	}
	return keys
}

func observedMACs(vm *inventory.VM) []string {
	var keys []string
	for i := range vm.NICs {
		keys = append(keys, macKeys(vm.NICs[i].MAC)...)
	}
	return keys
}

func intendedSerials(vm *sentral.VM) []string {
	var keys []string
	for i := range vm.Disks {
		keys = append(keys, diskKeys(vm.Disks[i].Serial, vm.Disks[i].WWN)...)
	}
	return keys
}

func observedSerials(vm *inventory.VM) []string {
	var keys []string
	for i := range vm.Disks {
		if vm.Disks[i].IsStorage() {
			keys = append(keys, diskKeys(vm.Disks[i].Serial, vm.Disks[i].WWN)...)
		}
	}
	return keys
}

func diskKeys(serial, wwn string) []string {
	keys := serialKeys(serial)
	if wwn = inventory.CanonicalWWN(wwn); wwn != "" {
		keys = append(keys, "wwn:"+wwn)
	}
	return keys
}

// vmEvidence holds every rung's two values side by side.
func vmEvidence(want *sentral.VM, seen *sighted) []Evidence {
	vm := seen.lead.vm
	var evidence []Evidence
	for _, r := range vmRungs([]sentral.VM{*want}, []*sighted{seen}) {
		e := weigh(r.name, r.intended(0), r.observed(0))
		switch {
		case r.name == "runtime-uuid" && e.Says == Agrees && want.UUID() != vm.UUID,
			r.name == "smbios-uuid" && e.Says == Agrees && want.UUID() != vm.SMBIOSUUID:
			e.Note = "in the other byte order"
		case r.weak && e.Says == Agrees && r.allowed != nil && !r.allowed(0, 0):
			e.Note = "in part, or across owners"
		}
		evidence = append(evidence, e)
	}
	return evidence
}

func evidenceOf(all []Evidence, rung string) Evidence {
	i := slices.IndexFunc(all, func(e Evidence) bool { return e.Rung == rung })
	return all[i]
}

// checkIdentity finds what the marks of a matched VM say against the match.
func (p *pass) checkIdentity(vp *pair) {
	want, vm := vp.Intended, vp.seen.lead.vm
	label, own := evidenceOf(vp.Evidence, "sentral-id"), evidenceOf(vp.Evidence, "runtime-uuid")
	otherByUUID := p.intended.vmByUUID[vm.UUID]
	switch {
	case label.Says == Disagrees:
		p.find(vp.finding(Finding{
			Kind: IdentityConflict, Field: "vm.identity", Intended: want.ID, Observed: vm.Placement.VM,
			Message: fmt.Sprintf("%s was matched by %s, but its metadata says that it is %s", vp.name(), vp.Match.By, p.nameOf(vm.Placement.VM)),
			Evidence: []string{
				fmt.Sprintf("runtime UUID %s belongs to %s in Sentral", vm.UUID, p.nameOf(want.ID)),
				fmt.Sprintf("placement metadata vm=%q", vm.Placement.VM),
			},
			Provenance:  vp.provenance("placement.vm"),
			Resolutions: bothWays("write vm="+quote(want.ID)+" into its placement metadata, if this is "+want.Name, "live", "if it really is the other VM: correct runtimeID of both records"),
		}))
	case own.Says == Disagrees && otherByUUID != nil && otherByUUID != want:
		p.byRecord[otherByUUID].tied = true
		p.find(vp.finding(Finding{
			Kind: IdentityConflict, Field: "vm.identity", Intended: want.UUID().String(), Observed: vm.UUID.String(),
			Message: fmt.Sprintf("%s says by its %s that it is %s, but its UUID is that of %s", vm.Name, vp.Match.By, want.Name, otherByUUID.Name),
			Evidence: []string{
				fmt.Sprintf("%s names %s (%s)", vp.Match.By, want.Name, want.ID),
				fmt.Sprintf("runtime UUID %s names %s (%s)", vm.UUID, otherByUUID.Name, otherByUUID.ID),
			},
			Provenance:  vp.provenance("vm.uuid"),
			Resolutions: bothWays("correct the VM's placement metadata, if it was copied from "+want.Name, "live", "set runtimeID of "+want.Name+" to "+vm.UUID.String()+", if its UUID was changed on purpose"),
		}))
	case own.Says == Disagrees:
		p.find(vp.finding(Finding{
			Kind: IdentityChanged, Field: "vm.uuid", Intended: want.UUID().String(), Observed: vm.UUID.String(),
			Message:     fmt.Sprintf("%s has UUID %s, Sentral says %s: it was recognised by %s", vp.name(), vm.UUID, want.UUID(), rungWords(vp.Match.By)),
			Evidence:    says(vp.Evidence),
			Provenance:  vp.provenance("vm.uuid"),
			Resolutions: bothWays("define the VM again under UUID "+want.UUID().String(), "reboot", "set runtimeID to "+vm.UUID.String()+", if it was restored or moved on purpose"),
		}))
	case vp.Match.Weak:
		p.find(vp.finding(Finding{
			Kind: IdentityWeak, Field: "vm.identity", Intended: want.ID, Observed: vm.Key(),
			Message:     fmt.Sprintf("%s was recognised by %s alone, which can be copied or reused", vp.name(), rungWords(vp.Match.By)),
			Evidence:    says(vp.Evidence),
			Provenance:  vp.provenance("vm.uuid"),
			Resolutions: bothWays("write vm="+quote(want.ID)+" into its placement metadata", "live", "set runtimeID to "+vm.Key()),
		}))
	}
}

func rungWords(rung string) string {
	switch rung {
	case "macs":
		return "its MAC addresses"
	case "disk-serials":
		return "its disks' serials"
	case "name":
		return "its name within its project"
	case "sentral-id":
		return "the Sentral ID in its metadata"
	case "smbios-uuid":
		return "its SMBIOS UUID"
	}
	return rung
}

// says writes what the rungs said, those that said something.
func says(evidence []Evidence) []string {
	var lines []string
	for _, e := range evidence {
		if e.Says == Nothing {
			continue
		}
		line := fmt.Sprintf("%s %s: intended %s, observed %s", e.Rung, e.Says, e.Intended, e.Observed)
		if e.Note != "" {
			line += " (" + e.Note + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

// nameOf writes a Sentral ID with the name that goes with it, if any does.
func (p *pass) nameOf(id string) string {
	if vm := p.intended.vmByID[strings.ToLower(id)]; vm != nil {
		return vm.Name + " (" + vm.ID + ")"
	}
	return id + " (which Sentral doesn't know)"
}

// tiedVMs reports VMs that one rung can't tell apart.
func (p *pass) tiedVMs(t tie, byIntended []*pair) {
	var wanted, seen []string
	for _, i := range t.intended {
		byIntended[i].tied = true
		wanted = append(wanted, byIntended[i].qualifiedName())
	}
	for _, o := range t.observed {
		s := p.vms[o]
		s.pair.tied = true
		seen = append(seen, fmt.Sprintf("%s (%s) on %s", s.lead.vm.Name, s.lead.vm.Key(), s.lead.host.key()))
	}
	first := byIntended[t.intended[0]]
	p.find(Finding{
		Kind: IdentityAmbiguous, Subject: first.subject(), Field: "vm." + t.rung.name,
		Intended: wanted, Observed: seen,
		Message:  fmt.Sprintf("%s can't tell %s from each other for %s", rungWords(t.rung.name), strings.Join(seen, " and "), strings.Join(wanted, ", ")),
		Evidence: []string{"nothing is concluded about any of them until an earlier mark tells them apart"},
		Resolutions: bothWays("write vm=\""+first.Intended.ID+"\" into the placement metadata of the one that is it", "live",
			"set runtimeID in the record to the right VM's UUID"),
	})
}
