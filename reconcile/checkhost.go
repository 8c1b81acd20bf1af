package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// maxEvidence is how many problems a finding quotes; explain shows all.
const maxEvidence = 8

// seeHosts finds hosts that are missing, unknown or silent, what can't be seen
// of the others, and where their links and disks differ from the record.
func (p *pass) seeHosts() {
	for _, hp := range p.hostPairs {
		switch {
		case hp.Observed == nil:
			p.missingHost(hp)
			continue
		case hp.Intended == nil:
			p.unknownHost(hp)
		case hp.Intended.State == sentral.HostRetired || hp.Intended.State == sentral.HostPlanned:
		default:
			p.checkHostIdentity(hp)
		}
		if hp.Observed.Stale {
			p.staleHost(hp)
			continue
		}
		p.seeSources(hp)
		p.compareLinks(hp)
		p.compareHostDisks(hp)
	}
}

func (p *pass) missingHost(hp *hostPair) {
	if hp.tied || (hp.Intended.State != "" && hp.Intended.State != sentral.HostActive) {
		return
	}
	hp.Blind = p.find(Finding{
		Kind: HostMissing, Subject: hp.subject(), Field: "host", Intended: string(sentral.HostActive),
		Message:  fmt.Sprintf("%s is active in Sentral and has never reported", hp.key()),
		Evidence: []string{"no host reports its host ID, system UUID, serial, MACs or name"},
		Resolutions: bothWays("install avstem-agent on it, or see why it can't reach NATS", "person",
			"set state to planned, maintenance or retired"),
	})
}

func (p *pass) unknownHost(hp *hostPair) {
	id := hp.Observed.Identity
	if id == nil {
		id = &inventory.Host{}
	}
	if hp.tied || p.in.Intended.Incomplete || p.intended.setAside("host", hp.Observed.ID.String(), id.Hostname, id.Serial, id.SystemUUID.String()) {
		return
	}
	p.find(Finding{
		Kind: HostUnknown, Subject: hp.subject(), Field: "host", Observed: hp.Observed.name(),
		Message:     fmt.Sprintf("%s reports (host ID %s), and Sentral has no such host", hp.Observed.name(), hp.Observed.ID),
		Evidence:    notEmpty(id.Serial, "serial "+id.Serial),
		Resolutions: bothWays("remove avstem-agent from it, if it isn't yours", "person", "add a record with hostID "+hp.Observed.ID.String()),
	})
}

func (p *pass) staleHost(hp *hostPair) {
	if hp.Intended == nil || (hp.Intended.State != "" && hp.Intended.State != sentral.HostActive) {
		return
	}
	silent := p.in.Now.Sub(hp.Observed.LastHeard)
	hp.Blind = p.find(Finding{
		Kind: HostStale, Subject: hp.subject(), Field: "host", Intended: string(sentral.HostActive), Observed: "silent",
		Message:  fmt.Sprintf("%s has not spoken since %s; nothing is concluded about its VMs", hp.key(), hp.Observed.LastHeard.UTC().Format(time.RFC3339)),
		Evidence: []string{fmt.Sprintf("silent for more than %s", policyStep(silent, p.in.Policy.StaleAfter))},
		Resolutions: bothWays("see whether the host runs, avstem-agent runs on it, and it reaches NATS", "person",
			"set state to maintenance, if it is being worked on"),
	})
}

// policyStep keeps the wording of a finding from changing each second: whole
// multiples of the limit.
func policyStep(d, limit time.Duration) time.Duration {
	if limit <= 0 {
		return d
	}
	step := limit
	for step*2 <= d {
		step *= 2
	}
	return step
}

