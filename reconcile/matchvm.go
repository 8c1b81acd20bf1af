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
	seen   *sighted
	record *thing
	tied   bool // some other VM could be it: nothing is concluded from its absence
	// disputed says that another source tells another state.
	disputed bool
	// problems are those of the observed VM.
	problems []*inventory.Problem
	cuts     []cut // of its NICs that its host's uplinks cut off
	// stray is the project that it is labelled with, where nobody recorded it.
	stray projectKey
	// config is the finding that its definition isn't what runs, waiting what of
	// that is as Sentral says.
	config  string
	waiting []string
	// contradiction is the finding that its owners contradict each other.
	contradiction string
}

func (p *pass) matchVMs() {
	vms := p.records
	for i := range vms {
		vp := p.pair()
		vp.Intended = vms[i]
		p.pairs = append(p.pairs, vp)
	}
	byIntended := p.pairs[:len(vms):len(vms)]
	var result climbed
	if by := p.onlyRung(); by != "" {
		p.pairUp(byIntended[0], p.vms[0], by, false)
	} else if len(p.vms) > 0 {
		result = climb(len(vms), len(p.vms), vmRungs(vms, p.vms, p.vmByUUID))
	}
	for _, m := range result.pairs {
		p.pairUp(byIntended[m.intended], p.vms[m.observed], m.rung.name, m.rung.weak)
	}
	for _, seen := range p.vms {
		if seen.pair == nil {
			seen.pair = p.pair()
			seen.pair.seen = seen
			p.pairs = append(p.pairs, seen.pair)
		}
		if p.whole || seen.pair.Intended == nil {
			seen.pair.show()
		}
	}
	for _, t := range result.ties {
		p.tiedVMs(t, byIntended)
	}
	p.matchContainers()
	p.tieClaimed()
}

// tieClaimed marks the records that nothing was matched with although some VM
// bears their ID or UUID: it was matched with another record, or is a copy of
// one that was. They are not to be called missing.
func (p *pass) tieClaimed() {
	claim := func(want *sentral.VM) {
		if want != nil && p.pairOf(want).seen == nil {
			p.pairOf(want).tied = true
		}
	}
	for _, seen := range p.vms {
		if seen.claimsNoOther() {
			continue
		}
		for _, at := range append([]place{seen.lead}, seen.copies...) {
			for _, as := range append([]place{at}, at.others...) {
				vm := as.vm
				for _, label := range labelKeys(vm) {
					claim(p.recordOf(label))
				}
				for _, key := range []uuid.UUID{vm.UUID, vm.SMBIOSUUID} {
					if key != uuid.Nil {
						claim(p.recordWith(key))
						claim(p.recordWith(inventory.SwapUUID(key)))
					}
				}
			}
		}
	}
}

// claimsNoOther is the ordinary case: a VM is seen once, and all of its marks are
// its record's.
func (s *sighted) claimsNoOther() bool {
	if s.pair.Match == nil || len(s.copies) > 0 || len(s.lead.others) > 0 {
		return false
	}
	vm, own := s.lead.vm, s.pair.Intended.UUID()
	return vm.UUID == own && (vm.SMBIOSUUID == own || vm.SMBIOSUUID == uuid.Nil) &&
		(vm.Placement == nil || vm.Placement.VM == "" || vm.Placement.VM == s.pair.Intended.ID)
}

// recordIndex finds the unit's records, of which most units have one, that nobody
// asks for by its marks.
type recordIndex struct {
	made   bool
	byID   map[string]*sentral.VM // in lower case
	byUUID map[uuid.UUID]*sentral.VM
	pairs  map[*sentral.VM]*pair
}

func (p *pass) index() *recordIndex {
	x := &p.recordIndex
	if x.made {
		return x
	}
	*x = recordIndex{true, map[string]*sentral.VM{}, map[uuid.UUID]*sentral.VM{}, map[*sentral.VM]*pair{}}
	for i, want := range p.records {
		x.byID[strings.ToLower(want.ID)] = want
		if id := want.UUID(); id != uuid.Nil {
			x.byUUID[id] = want
		}
		x.pairs[want] = p.pairs[i]
	}
	return x
}

