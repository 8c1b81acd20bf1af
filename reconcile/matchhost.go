package reconcile

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// hostPair is a host on either side or on both.
type hostPair struct {
	HostMatch
	view *hostView
	// nth tells records of one ID apart, which should not be.
	nth   int32
	tied  bool
	dirty dirt // which queues it is in
	// unknown is the finding that Sentral has no such host, otherRuntime that it
	// runs another platform than Sentral says.
	unknown, otherRuntime string
	// pools and loads are the comparisons of its storage pools, and of what it has
	// promised its VMs.
	pools, loads []Comparison
	poolsReached bool // other hosts reach some of its pools
	// The units about it.
	ofHost, ofPools, ofLoad, ofStray unit
	// watches are the hosts, by Sentral's keys, that a stray's VMs belong on.
	watches []string
	// uses and volumes are what its site was told: what its VMs use, and which
	// volumes it wants to know the users of.
	uses, volumes []uint64
	// wasKey and wasID are what it is found by; the host itself may be called
	// otherwise already.
	wasKey, wasID string
	// inSite is what its site was told of it.
	inSite siteFacts
}

// hostNode is a host's record, or a host with all that it showed.
type hostNode struct {
	want  *sentral.Host
	nth   int32
	view  *hostView
	marks []uint64
	group *hostGroup

	marked, gone, dirty bool
}

// hostGroup are hosts and records that share marks.
type hostGroup struct {
	unit
	nodes []*hostNode
	views int // of the nodes, those that are hosts and no records
	pairs []*hostPair
}

// matchHosts matches records with hosts, both in order. What it finds is which
// can't be told apart.
func (p *pass) matchHosts(records []*hostNode, views []*hostView) []*hostPair {
	findFormer(views)
	var live []*hostView
	for _, h := range views {
		if h.former == nil {
			live = append(live, h)
		}
	}
	hosts := make([]*sentral.Host, len(records))
	for i, r := range records {
		hosts[i] = r.want
	}
	result := climb(len(hosts), len(live), hostRungs(hosts, live))
	byIntended, byObserved := make([]*hostPair, len(hosts)), make([]*hostPair, len(live))
	var pairs []*hostPair
	for i := range hosts {
		byIntended[i] = &hostPair{HostMatch: HostMatch{Intended: hosts[i]}, nth: records[i].nth}
		pairs = append(pairs, byIntended[i])
	}
	for _, m := range result.pairs {
		hp := byIntended[m.intended]
		hp.view, hp.Observed = live[m.observed], &live[m.observed].ObservedHost
		hp.Match = &MatchBasis{By: m.rung.name, Weak: m.rung.weak}
		live[m.observed].pair, byObserved[m.observed] = hp, hp
	}
	for o, h := range live {
		if byObserved[o] == nil {
			hp := &hostPair{HostMatch: HostMatch{Observed: &h.ObservedHost}, view: h}
			byObserved[o], h.pair = hp, hp
			pairs = append(pairs, hp)
		}
	}
	for _, h := range views {
		if h.former != nil {
			h.pair = h.former.pair
		}
		for _, former := range h.earlier {
			h.pair.Former = append(h.pair.Former, former.ID)
		}
	}
	for _, t := range result.ties {
		p.tiedHosts(t, byIntended, byObserved)
	}
	return pairs
}

// findFormer recognises a host that was installed again: the same hardware
// speaks under a new ID, and the old one has gone silent. When the new one goes
// silent too, it remains the later one.
func findFormer(hosts []*hostView) {
	for _, h := range hosts {
		h.former, h.earlier = nil, nil
	}
	if len(hosts) < 2 || !slices.ContainsFunc(hosts, func(h *hostView) bool { return h.Stale }) {
		return
	}
	byMark := map[string][]*hostView{}
	for _, h := range hosts {
		for _, mark := range hardwareMarks(h.Identity) {
			byMark[mark] = append(byMark[mark], h)
		}
	}
	for _, h := range hosts {
		if !h.Stale {
			continue
		}
		for _, mark := range hardwareMarks(h.Identity) {
			for _, other := range byMark[mark] {
				if other.later(h) && (h.former == nil || other.later(h.former)) && sameHardware(h.Identity, other.Identity) {
					h.former = other
				}
			}
		}
	}
	for _, h := range hosts {
		for h.former != nil && h.former.former != nil {
			h.former = h.former.former
		}
		if h.former != nil {
			h.former.earlier = append(h.former.earlier, h)
		}
	}
	for _, h := range hosts {
		slices.SortFunc(h.earlier, func(a, b *hostView) int {
			if b.later(a) {
				return -1
			}
			return 1
		})
	}
}

