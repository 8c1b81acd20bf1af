package reconcile

import (
	"cmp"
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/sentral"
)

// Reconcile holds both books side by side, and keeps every match and comparison,
// equal ones too: a [Book] that is told everything at once.
func Reconcile(in Input) *Result {
	b := NewBook(in.Policy)
	b.keep = true
	b.learn(in)
	return b.result()
}

// Findings gives the findings that [Reconcile] gives, and keeps nothing of what
// agrees: of most VMs, nothing is made.
func Findings(in Input) []Finding {
	b := NewBook(in.Policy)
	b.learn(in)
	return b.Findings()
}

// learn tells a new book everything, for one pass.
func (b *Book) learn(in Input) {
	b.once = true
	b.Serve(in.Site)
	for _, doc := range in.Observed {
		b.Observe(doc)
	}
	for host, at := range in.Heard {
		b.Hear(host, at)
	}
	b.Intend(in.Intended)
	b.Refuse(in.Refused)
	b.Speak(in.Speakers)
	b.Follow(in.Tasks)
	b.Gaps(in.Gaps)
	b.Clocks(in.Clocks)
	b.Settle(in.Now)
}

// pass is what one unit is judged with, and what it comes to.
type pass struct {
	book     *Book
	in       Input
	intended *intended
	// whole says that all of what is compared is wanted, and not findings alone.
	whole bool
	short bool // nor are NICs' own paths
	shortPaths
	right []madeFrom // on the host that was looked at last, of which nothing was found
	room  room
	// The unit's things.
	records []*sentral.VM
	vms     []*sighted
	recordIndex
	vmByUUID   map[uuid.UUID]*sighted // where there are several
	containers []*sighted             // what hosts show besides
	pairs      []*pair                // every VM of either side, matched or not
	bases      map[string]*MatchBasis // by the rung
	// hostRecord has every host that has a record, by Sentral's key.
	hostRecord map[string]*hostPair
	// spokenFor are the findings about host IDs that several agents use.
	spokenFor map[uuid.UUID]string
	findings  []Finding
	byID      map[string]int
	// blames are causes of findings that other units made.
	blames map[string]string
}

// begin makes it ready for another unit.
func (p *pass) begin() {
	p.findings, p.blames = p.findings[:0], nil
	clear(p.byID)
}

// blame says what the finding of another unit follows from.
func (p *pass) blame(id, cause string) {
	if id == "" {
		return
	}
	if p.blames == nil {
		p.blames = map[string]string{}
	}
	p.blames[id] = cause
}

// judge matches the things of a unit, which are in order, compares what it
// matched, and checks what they may do to each other.
func (p *pass) judge(things []*thing) []*pair {
	p.short = !p.whole
	pairs := p.judgeOnce(things)
	if p.short && len(p.findings) > 0 {
		p.short = false
		pairs = p.judgeOnce(things)
	}
	return pairs
}

func (p *pass) judgeOnce(things []*thing) []*pair {
	p.begin()
	p.room.reset()
	if p.records, p.pairs = p.records[:0], p.pairs[:0]; p.whole {
		p.pairs = nil
	}
	p.recordIndex.made = false
	split := 0
	for _, t := range things {
		if t.want == nil {
			break
		}
		p.records = append(p.records, t.want)
		t.mate = nil
		split++
	}
	for _, t := range things[split:] {
		p.book.open(t.doc.host)
		t.mate, t.leads, t.weak, t.spread, t.blind = nil, false, false, false, false
		t.setCuts(nil)
	}
	p.readVMs(things[split:])
	p.matchVMs()
	for i := range p.records {
		p.pairs[i].record = things[i]
	}
	for _, vp := range p.pairs {
		if vp.seen != nil {
			at := vp.seen.lead.thing
			at.mate, at.leads, at.weak, at.spread = vp.record, true, vp.Match != nil && vp.Match.Weak, len(vp.seen.copies) > 0
			for i := range vp.seen.copies {
				vp.seen.copies[i].thing.mate = at
			}
			if vp.record != nil {
				vp.record.mate = at
			}
		}
		p.compareVM(vp)
		if vp.seen != nil {
			at := vp.seen.lead.thing
			at.doc.host.noteVLANs(vp.Paths)
			at.blind = vp.blindPaths()
			at.setCuts(vp.cuts)
		}
	}
	if len(p.vms)+len(p.containers) > 1 {
		p.checkMACs(slices.Concat(p.vms, p.containers))
		p.checkSharedDisks(p.vms)
	}
	return p.pairs
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

// result gives a book that has kept everything.
func (b *Book) result() *Result {
	r := &Result{Findings: b.Findings(), Tasks: b.Tasks(), intended: b.intended}
	pairs := make([]*hostPair, 0, len(b.hostPairs))
	for hp := range b.hostPairs {
		pairs = append(pairs, hp)
	}
	slices.SortFunc(pairs, comparePairedHosts)
	for _, hp := range pairs {
		r.Hosts = append(r.Hosts, hp.match())
	}
	p := b.scratch()
	for _, vp := range b.pairs {
		if vp.record != nil && vp.record.alone > 0 {
			p.begin()
			p.checkAbsence(vp)
		}
	}
	slices.SortFunc(b.pairs, comparePairs)
	r.VMs = make([]VMMatch, len(b.pairs))
	for i, vp := range b.pairs {
		r.VMs[i] = vp.VMMatch
	}
	return r
}

// match gives what a reader sees of the host.
func (hp *hostPair) match() HostMatch {
	m := hp.HostMatch
	m.Comparisons = slices.Concat(hp.Comparisons, hp.pools, hp.loads)
	m.Evidence = hp.evidence()
	return m
}

// evidence is what was weighed where the host was matched, made when it is asked for.
func (hp *hostPair) evidence() []Evidence {
	if hp.Match == nil {
		return nil
	}
	return hostEvidence(hp.Intended, hp.view)
}

// comparePairs sorts by tenant, project, name and ID.
func comparePairs(a, b *pair) int {
	tenantA, projectA, _ := a.owner()
	tenantB, projectB, _ := b.owner()
	if order := cmp.Or(cmp.Compare(tenantA, tenantB), cmp.Compare(projectA, projectB)); order != 0 {
		return order
	}
	if order := cmp.Or(cmp.Compare(a.name(), b.name()), cmp.Compare(a.subjectID(), b.subjectID())); order != 0 {
		return order
	}
	return compareThings(a.thing(), b.thing())
}

// thing is the record of a pair, or else where the VM is.
func (vp *pair) thing() *thing {
	if vp.record != nil {
		return vp.record
	}
	return vp.seen.lead.thing
}