// checkHostIdentity finds a host that kept its hardware and changed its ID, and
// one that is tied to its record by what can be copied or reused.
func (p *pass) checkHostIdentity(hp *hostPair) {
	want, have := hp.Intended, hp.Observed
	switch {
	case len(hp.Former) > 0 || (len(uuidKeys(want.HostID)) > 0 && want.HostID != have.ID):
		before := want.HostID.String()
		if len(hp.Former) > 0 {
			before = hp.Former[len(hp.Former)-1].String()
		}
		if want.HostID == have.ID { // Sentral has the new one already
			return
		}
		p.find(Finding{
			Kind: IdentityChanged, Subject: hp.subject(), Field: "host.id", Intended: before, Observed: have.ID.String(), Match: hp.Match,
			Message:     fmt.Sprintf("%s reports as host ID %s, it was %s: the hardware is the same, so it was installed again or lost its state directory", hp.key(), have.ID, before),
			Evidence:    says(hp.Evidence),
			Resolutions: bothWays("give it its old ID back", "person", "set hostID to "+have.ID.String()),
		})
	case hp.Match.Weak:
		p.find(Finding{
			Kind: IdentityWeak, Subject: hp.subject(), Field: "host.identity", Intended: want.ID, Observed: have.ID.String(), Match: hp.Match,
			Message:     fmt.Sprintf("host %s was recognised by its %s alone, which can be copied or reused", hp.key(), strings.TrimSuffix(hp.Match.By, "s")),
			Evidence:    says(hp.Evidence),
			Resolutions: bothWays("nothing", "live", "set hostID to "+have.ID.String()),
		})
	}
}

// seeSources reports what can't be seen of a host that speaks.
func (p *pass) seeSources(hp *hostPair) {
	runtimes, seen := 0, 0
	for i := range hp.view.docs {
		doc := &hp.view.docs[i]
		if isRuntime(doc.Source) {
			runtimes++
			if doc.Outcome != inventory.OutcomeAbsent {
				seen++
			}
		}
		switch doc.Outcome {
		case inventory.OutcomeFailed:
			p.blindSource(hp, doc)
		case inventory.OutcomePartial:
			p.partialSource(hp, doc)
		}
	}
	if seen == 0 && hp.Intended != nil {
		p.noRuntime(hp, runtimes)
	}
}

// sourceSubject names one source on a host.
func (hp *hostPair) sourceSubject(doc *Document) Subject {
	s := hp.subject()
	if isRuntime(doc.Source) {
		s.Type, s.ID, s.Name = "runtime", hp.key()+"/"+doc.Source, doc.Source
		if doc.Runtime != nil {
			s.Platform = doc.Runtime.Platform
		}
	}
	return s
}

func (p *pass) blindSource(hp *hostPair, doc *Document) {
	lines, remedy := problemLines(doc.Problems)
	severity := Severity("")
	if !isRuntime(doc.Source) {
		severity = Medium
	}
	hp.Blind = p.find(Finding{
		Kind: ObserveBlind, Severity: severity, Subject: hp.sourceSubject(doc), Field: doc.Source,
		Intended: string(inventory.OutcomeComplete), Observed: string(doc.Outcome),
		Message:     fmt.Sprintf("%s of %s can't be seen: %s", doc.Source, hp.key(), firstOf(lines)),
		Evidence:    lines,
		Provenance:  &Provenance{Collector: doc.Source, ObservedAt: doc.ObservedAt, Host: doc.Host},
		Resolutions: []Resolution{{Side: "runtime", Do: orElse(remedy, "see avstem-agent's log on the host"), How: "person"}},
	})
}

// partialSource reports what a pass could not read. What isn't there to be read
// (a host without DMI) is a fact and no lack of sight.
func (p *pass) partialSource(hp *hostPair, doc *Document) {
	var hidden []inventory.Problem
	for _, problem := range doc.Problems {
		if problem.Why != inventory.WhyAbsent {
			hidden = append(hidden, problem)
		}
	}
	if len(hidden) == 0 && doc.Complete {
		return
	}
	lines, remedy := problemLines(hidden)
	severity, what := Low, fmt.Sprintf("%d %s can't be read", len(hidden), plural(len(hidden), "thing"))
	if isRuntime(doc.Source) {
		severity = p.in.Policy.severity(ObservePartial)
	}
	if !doc.Complete {
		severity, what = High, "not everything was enumerated"
	}
	id := p.find(Finding{
		Kind: ObservePartial, Severity: severity, Subject: hp.sourceSubject(doc), Field: doc.Source,
		Intended: string(inventory.OutcomeComplete), Observed: string(doc.Outcome),
		Message:     fmt.Sprintf("%s of %s was seen in part: %s: %s", doc.Source, hp.key(), what, firstOf(lines)),
		Evidence:    lines,
		Provenance:  &Provenance{Collector: doc.Source, ObservedAt: doc.ObservedAt, Host: doc.Host},
		Resolutions: []Resolution{{Side: "runtime", Do: orElse(remedy, "see avstem-agent's log on the host"), How: "person"}},
	})
	if !doc.Complete {
		hp.Blind = id
	}
}