// recordOf gives the unit's record of an ID in lower case, recordWith that of a
// UUID, and pairOf what a record was made of.
func (p *pass) recordOf(id string) *sentral.VM      { return p.index().byID[id] }
func (p *pass) recordWith(id uuid.UUID) *sentral.VM { return p.index().byUUID[id] }
func (p *pass) pairOf(record *sentral.VM) *pair     { return p.index().pairs[record] }

// onlyRung is the rung that settles the ordinary unit, "" if it needs the ladder:
// one record and one VM that bears its ID, or its UUID and no ID.
func (p *pass) onlyRung() string {
	if len(p.records) != 1 || len(p.vms) != 1 {
		return ""
	}
	want, vm := p.records[0], p.vms[0].lead.vm
	label := ""
	if vm.Placement != nil {
		label = vm.Placement.VM
	}
	switch {
	case label != "" && label == want.ID:
		return "sentral-id"
	case label == "" && vm.UUID == want.UUID() && vm.UUID != uuid.Nil && !inventory.IsJunkUUID(vm.UUID):
		return "runtime-uuid"
	}
	return ""
}

// pairUp matches a VM with a record.
func (p *pass) pairUp(vp *pair, seen *sighted, by string, weak bool) {
	seen.choose(vp.Intended.Host)
	vp.seen, seen.pair = seen, vp
	vp.Match = p.matchedBy(by, weak)
}

// matchedBy gives a basis that all share who were matched so.
func (p *pass) matchedBy(rung string, weak bool) *MatchBasis {
	basis := p.bases[rung]
	if basis == nil {
		basis = &MatchBasis{By: rung, Weak: weak}
		p.bases[rung] = basis
	}
	return basis
}

// show fills in what a reader sees of the observed side.
func (vp *pair) show() {
	if vp.Observed != nil {
		return
	}
	lead := vp.seen.lead.show()
	vp.Observed = &lead
	for i := range vp.seen.copies {
		vp.Copies = append(vp.Copies, vp.seen.copies[i].show())
	}
	if vp.Intended != nil {
		vp.Evidence = vmEvidence(vp.Intended, vp.seen.lead.vm, vp.Observed.Site)
	}
}

