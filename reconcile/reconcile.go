package reconcile

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/sentral"
)

// Reconcile holds both books side by side. Its steps are the units of the package's
// table, each over everything.
func Reconcile(in Input) *Result {
	if in.Intended == nil {
		in.Intended = &sentral.Inventory{}
	}
	p := &pass{in: in, intended: newIntended(in.Intended), byID: map[string]int{}, byRecord: map[*sentral.VM]*pair{}, hostRecord: map[string]*hostPair{}}
	p.hosts = readHosts(&in)
	p.checkInventory()
	p.matchHosts()
	for _, hp := range p.hostPairs {
		p.seeHost(hp)
	}
	p.vms, p.containers, p.vmByUUID = readVMs(p.hosts, &p.in)
	p.matchVMs()
	for _, vp := range p.pairs {
		p.compareVM(vp)
	}
	p.checkMACs(slices.Concat(p.vms, p.containers))
	p.checkSharedDisks(p.vms)
	sites := p.sights()
	for _, vp := range p.pairs {
		p.checkAbsence(vp, sites)
	}
	reach := &reach{pass: p}
	for _, hp := range p.hostPairs {
		p.checkPools(hp, reach)
	}
	for _, u := range p.projectUnits() {
		p.checkQuota(u)
	}
	for _, u := range p.hostUnits() {
		p.checkOvercommit(u)
	}
	for _, u := range p.groupUnits() {
		p.checkAffinity(u)
	}
	p.checkStrays()
	p.checkSpeakers()
	p.checkRefusals()
	return p.result()
}

// pass is the state of one reconciliation.
type pass struct {
	in       Input
	intended *intended
	hosts    []*hostView
	vms      []*sighted
	vmByUUID map[uuid.UUID]*sighted
	// containers are what hosts show besides.
	containers []*sighted
	pairs      []*pair // every VM of either side, matched or not
	byRecord   map[*sentral.VM]*pair
	// hostPairs are the same for hosts.
	hostPairs  []*hostPair
	hostRecord map[string]*hostPair // by Sentral's key
	// spokenFor are the findings about host IDs that several agents use.
	spokenFor map[uuid.UUID]string
	findings  []Finding
	byID      map[string]int
}

// find adds a finding. What it leaves out is filled in: the ID, the kind's
// severity, the verdict confirmed, the state open since now.
func (p *pass) find(f Finding) string {
	f.ID = findingID(f.Kind, f.Subject, f.Field)
	if f.Severity == "" {
		f.Severity = p.in.Policy.severity(f.Kind)
	}
	if f.Verdict == "" {
		f.Verdict = Confirmed
	}
	f.State, f.FirstSeen, f.LastSeen, f.Since = Open, p.in.Now, p.in.Now, p.in.Now
	if f.Resolutions == nil {
		f.Resolutions = []Resolution{}
	}
	if i, found := p.byID[f.ID]; found {
		// The same field of the same subject, found again (a NIC's MAC that is
		// there twice): one finding, with what both had to say.
		p.findings[i].Evidence = append(p.findings[i].Evidence, f.Message)
		return f.ID
	}
	p.byID[f.ID] = len(p.findings)
	p.findings = append(p.findings, f)
	return f.ID
}

func (p *pass) result() *Result {
	r := &Result{Findings: p.findings, intended: p.intended}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	SortFindings(r.Findings)
	slices.SortStableFunc(p.hostPairs, func(a, b *hostPair) int {
		return cmp.Or(cmp.Compare(a.key(), b.key()), cmp.Compare(a.id(), b.id()))
	})
	for _, hp := range p.hostPairs {
		r.Hosts = append(r.Hosts, hp.HostMatch)
	}
	slices.SortStableFunc(p.pairs, comparePairs)
	r.VMs = make([]VMMatch, len(p.pairs))
	for i, vp := range p.pairs {
		r.VMs[i] = vp.VMMatch
	}
	return r
}

// comparePairs sorts by tenant, project, name and ID.
func comparePairs(a, b *pair) int {
	tenantA, projectA, _ := a.owner()
	tenantB, projectB, _ := b.owner()
	if order := cmp.Or(cmp.Compare(tenantA, tenantB), cmp.Compare(projectA, projectB)); order != 0 {
		return order
	}
	if order := cmp.Compare(a.name(), b.name()); order != 0 {
		return order
	}
	return cmp.Compare(a.subjectID(), b.subjectID())
}
