package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// seeHost finds a host that is missing, unknown or silent, what can't be seen of
// another, and where its links and disks differ from the record.
func (p *pass) seeHost(hp *hostPair) {
	hp.Blind, hp.unknown, hp.otherRuntime, hp.Comparisons, hp.Record = "", "", "", nil, nil
	switch {
	case hp.Observed == nil:
		p.missingHost(hp)
		return
	case hp.Intended == nil:
		p.unknownHost(hp)
		p.checkReinstalled(hp)
	case hp.Intended.State == sentral.HostRetired || hp.Intended.State == sentral.HostPlanned:
	default:
		p.checkHostIdentity(hp)
	}
	if hp.Observed.Stale {
		p.staleHost(hp)
		return
	}
	if hp.Intended != nil {
		p.checkRuntime(hp)
	}
	p.seeSources(hp)
	p.compareHardware(hp)
	p.compareSite(hp)
	p.compareLinks(hp)
	p.compareHostDisks(hp)
}

func (p *pass) missingHost(hp *hostPair) {
	if hp.tied || !hp.awaited() {
		return
	}
	subject := hp.subject()
	if p.in.Site != "" && subject.Site != p.in.Site { // it may report there
		hp.Blind = findingID(HostMissing, subject, "host")
		return
	}
	hp.Blind = p.find(Finding{
		Kind: HostMissing, Subject: subject, Field: "host", Intended: string(sentral.HostActive),
		Message:  fmt.Sprintf("%s is active in Sentral, and no agent has reported for it", hp.key()),
		Evidence: []string{"no host reports its host ID, system UUID, serial, MACs or name"},
		Resolutions: bothWays("install avstem-agent on it, or see why it can't reach NATS", "person",
			"set state to planned, maintenance or retired"),
	})
}

// unknownHost notes that Sentral has no such host, unless it may have it in a record
// that can't be used. What is to be said of it takes its VMs: see checkStray.
func (p *pass) unknownHost(hp *hostPair) {
	id := hp.identity()
	marks := append(hostNames(id.Hostname), hp.Observed.ID.String())
	marks = append(marks, serialKeys(id.Serial)...)
	marks = append(marks, bothOrders(id.SystemUUID)...)
	for _, mac := range id.MACs {
		marks = append(marks, macKeys(mac)...)
	}
	if label := p.intended.setAsideAs("host", marks...); label != "" {
		hp.Record = p.unusable(label)
		return
	}
	if hp.tied || p.in.Intended.Incomplete {
		return
	}
	hp.unknown = findingID(HostUnknown, hp.subject(), "host")
}

// strangeHost says so of a host that Sentral doesn't know.
func (p *pass) strangeHost(hp *hostPair) Finding {
	id := hp.identity()
	return Finding{
		Kind: HostUnknown, Subject: hp.subject(), Field: "host", Observed: hp.Observed.name(),
		Message:     fmt.Sprintf("%s reports (host ID %s), and Sentral has no such host", hp.Observed.name(), hp.Observed.ID),
		Evidence:    notEmpty(id.Serial, "serial "+id.Serial),
		Resolutions: bothWays("remove avstem-agent from it, if it isn't yours", "person", "add a record with hostID "+hp.Observed.ID.String()),
	}
}

func (p *pass) staleHost(hp *hostPair) {
	if !hp.awaited() {
		return
	}
	silent := p.in.Now.Sub(hp.Observed.LastHeard)
	hp.Blind = p.find(Finding{
		Kind: HostStale, Subject: hp.subject(), Field: "host", Intended: string(sentral.HostActive), Observed: "silent",
		Message:  fmt.Sprintf("%s has not been heard since %s; nothing is concluded about its VMs", hp.key(), clock(hp.Observed.LastHeard)),
		Evidence: []string{fmt.Sprintf("silent for more than %s", policyStep(silent, p.in.Policy.StaleAfter))},
		Resolutions: bothWays("see whether the host runs, avstem-agent runs on it, and it reaches NATS", "person",
			"set state to maintenance, if it is being worked on"),
	})
}