// vmRungs is the ladder of DESIGN.md §5.
func vmRungs(vms []*sentral.VM, seen []*sighted, byUUID map[uuid.UUID]*sighted) []rung {
	vm := func(o int) *inventory.VM { return seen[o].lead.vm }
	site := func(o int) string { return seen[o].lead.host.site() }
	weakly := func(i, o int) bool { return couldBe(vms[i], vm(o), site(o)) }
	return []rung{
		{
			name:     "sentral-id",
			intended: func(i int) []string { return []string{strings.ToLower(vms[i].ID)} },
			observed: func(o int) []string { return labelKeys(vm(o)) },
			// A copied label is no ownership: the VM whose own UUID agrees has it.
			owns: func(i, o int) bool { return vms[i].UUID() != uuid.Nil && vms[i].UUID() == vm(o).UUID },
			// Nor is it where a VM with that UUID is there, and carries no other label.
			allowed: func(i, o int) bool {
				owner := byUUID[vms[i].UUID()]
				if owner == nil || owner == seen[o] {
					return true
				}
				other := labelKeys(owner.lead.vm)
				return len(other) > 0 && other[0] != strings.ToLower(vms[i].ID)
			},
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
			intended: func(i int) []string { return intendedMACs(vms[i]) },
			observed: func(o int) []string { return observedMACs(vm(o)) },
			allowed: func(i, o int) bool {
				return weakly(i, o) && oneHoldsOther(intendedMACs(vms[i]), observedMACs(vm(o)))
			},
		},
		{
			name: "disk-serials", weak: true,
			intended: func(i int) []string { return intendedSerials(vms[i]) },
			observed: func(o int) []string { return observedSerials(vm(o)) },
			allowed: func(i, o int) bool {
				return weakly(i, o) && oneHoldsOther(intendedSerials(vms[i]), observedSerials(vm(o)))
			},
		},
		{
			name: "name", weak: true,
			intended: func(i int) []string { return notEmpty(vms[i].Name, recordName(vms[i])) },
			observed: func(o int) []string {
				name := labelledName(vm(o))
				return notEmpty(name, name)
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

func recordName(vm *sentral.VM) string { return vm.Tenant + "/" + vm.Project + "/" + vm.Name }

// labelledName is a VM's name within the project that its metadata claims.
func labelledName(vm *inventory.VM) string {
	if pl := vm.Placement; pl != nil && pl.Tenant != "" && pl.Project != "" && vm.Name != "" {
		return pl.Tenant + "/" + pl.Project + "/" + vm.Name
	}
	return ""
}

func intendedMACs(vm *sentral.VM) []string {
	keys := make([]string, 0, len(vm.NICs))
	for i := range vm.NICs {
		keys = appendMAC(keys, vm.NICs[i].MAC)
	}
	return keys
}

func observedMACs(vm *inventory.VM) []string {
	keys := make([]string, 0, len(vm.NICs))
	for i := range vm.NICs {
		keys = appendMAC(keys, vm.NICs[i].MAC)
	}
	return keys
}

func appendMAC(keys []string, mac inventory.MAC) []string {
	if !mac.Identifies() {
		return keys
	}
	return append(keys, mac.String())
}

func intendedSerials(vm *sentral.VM) []string {
	keys := make([]string, 0, len(vm.Disks))
	for i := range vm.Disks {
		keys = appendDisk(keys, vm.Disks[i].Serial, vm.Disks[i].WWN)
	}
	return keys
}

func observedSerials(vm *inventory.VM) []string {
	keys := make([]string, 0, len(vm.Disks))
	for i := range vm.Disks {
		if vm.Disks[i].IsStorage() {
			keys = appendDisk(keys, vm.Disks[i].Serial, vm.Disks[i].WWN)
		}
	}
	return keys
}

func appendDisk(keys []string, serial, wwn string) []string {
	if !inventory.IsJunkSerial(serial) {
		keys = append(keys, strings.ToLower(strings.TrimSpace(serial)))
	}
	if wwn = inventory.CanonicalWWN(wwn); wwn != "" {
		keys = append(keys, "wwn:"+wwn)
	}
	return keys
}

// tiedVMs reports VMs that one rung can't tell apart.
func (p *pass) tiedVMs(t tie, byIntended []*pair) {
	var wanted, seen, hosts []string
	slices.SortFunc(t.intended, func(a, b int) int { return strings.Compare(byIntended[a].Intended.ID, byIntended[b].Intended.ID) })
	for _, i := range t.intended {
		byIntended[i].tied = true
		wanted = append(wanted, byIntended[i].qualifiedName())
	}
	for _, o := range t.observed {
		s := p.vms[o]
		s.pair.tied = true
		seen = append(seen, fmt.Sprintf("%s (%s) on %s", vmName(s.lead.vm), s.lead.vm.Key(), s.lead.host.key()))
		hosts = append(hosts, s.lead.host.key())
	}
	slices.Sort(hosts)
	first := byIntended[t.intended[0]]
	p.find(Finding{
		Kind: IdentityAmbiguous, Subject: first.subject(), Field: "vm." + t.rung.name,
		Intended: wanted, Observed: seen, Hosts: slices.Compact(hosts),
		Message:  ambiguity(seen, wanted, t.rung.name),
		Evidence: []string{"nothing is concluded about any of them until they are told apart"},
		Resolutions: bothWays("write vm="+quote(first.Intended.ID)+" into the placement metadata of the VM that is "+first.Intended.Name+", and remove it from the others", "live",
			"set runtimeID in each record to the UUID of its VM"),
	})
}