// noRuntime reports a host on which no runtime shows, and where was looked.
func (p *pass) noRuntime(hp *hostPair, looked int) {
	var lines []string
	for i := range hp.view.docs {
		if doc := &hp.view.docs[i]; isRuntime(doc.Source) {
			more, _ := problemLines(doc.Problems)
			lines = append(lines, more...)
		}
	}
	severity := Low
	if hp.Intended.Platform != "" {
		severity = ""
	}
	message := fmt.Sprintf("no runtime was found on %s: %s", hp.key(), firstOf(lines))
	if looked == 0 {
		message = hp.key() + " reports no runtime at all: its agent looks for none"
	}
	subject := hp.subject()
	subject.Type, subject.ID, subject.Name = "runtime", hp.key()+"/runtime", "runtime"
	hp.Blind = p.find(Finding{
		Kind: ObserveBlind, Severity: severity, Subject: subject, Field: "runtime",
		Intended: orNothing(hp.Intended.Platform), Observed: string(inventory.OutcomeAbsent),
		Message:  message,
		Evidence: lines,
		Resolutions: bothWays("start the runtime's daemon: its VMs run on without it, unseen", "live",
			"set state to planned or retired, if it runs no VMs"),
	})
}

func orNothing(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func plural(n int, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// problemLines writes problems, and the first remedy among them.
func problemLines(problems []inventory.Problem) (lines []string, remedy string) {
	for i, problem := range problems {
		remedy = orElse(remedy, problem.Remedy)
		if i == maxEvidence {
			lines = append(lines, fmt.Sprintf("and %d more: see avstem explain", len(problems)-i))
		}
		if i >= maxEvidence {
			continue
		}
		about := strings.TrimSpace(problem.Entity + " " + string(problem.Field))
		if about != "" {
			about += ": "
		}
		lines = append(lines, fmt.Sprintf("%s%s: %s (%s)", about, problem.Call, problem.Error, problem.Why))
	}
	if len(lines) == 0 {
		lines = []string{"no reason was given"}
	}
	return lines, remedy
}

// holdHost records a comparison of a host, and the finding that it makes.
func (p *pass) holdHost(hp *hostPair, doc *Document, c Comparison, f Finding) {
	c.Provenance = provenance(doc, c.Field)
	if c.Class != Equal && c.Class != Unknown {
		f.Subject, f.Field, f.Intended, f.Observed, f.Provenance, f.Match = hp.subject(), c.Path, c.Intended, c.Observed, c.Provenance, hp.Match
		if hp.Match.Weak {
			f.Verdict = Potential
		}
		c.Finding = p.find(f)
	}
	hp.Comparisons = append(hp.Comparisons, c)
}

func (p *pass) compareLinks(hp *hostPair) {
	if hp.Intended == nil {
		return
	}
	doc := hp.view.network
	if doc == nil || !hp.view.fresh(doc, &p.in) {
		return
	}
	for _, want := range hp.Intended.Links {
		p.compareLink(hp, doc, &want)
	}
}

func (p *pass) compareLink(hp *hostPair, doc *Document, want *sentral.HostLink) {
	link := hp.view.links[want.Name]
	if want.MAC.Identifies() {
		i := slices.IndexFunc(doc.Links, func(l inventory.Link) bool {
			return l.PermanentMAC == want.MAC || (l.PermanentMAC == inventory.MAC{} && l.MAC == want.MAC && l.Kind == "physical")
		})
		if i >= 0 {
			link = &doc.Links[i] // renamed links keep their address
		}
	}
	name := orElse(want.Name, want.MAC.String())
	path := "links[" + name + "]"
	if link == nil {
		c := Comparison{Field: "link.name", Path: path, Intended: name, Class: Missing}
		if !doc.Complete {
			c.Class, c.Reason = Unknown, "the host's links were not enumerated"
		}
		p.holdHost(hp, doc, c, Finding{
			Kind:        HostLink,
			Message:     fmt.Sprintf("%s has no link %s", hp.key(), name),
			Resolutions: bothWays("see whether the NIC is there and its driver is loaded", "person", "take the link out of the record"),
		})
		return
	}
	mac := link.PermanentMAC
	if mac == (inventory.MAC{}) {
		mac = link.MAC
	}
	if want.MAC != (inventory.MAC{}) {
		p.holdHost(hp, doc, Comparison{Field: "link.permanentMAC", Path: path + ".mac", Intended: want.MAC.String(), Observed: mac.String(), Class: class(mac == want.MAC)}, Finding{
			Kind:        HostLink,
			Message:     fmt.Sprintf("link %s of %s has MAC %s, Sentral says %s", link.Name, hp.key(), mac, want.MAC),
			Resolutions: bothWays("see whether the NIC was replaced or the cables were swapped", "person", "set the link's mac to "+mac.String()),
		})
	}
	c := Comparison{Field: "link.operState", Path: path + ".operState", Intended: "up", Observed: link.OperState, Class: class(link.OperState == "up")}
	if link.OperState == "" || link.OperState == "unknown" {
		c.Class, c.Reason = Unknown, "the driver doesn't say"
	}
	p.holdHost(hp, doc, c, Finding{
		Kind:        HostLink,
		Message:     fmt.Sprintf("link %s of %s is %s", link.Name, hp.key(), link.OperState),
		Resolutions: bothWays("see its cable, its switch port and whether it is set up", "person", "take the link out of the record, if it isn't used"),
	})
}

func (p *pass) compareHostDisks(hp *hostPair) {
	if hp.Intended == nil || len(hp.Intended.Disks) == 0 {
		return
	}
	i := slices.IndexFunc(hp.view.docs, func(d Document) bool { return d.Source == "storage" })
	if i < 0 || !hp.view.fresh(&hp.view.docs[i], &p.in) {
		return
	}
	doc := &hp.view.docs[i]
	for _, want := range hp.Intended.Disks {
		p.compareHostDisk(hp, doc, &want)
	}
}

func (p *pass) compareHostDisk(hp *hostPair, doc *Document, want *sentral.HostDisk) {
	name := orElse(want.Serial, want.WWN)
	path := "disks[" + name + "]"
	i := slices.IndexFunc(doc.BlockDevices, func(d inventory.BlockDevice) bool {
		return (want.Serial != "" && strings.EqualFold(d.Serial, want.Serial)) ||
			(want.WWN != "" && inventory.CanonicalWWN(d.WWN) == inventory.CanonicalWWN(want.WWN))
	})
	if i < 0 {
		c := Comparison{Field: "blockDevice.serial", Path: path, Intended: diskWords(name, want.Size), Class: Missing}
		if _, hidden := doc.ProblemOf("", "blockDevice.serial"); hidden || !doc.Complete {
			c.Class, c.Reason = Unknown, "serials of the host's disks were not all read"
		}
		p.holdHost(hp, doc, c, Finding{
			Kind:        HostDisk,
			Message:     fmt.Sprintf("%s has no disk %s", hp.key(), name),
			Resolutions: bothWays("see whether the disk failed or was pulled", "person", "take the disk out of the record"),
		})
		return
	}
	if have := doc.BlockDevices[i].Size; want.Size != nil && have != nil {
		p.holdHost(hp, doc, Comparison{Field: "blockDevice.size", Path: path + ".size", Intended: *want.Size, Observed: *have, Class: class(nearly(*want.Size, *have))}, Finding{
			Kind:        HostDisk,
			Message:     fmt.Sprintf("disk %s of %s is %s, Sentral says %s", name, hp.key(), *have, *want.Size),
			Resolutions: bothWays("see whether it is the right disk", "person", "set the disk's size to "+plain(*have)),
		})
	}
}

// nearly allows for sizes as vendors print them: "960GB" is 960,197,124,096 bytes.
func nearly(want, have inventory.Bytes) bool {
	low, high := min(want, have), max(want, have)
	return high-low <= want/100
}