// later says whether h has spoken after other did, to the last.
func (h *hostView) later(other *hostView) bool {
	return cmp.Or(yesFirst(h.Stale, other.Stale), h.LastHeard.Compare(other.LastHeard), bytes.Compare(h.ID[:], other.ID[:])) > 0
}

func hardwareMarks(h *inventory.Host) []string {
	if h == nil {
		return nil
	}
	var marks []string
	if id := h.SystemUUID; id != uuid.Nil && !inventory.IsJunkUUID(id) {
		marks = append(marks, "uuid "+plainUUID(id))
	}
	if !inventory.IsJunkSerial(h.Serial) {
		marks = append(marks, "serial "+strings.ToLower(h.Serial))
	}
	if !inventory.IsJunkSerial(h.BoardSerial) {
		marks = append(marks, "board "+strings.ToLower(h.BoardSerial))
	}
	if h.EndorsementKey != "" {
		marks = append(marks, "tpm "+h.EndorsementKey)
	}
	return marks
}

// plainUUID is one spelling for a UUID and its byte-swapped twin.
func plainUUID(id uuid.UUID) string {
	a, b := id.String(), inventory.SwapUUID(id).String()
	return min(a, b)
}

// sameHardware wants two marks that agree and none that disagrees: one alone is
// known to repeat (two boards with one serial, two with one UUID).
func sameHardware(a, b *inventory.Host) bool {
	agree, disagree := 0, 0
	count := func(x, y string) {
		switch {
		case x == "" || y == "":
		case x == y:
			agree++
		default:
			disagree++
		}
	}
	mark := func(id uuid.UUID) string {
		if id == uuid.Nil || inventory.IsJunkUUID(id) {
			return ""
		}
		return plainUUID(id)
	}
	serial := func(s string) string {
		if inventory.IsJunkSerial(s) {
			return ""
		}
		return strings.ToLower(s)
	}
	count(mark(a.SystemUUID), mark(b.SystemUUID))
	count(serial(a.Serial), serial(b.Serial))
	count(serial(a.BoardSerial), serial(b.BoardSerial))
	count(a.EndorsementKey, b.EndorsementKey)
	if slices.ContainsFunc(a.MACs, func(m inventory.MAC) bool { return m.Identifies() && slices.Contains(b.MACs, m) }) {
		agree++
	}
	return agree >= 2 && disagree == 0
}

func hostRungs(hosts []*sentral.Host, live []*hostView) []rung {
	identity := func(o int) *inventory.Host {
		if live[o].Identity == nil {
			return &inventory.Host{}
		}
		return live[o].Identity
	}
	// A host that is known to be another one doesn't become this one by taking
	// its name or its network card.
	couldBe := func(i, o int) bool {
		sameSite := live[o].Site == "" || hosts[i].Site == "" || live[o].Site == hosts[i].Site
		return sameSite && !contradicts(hosts[i], live[o])
	}
	return []rung{
		{
			name:     "host-id",
			intended: func(i int) []string { return uuidKeys(hosts[i].HostID) },
			observed: func(o int) []string { return uuidKeys(live[o].ID) },
		},
		{
			name:     "earlier-host-id",
			intended: func(i int) []string { return uuidKeys(hosts[i].HostID) },
			observed: func(o int) []string {
				var keys []string
				for _, former := range live[o].earlier {
					keys = append(keys, uuidKeys(former.ID)...)
				}
				return keys
			},
		},
		{
			name:     "system-uuid",
			intended: func(i int) []string { return bothOrders(hosts[i].SystemUUID) },
			observed: func(o int) []string { return uuidKeys(identity(o).SystemUUID) },
		},
		{
			name:     "serial",
			intended: func(i int) []string { return serialKeys(hosts[i].Serial) },
			observed: func(o int) []string { return serialKeys(identity(o).Serial) },
		},
		{
			name: "macs", weak: true,
			intended: func(i int) []string {
				var keys []string
				for _, link := range hosts[i].Links {
					keys = append(keys, macKeys(link.MAC)...)
				}
				return keys
			},
			observed: func(o int) []string {
				var keys []string
				for _, mac := range identity(o).MACs {
					keys = append(keys, macKeys(mac)...)
				}
				return keys
			},
			allowed: couldBe,
		},
		{
			name: "name", weak: true,
			intended: func(i int) []string { return hostNames(hosts[i].Name, hosts[i].ID) },
			observed: func(o int) []string { return hostNames(identity(o).Hostname) },
			allowed:  couldBe,
		},
	}
}