// policyStep keeps the wording of a finding from changing each second: whole
// multiples of the limit.
func policyStep(d, limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	step := limit
	for step <= d/2 { // and not step*2 <= d, which may overflow
		step *= 2
	}
	return step
}

// holdHost records a comparison of a host, and the finding that it makes: it
// returns that one's ID.
func (p *pass) holdHost(hp *hostPair, doc *source, c Comparison, finding func() Finding) string {
	if doc != nil {
		c.Provenance = doc.provenance(c.Field)
	}
	if c.Class != Equal && c.Class != Unknown {
		f := finding()
		f.Subject, f.Field, f.Intended, f.Observed, f.Provenance, f.Match = hp.subject(), c.Path, c.Intended, c.Observed, c.Provenance, hp.Match
		if hp.Match.Weak {
			f.Verdict = Potential
		}
		c.Finding = p.find(f)
	}
	hp.Comparisons = append(hp.Comparisons, c)
	return c.Finding
}

func (p *pass) compareLinks(hp *hostPair) {
	if hp.Intended == nil || len(hp.Intended.Links) == 0 {
		return
	}
	doc := hp.view.network
	if why := hp.view.cantJudge(doc, "network", &p.in); why != "" {
		p.holdHost(hp, doc, Comparison{Field: "link.name", Path: "links", Class: Unknown, Reason: why}, nil)
		return
	}
	for _, want := range hp.Intended.Links {
		p.compareLink(hp, doc, &want)
	}
}

func (p *pass) compareLink(hp *hostPair, doc *source, want *sentral.HostLink) {
	link := recordedLink(hp.view.network.Links(), want)
	name := orElse(want.Name, want.MAC.String())
	path := "links[" + name + "]"
	if link == nil {
		c := Comparison{Field: "link.name", Path: path, Intended: name, Class: Missing}
		if !doc.Complete {
			c.Class, c.Reason = Unknown, "the host's links were not all enumerated"
		}
		p.holdHost(hp, doc, c, func() Finding {
			return Finding{
				Kind:        HostLink,
				Message:     fmt.Sprintf("%s has no link %s", hp.key(), name),
				Resolutions: bothWays("see whether the NIC is there and its driver is loaded", "person", "take the link out of the record"),
			}
		})
		return
	}
	mac := link.PermanentMAC
	if mac == (inventory.MAC{}) {
		mac = link.MAC
	}
	if want.MAC != (inventory.MAC{}) {
		c := Comparison{Field: "link.permanentMAC", Path: path + ".mac", Intended: want.MAC.String(), Observed: orNothing(mac.String()), Class: class(mac == want.MAC)}
		if mac == (inventory.MAC{}) {
			c.Class, c.Reason = Unknown, "the link's address was not read"
		}
		p.holdHost(hp, doc, c, func() Finding {
			return Finding{
				Kind:        HostLink,
				Message:     fmt.Sprintf("link %s of %s has MAC %s, Sentral says %s", link.Name, hp.key(), mac, want.MAC),
				Resolutions: bothWays("see whether the NIC was replaced or the cables were swapped", "person", "set the link's mac to "+mac.String()),
			}
		})
	}
	c := Comparison{Field: "link.operState", Path: path + ".operState", Intended: "up", Observed: link.OperState, Class: class(link.OperState == "up")}
	if link.OperState == "" || link.OperState == "unknown" {
		c.Class, c.Reason = Unknown, "the driver doesn't say"
	}
	p.holdHost(hp, doc, c, func() Finding {
		return Finding{
			Kind:        HostLink,
			Message:     fmt.Sprintf("link %s of %s is %s", link.Name, hp.key(), link.OperState),
			Resolutions: bothWays("see its cable, its switch port and whether it is set up", "person", "take the link out of the record, if it isn't used"),
		}
	})
}

