package reconcile

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// checkHostIdentity finds a host that kept its hardware and changed its ID, and
// one that is tied to its record by what can be copied or reused.
func (p *pass) checkHostIdentity(hp *hostPair) {
	want, have := hp.Intended, hp.Observed
	recorded := len(uuidKeys(want.HostID)) > 0
	switch {
	case recorded && want.HostID == have.ID: // Sentral has its ID already
	case recorded:
		p.changedHost(hp, want.HostID)
	case len(hp.Former) > 0:
		p.changedHost(hp, hp.Former[len(hp.Former)-1])
	case hp.Match.Weak:
		p.find(Finding{
			Kind: IdentityWeak, Subject: hp.subject(), Field: "host.identity", Intended: want.ID, Observed: have.ID.String(), Match: hp.Match,
			Message:     fmt.Sprintf("host %s was recognised by %s alone, which can be copied or reused", hp.key(), rungWords(hp.Match.By)),
			Evidence:    says(hp.evidence()),
			Resolutions: bothWays("", "", "set hostID to "+have.ID.String()),
		})
	}
}

// checkReinstalled finds a host that Sentral doesn't know, whose hardware spoke
// under another ID before.
func (p *pass) checkReinstalled(hp *hostPair) {
	if len(hp.Former) > 0 {
		p.changedHost(hp, hp.Former[len(hp.Former)-1])
	}
}

// changedHost proposes its old ID to a host that has a new one.
func (p *pass) changedHost(hp *hostPair, before uuid.UUID) {
	have := hp.Observed
	by, evidence, record := "its hardware", []string(nil), ""
	if hp.Match != nil {
		by, evidence, record = rungWords(hp.Match.By), says(hp.evidence()), "set hostID to "+have.ID.String()
	}
	if slices.Contains(hp.Former, before) {
		evidence = append(evidence, "the same hardware was "+before.String()+", which is silent")
	}
	p.find(Finding{
		Kind: IdentityChanged, Subject: hp.subject(), Field: "host.id", Intended: before.String(), Observed: have.ID.String(), Match: hp.Match,
		Message:  fmt.Sprintf("%s reports as host ID %s, and was %s: it was recognised by %s, so it was installed again or lost its state directory", hp.key(), have.ID, before, by),
		Evidence: evidence,
		Resolutions: bothWays(fmt.Sprintf("give it its old ID back: on %s, stop its agent, run avstem-agent identity adopt %s, and start it again", have.name(), before), "person",
			record),
	})
}

// compareHardware holds what is soldered and screwed in behind an identity
// against the record. A record that was wrong from the start looks the same.
func (p *pass) compareHardware(hp *hostPair) {
	if hp.Intended == nil {
		return
	}
	want, doc := hp.Intended, hp.view.source("identity")
	if len(uuidKeys(want.SystemUUID)) > 0 {
		have := hp.identity().SystemUUID
		c := Comparison{Field: "host.systemUUID", Path: "systemUUID", Intended: want.SystemUUID.String(), Observed: orNothing(uuidText(have)),
			Class: class(plainUUID(want.SystemUUID) == plainUUID(have))}
		p.holdHardware(hp, doc, c, "system UUID", "systemUUID")
	}
	if len(serialKeys(want.Serial)) > 0 {
		have := serialKeys(hp.identity().Serial)
		c := Comparison{Field: "host.serial", Path: "serial", Intended: want.Serial, Observed: orNothing(hp.identity().Serial),
			Class: class(shareKey(serialKeys(want.Serial), have))}
		if len(have) == 0 {
			c.Observed = nil
		}
		p.holdHardware(hp, doc, c, "serial number", "serial")
	}
}

func (p *pass) holdHardware(hp *hostPair, doc *source, c Comparison, what, key string) {
	switch why := hp.view.cantJudge(doc, "identity", &p.in); {
	case why != "":
		c.Class, c.Reason, c.Observed = Unknown, why, nil
	case c.Observed == nil:
		c.Class, c.Reason = Unknown, "the host shows none"
		if problem := doc.hides(doc.problems["host:"], c.Field); problem != nil {
			c.Reason = problemWords(problem)
		}
	}
	p.holdHost(hp, doc, c, func() Finding {
		return Finding{
			Kind:     HostChanged,
			Message:  fmt.Sprintf("%s has %s %v, Sentral says %v: its board was replaced, or the record is wrong", hp.key(), what, c.Observed, c.Intended),
			Evidence: says(hp.evidence()),
			Resolutions: bothWays("see whether this is the machine that the record means", "person",
				fmt.Sprintf("set %s to %v", key, c.Observed)),
		}
	})
}

// compareSite holds the site whose agents' subjects a host reports on against
// the record.
func (p *pass) compareSite(hp *hostPair) {
	want := hp.Intended
	if want == nil || want.Site == "" || hp.Observed.Site == "" {
		return
	}
	have := hp.Observed.Site
	c := Comparison{Field: "host.hostname", Path: "site", Intended: want.Site, Observed: have, Class: class(want.Site == have)}
	p.holdHost(hp, nil, c, func() Finding {
		return Finding{
			Kind:     HostSite,
			Message:  fmt.Sprintf("%s reports from site %s, Sentral says %s", hp.key(), have, want.Site),
			Evidence: says(hp.evidence()),
			Resolutions: bothWays("set the site in its agent's configuration (--site "+want.Site+"), if it stands there", "person",
				"set its site to "+have+", if it was moved"),
		}
	})
}