// contradicts says whether hardware marks that both sides have disagree.
func contradicts(want *sentral.Host, h *hostView) bool {
	if h.Identity == nil {
		return false
	}
	for _, e := range hostEvidence(want, h) {
		if e.Says == Disagrees && (e.Rung == "system-uuid" || e.Rung == "serial") {
			return true
		}
	}
	return false
}

func hostNames(names ...string) []string {
	var keys []string
	for _, name := range names {
		short, _, _ := strings.Cut(strings.ToLower(name), ".")
		if short != "" && short != "localhost" && !slices.Contains(keys, short) {
			keys = append(keys, short)
		}
	}
	return keys
}

func uuidKeys(id uuid.UUID) []string {
	if id == uuid.Nil || inventory.IsJunkUUID(id) {
		return nil
	}
	return []string{id.String()}
}

func bothOrders(id uuid.UUID) []string {
	keys := uuidKeys(id)
	if len(keys) > 0 && inventory.SwapUUID(id) != id {
		keys = append(keys, inventory.SwapUUID(id).String())
	}
	return keys
}

func serialKeys(s string) []string {
	if inventory.IsJunkSerial(s) {
		return nil
	}
	return []string{strings.ToLower(strings.TrimSpace(s))}
}

func macKeys(mac inventory.MAC) []string {
	return appendMAC(nil, mac)
}

// hostEvidence holds every rung's two values side by side.
func hostEvidence(want *sentral.Host, h *hostView) []Evidence {
	id := h.Identity
	if id == nil {
		id = &inventory.Host{}
	}
	var evidence []Evidence
	for _, r := range hostRungs([]*sentral.Host{want}, []*hostView{h}) {
		e := weigh(r.name, r.intended(0), r.observed(0))
		if r.name == "system-uuid" && e.Says == Agrees && want.SystemUUID != id.SystemUUID {
			e.Note = otherOrder
		}
		if r.name == "earlier-host-id" {
			if e.Says != Agrees {
				continue
			}
			e.Note = fmt.Sprintf("the same hardware, which now speaks as %s", h.ID)
		}
		evidence = append(evidence, e)
	}
	return evidence
}

func firstOf(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return keys[0]
}

// tiedHosts reports hosts that one rung can't tell apart.
func (p *pass) tiedHosts(t tie, byIntended, byObserved []*hostPair) {
	var wanted, seen []string
	for _, i := range t.intended {
		byIntended[i].tied = true
		wanted = append(wanted, byIntended[i].key())
	}
	for _, o := range t.observed {
		byObserved[o].tied = true
		seen = append(seen, fmt.Sprintf("%s (host ID %s)", byObserved[o].view.name(), byObserved[o].view.ID))
	}
	first := byIntended[t.intended[0]]
	p.find(Finding{
		Kind: IdentityAmbiguous, Subject: first.subject(), Field: "host." + t.rung.name,
		Intended: wanted, Observed: seen,
		Message:  ambiguity(seen, wanted, t.rung.name),
		Evidence: []string{"nothing is concluded about any of them, nor about their VMs' places, until they are told apart"},
		Resolutions: []Resolution{
			{Side: "sentral", Do: "write each host's own host ID into its record (hostID)"},
			{Side: "runtime", Do: "if one is a copy of the other's disk: give it an identity of its own", How: "person"},
		},
	})
}

// subject is how findings name the host.
func (m *HostMatch) subject() Subject {
	s := Subject{Type: "host", ID: m.id(), Name: m.key(), Site: m.site(), Host: m.key()}
	if m.Intended != nil {
		s.Platform = m.Intended.Platform
		if m.Intended.Name != "" {
			s.Name = m.Intended.Name
		}
	}
	return s
}