// recordedLink finds the link that a record means; nil if there is none.
func recordedLink(links []inventory.Link, want *sentral.HostLink) (found *inventory.Link) {
	for i := range links {
		link := &links[i]
		switch {
		case want.MAC.Identifies() && (link.PermanentMAC == want.MAC || link.PermanentMAC == inventory.MAC{} && link.MAC == want.MAC && link.Kind == "physical"):
			return link // renamed links keep their address
		case link.Name == want.Name:
			found = link
		case found == nil && slices.Contains(link.AltNames, want.Name):
			found = link
		}
	}
	return found
}

func (p *pass) compareHostDisks(hp *hostPair) {
	if hp.Intended == nil || len(hp.Intended.Disks) == 0 {
		return
	}
	doc := hp.view.source("storage")
	if why := hp.view.cantJudge(doc, "storage", &p.in); why != "" {
		p.holdHost(hp, doc, Comparison{Field: "blockDevice.serial", Path: "disks", Class: Unknown, Reason: why}, nil)
		return
	}
	for _, want := range hp.Intended.Disks {
		if want.Serial != "" || want.WWN != "" {
			p.compareHostDisk(hp, doc, &want)
		}
	}
}

func (h *hostView) source(name string) *source {
	for _, doc := range h.docs {
		if doc.Source == name {
			return doc
		}
	}
	return nil
}

// cantJudge says why a host is not compared with what a source shows of it.
func (h *hostView) cantJudge(doc *source, name string, in *Input) string {
	switch {
	case doc == nil || doc.Outcome == inventory.OutcomeFailed || doc.Outcome == inventory.OutcomeAbsent:
		return fmt.Sprintf("%s of %s can't be seen", name, h.key())
	case !h.fresh(doc, in):
		return h.why(doc)
	}
	return ""
}

func (p *pass) compareHostDisk(hp *hostPair, doc *source, want *sentral.HostDisk) {
	name := orElse(want.Serial, want.WWN)
	path := "disks[" + name + "]"
	i := slices.IndexFunc(doc.BlockDevices(), func(d inventory.BlockDevice) bool {
		return (want.Serial != "" && strings.EqualFold(d.Serial, want.Serial)) ||
			(want.WWN != "" && inventory.CanonicalWWN(d.WWN) == inventory.CanonicalWWN(want.WWN))
	})
	if i < 0 {
		c := Comparison{Field: "blockDevice.serial", Path: path, Intended: diskWords(name, want.Size), Class: Missing}
		if !doc.Complete || doc.hidesAny("blockDevice.serial", "blockDevice.wwn") {
			c.Class, c.Reason = Unknown, "serials of the host's disks were not all read"
		}
		p.holdHost(hp, doc, c, func() Finding {
			return Finding{
				Kind:        HostDisk,
				Message:     fmt.Sprintf("%s has no disk %s", hp.key(), name),
				Resolutions: bothWays("see whether the disk failed or was pulled", "person", "take the disk out of the record"),
			}
		})
		return
	}
	switch have := doc.BlockDevices()[i].Size; {
	case want.Size == nil:
	case have == nil:
		p.holdHost(hp, doc, Comparison{Field: "blockDevice.size", Path: path + ".size", Intended: *want.Size, Class: Unknown, Reason: "its size was not read"}, nil)
	default:
		p.holdHost(hp, doc, Comparison{Field: "blockDevice.size", Path: path + ".size", Intended: *want.Size, Observed: *have, Class: class(nearly(*want.Size, *have))}, func() Finding {
			return Finding{
				Kind:        HostDisk,
				Message:     fmt.Sprintf("disk %s of %s is %s, Sentral says %s", name, hp.key(), *have, *want.Size),
				Resolutions: bothWays("see whether it is the right disk", "person", "set the disk's size to "+plain(*have)),
			}
		})
	}
}

// nearly allows for sizes as vendors print them: "960GB" is 960,197,124,096 bytes.
func nearly(want, have inventory.Bytes) bool {
	low, high := min(want, have), max(want, have)
	return high-low <= want/100
}