func (hp *hostPair) identity() *inventory.Host {
	if hp.Observed.Identity == nil {
		return &inventory.Host{}
	}
	return hp.Observed.Identity
}

// checkSpeakers finds host IDs that several agents use at one time. They notice
// each other, and publish nothing until somebody has decided.
func (p *pass) checkSpeakers() {
	p.spokenFor = map[uuid.UUID]string{}
	for _, id := range slices.SortedFunc(maps.Keys(p.in.Speakers), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		p.spokenFor[id] = p.clonedHost(id, p.in.Speakers[id], p.book.pairOf(id))
	}
}

func (p *pass) clonedHost(id uuid.UUID, speakers []Speaker, hp *hostPair) string {
	speakers = slices.SortedFunc(slices.Values(speakers), func(a, b Speaker) int {
		return cmp.Or(strings.Compare(a.Hostname, b.Hostname), strings.Compare(a.BootID, b.BootID), strings.Compare(a.Site, b.Site))
	})
	machines := map[string]bool{}
	names := make([]string, len(speakers))
	for i, s := range speakers {
		machines[s.BootID] = true
		names[i] = fmt.Sprintf("%s (boot ID %s)", orElse(s.Hostname, "a machine without a name"), orElse(s.BootID, "unknown"))
	}
	subject := Subject{Type: "host", ID: id.String(), Name: speakers[0].Hostname, Site: speakers[0].Site, Host: id.String()}
	var evidence []string
	if hp != nil {
		subject = hp.subject()
		evidence = heldFrom(hp, speakers)
	}
	f := Finding{
		Kind: IdentityCloned, Subject: subject, Field: "host.id", Intended: "one agent", Observed: names,
		Message:  fmt.Sprintf("%d machines speak as host %s: %s", len(machines), id, listed(names, "and")),
		Evidence: append(evidence, "a machine's boot ID stands in /proc/sys/kernel/random/boot_id", "none of them publishes anything until the others are stopped"),
		Resolutions: bothWays("on each machine that is not this host, stop its agent, run avstem-agent identity renew, and start it again; then start this host's agent again", "person",
			"if the machine with the new ID is to stay, add a record of it"),
	}
	if len(machines) < 2 {
		f.Message = fmt.Sprintf("%d agents on %s speak as host %s", len(speakers), names[0], id)
		f.Resolutions = bothWays("stop all but one of them: systemctl status avstem-agent names the one that belongs there", "person", "")
	}
	return p.find(f)
}

// heldFrom says which of the speakers published what is held.
func heldFrom(hp *hostPair, speakers []Speaker) []string {
	for _, doc := range hp.view.docs {
		for _, s := range speakers {
			if doc.BootID != "" && doc.BootID == s.BootID {
				return []string{fmt.Sprintf("what is known of it was published by %s (boot ID %s)", orElse(s.Hostname, "the machine"), s.BootID)}
			}
		}
	}
	return nil
}

// checkStray reports a host that Sentral doesn't know, and whose VMs it runs: where
// they all belong on one host that is silent or never spoke, it is probably that
// one, with its identity lost.
func (p *pass) checkStray(hp *hostPair) {
	f := p.strangeHost(hp)
	s := &stray{finding: &f}
	for _, doc := range hp.view.docs {
		for _, t := range doc.things {
			if owner := t.owner(); owner != nil && !t.weak && owner.want.Host != "" {
				p.book.watch(owner.want.Host, hp)
				s.runs(p.home(owner.want))
			}
		}
	}
	s.tell()
	p.find(f)
}

// stray is a host that Sentral doesn't know.
type stray struct {
	finding *Finding
	home    *hostPair // where Sentral places its VMs
	vms     int
	torn    bool // they belong in several places, or in one that speaks for itself
}

// runs notes one of its VMs, by the host where that belongs.
func (s *stray) runs(home *hostPair) {
	speaks := home != nil && home.Observed != nil && !home.Observed.Stale
	s.torn = s.torn || home == nil || speaks || s.home != nil && s.home != home
	s.home, s.vms = home, s.vms+1
}

func (s *stray) tell() {
	if s.torn || s.home == nil {
		return
	}
	s.finding.Evidence = append(s.finding.Evidence,
		fmt.Sprintf("it runs %d %s that Sentral places on %s, which doesn't speak", s.vms, plural(s.vms, "VM"), s.home.key()))
	if id := s.home.oldID(); id != uuid.Nil {
		s.finding.Resolutions = append(s.finding.Resolutions, Resolution{Side: "runtime", How: "person",
			Do: fmt.Sprintf("if it is %s: stop its agent, run avstem-agent identity adopt %s, and start it again", s.home.key(), id)})
	}
}

// oldID is the host ID that the host had or should have.
func (hp *hostPair) oldID() uuid.UUID {
	switch {
	case hp.Intended != nil && len(uuidKeys(hp.Intended.HostID)) > 0:
		return hp.Intended.HostID
	case hp.Observed != nil:
		return hp.Observed.ID
	}
	return uuid.Nil
}
