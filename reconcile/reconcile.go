package reconcile

import (
	"cmp"
	"slices"

	"github.com/dataverket/avstem/sentral"
)

// Reconcile holds both books side by side.
func Reconcile(in Input) *Result {
	if in.Intended == nil {
		in.Intended = &sentral.Inventory{}
	}
	p := &pass{in: in, intended: newIntended(in.Intended), byID: map[string]int{}, byRecord: map[*sentral.VM]*pair{}, hostRecord: map[string]*hostPair{}}
	p.hosts = readHosts(&in)
	p.checkInventory()
	p.matchHosts()
	p.seeHosts()
	p.vms = readVMs(p.hosts)
	p.matchVMs()
	for i := range p.pairs {
		p.compareVM(p.pairs[i])
	}
	p.absences()
	p.checkMACs()
	p.checkSharedDisks()
	p.checkRefusals()
	return p.result()
}

// pass is the state of one reconciliation.
type pass struct {
	in       Input
	intended *intended
	hosts    []*hostView
	vms      []*sighted
	pairs    []*pair // every VM of either side, matched or not
	byRecord map[*sentral.VM]*pair
	// hostPairs are the same for hosts.
	hostPairs  []*hostPair
	hostRecord map[string]*hostPair // by Sentral's key
	findings   []Finding
	byID       map[string]int
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
	r := &Result{Findings: p.findings}
	if r.Findings == nil {
		r.Findings = []Finding{}
	}
	SortFindings(r.Findings)
	for _, hp := range p.hostPairs {
		r.Hosts = append(r.Hosts, hp.HostMatch)
	}
	slices.SortFunc(r.Hosts, func(a, b HostMatch) int { return cmp.Compare(a.key(), b.key()) })
	for _, vp := range p.pairs {
		r.VMs = append(r.VMs, vp.VMMatch)
	}
	slices.SortFunc(r.VMs, func(a, b VMMatch) int {
		return cmp.Or(cmp.Compare(a.qualifiedName(), b.qualifiedName()), cmp.Compare(a.subjectID(), b.subjectID()))
	})
	return r
}
