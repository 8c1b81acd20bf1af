package evaluate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// HostState is how well a host is seen, in one word: the worst that holds of it.
type HostState string

// The states of a host, worst first.
const (
	HostRefused HostState = "refused" // what its agent says is not taken, or the agent publishes nothing
	HostUnheard HostState = "unheard" // Sentral has it active, and it never reported
	HostSilent  HostState = "silent"  // it stopped speaking
	HostBlind   HostState = "blind"   // a source on it can't be seen
	HostPartial HostState = "partial" // a source on it is seen in part
	HostLive    HostState = "live"
)

// HostStates lists them, worst first.
func HostStates() []HostState {
	return []HostState{HostRefused, HostUnheard, HostSilent, HostBlind, HostPartial, HostLive}
}

// Agent is what is known of a host's agent besides what it published.
type Agent struct {
	Version string
	// Skew is how far the host's clock is ahead of the reconciler's, as far as the
	// way of a heartbeat lets that be told: a late one looks like a clock behind.
	Skew time.Duration
}

// Fleet is how the hosts and agents of one platform, or of all, are.
type Fleet struct {
	Platform string            `json:"platform,omitempty"` // "" means all
	Hosts    map[HostState]int `json:"hosts"`
	Versions map[string]int    `json:"versions,omitempty"` // of agents, by how many hosts have it
	// VMs are those on either side, Agreeing those on both sides that differ in
	// nothing that could be compared.
	VMs      int `json:"vms"`
	Agreeing int `json:"agreeing"`
}

// Health is how the hosts of a site are, as of its last pass.
type Health struct {
	At        time.Time `json:"at"`
	Whole     Fleet     `json:"whole"`
	Platforms []Fleet   `json:"platforms"` // by name; a host with two platforms is in both
	// Hosts are those that somebody should look at, worst first, and Left how many
	// more there are; where every host was asked for, those that are well, too.
	Hosts []HostHealth `json:"hosts"`
	Left  int          `json:"left,omitempty"`
}

// HostHealth is one host that somebody should look at.
type HostHealth struct {
	Host      string        `json:"host"` // Sentral's key, else the hostname, else the ID
	ID        uuid.UUID     `json:"id,omitzero"`
	Site      string        `json:"site,omitempty"`
	Platforms []string      `json:"platforms,omitempty"`
	State     HostState     `json:"state"`
	VMs       int           `json:"vms"` // that are seen on it
	Why       []string      `json:"why,omitempty"`
	LastHeard time.Time     `json:"lastHeard,omitzero"`
	Version   string        `json:"version,omitempty"`
	Skew      time.Duration `json:"skewNanos,omitempty"` // 0 where the clock is right or not known
}

const (
	// maxTroubled and the two below it keep an answer below what NATS takes.
	maxTroubled = 500
	maxWhys     = 3
	maxWhyBytes = 300
	// skewMatters is from which difference on a host's clock is shown as wrong.
	skewMatters = 2 * time.Second
)

// HostsAsked says which hosts are to be listed: those that somebody should look at,
// or every one.
type HostsAsked struct {
	Platform string `json:"platform,omitempty"` // "" means any
	Every    bool   `json:"every,omitempty"`
}

// HealthOf counts how the hosts of a result are. What only Sentral has at another
// site is that site's to count. It lists the hosts that are asked for.
func HealthOf(result *reconcile.Result, agents map[uuid.UUID]Agent, site string, asked HostsAsked, at time.Time) Health {
	c := &checkup{
		site:     site,
		whole:    Fleet{Hosts: map[HostState]int{}, Versions: map[string]int{}},
		fleets:   map[string]*Fleet{},
		findings: map[string][]*reconcile.Finding{},
		told:     map[string]bool{},
		differs:  map[string]bool{},
		on:       map[uuid.UUID][]string{},
		intended: map[string]string{},
		vms:      map[uuid.UUID]int{},
	}
	for i := range result.Findings {
		c.note(&result.Findings[i])
	}
	for i := range result.VMs {
		o := result.VMs[i].Observed
		if o != nil {
			c.vms[o.HostID]++
		}
		if o != nil && o.Platform != "" && !slices.Contains(c.on[o.HostID], o.Platform) {
			c.on[o.HostID] = append(c.on[o.HostID], o.Platform)
		}
	}
	h := Health{At: at}
	var hosts []HostHealth
	for i := range result.Hosts {
		if host, counts := c.host(&result.Hosts[i], agents); counts {
			hosts = append(hosts, host)
		}
	}
	for _, host := range append(hosts, c.strangers()...) {
		troubled := host.State != HostLive || len(host.Why) > 0 || host.Skew != 0
		if (troubled || asked.Every) && (asked.Platform == "" || slices.Contains(host.Platforms, asked.Platform)) {
			h.Hosts = append(h.Hosts, host)
		}
	}
	for i := range result.VMs {
		c.vm(&result.VMs[i])
	}
	slices.SortFunc(h.Hosts, func(a, b HostHealth) int {
		return cmp.Or(cmp.Compare(slices.Index(HostStates(), a.State), slices.Index(HostStates(), b.State)),
			cmp.Compare(a.Host, b.Host), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	if over := len(h.Hosts) - maxTroubled; over > 0 {
		h.Hosts, h.Left = h.Hosts[:maxTroubled], over
	}
	h.Whole = c.whole
	for name, f := range c.fleets {
		f.Platform = name
		h.Platforms = append(h.Platforms, *f)
	}
	slices.SortFunc(h.Platforms, func(a, b Fleet) int { return cmp.Compare(a.Platform, b.Platform) })
	return h
}

// checkup is a count under way.
type checkup struct {
	site     string
	whole    Fleet
	fleets   map[string]*Fleet
	findings map[string][]*reconcile.Finding // by host: those about how it is seen
	told     map[string]bool                 // hosts whose findings were told
	differs  map[string]bool                 // VMs with a finding
	on       map[uuid.UUID][]string          // platforms of the VMs on a host
	intended map[string]string               // Sentral's platform of its hosts
	vms      map[uuid.UUID]int               // that are seen on a host
}

func (c *checkup) note(f *reconcile.Finding) {
	if f.Subject.Type == "vm" {
		c.differs[f.Subject.ID] = true
	}
	if group, _, _ := strings.Cut(string(f.Kind), "."); group == "observe" || f.Kind == reconcile.HostStale || f.Kind == reconcile.HostMissing {
		host := cmp.Or(f.Subject.Host, f.Subject.ID)
		c.findings[host] = append(c.findings[host], f)
	}
}

// fleet gives the count of a platform.
func (c *checkup) fleet(platform string) *Fleet {
	f := c.fleets[platform]
	if f == nil {
		f = &Fleet{Hosts: map[HostState]int{}, Versions: map[string]int{}}
		c.fleets[platform] = f
	}
	return f
}

// host counts one, and says whether it is one that should speak or does.
func (c *checkup) host(m *reconcile.HostMatch, agents map[uuid.UUID]Agent) (HostHealth, bool) {
	name, site := nameOf(m)
	h := HostHealth{Host: name, Site: site, State: HostLive, Platforms: c.platforms(m)}
	if m.Intended != nil {
		c.intended[m.Intended.ID] = m.Intended.Platform
	}
	if m.Observed == nil {
		if (m.Intended.State != "" && m.Intended.State != sentral.HostActive) || m.Intended.Site != c.site {
			return h, false
		}
		h.State = HostUnheard
	} else {
		agent := agents[m.Observed.ID]
		h.VMs = c.vms[m.Observed.ID]
		h.ID, h.LastHeard, h.Version = m.Observed.ID, m.Observed.LastHeard, agent.Version
		if agent.Skew.Abs() >= skewMatters {
			h.Skew = agent.Skew
		}
		if m.Observed.Stale {
			h.State = HostSilent
		}
	}
	for _, f := range c.findings[name] {
		h.State = worst(h.State, stateOf(f.Kind))
		if len(h.Why) < maxWhys {
			h.Why = append(h.Why, clip(f.Message))
		}
	}
	c.told[name] = true
	c.add(&h)
	return h, true
}

// strangers are the hosts of which nothing was taken, and that Sentral doesn't know.
func (c *checkup) strangers() []HostHealth {
	var all []HostHealth
	for _, name := range slices.Sorted(maps.Keys(c.findings)) {
		f := c.findings[name][0]
		if c.told[name] || f.Kind != reconcile.ObserveRefused {
			continue
		}
		h := HostHealth{Host: name, Site: f.Subject.Site, State: HostRefused, Why: []string{clip(f.Message)}}
		c.add(&h)
		all = append(all, h)
	}
	return all
}

// add counts a host for all of its platforms.
func (c *checkup) add(h *HostHealth) {
	for _, f := range append([]*Fleet{&c.whole}, c.fleetsOf(h.Platforms)...) {
		f.Hosts[h.State]++
		if h.Version != "" {
			f.Versions[h.Version]++
		}
	}
}

func (c *checkup) fleetsOf(platforms []string) []*Fleet {
	var all []*Fleet
	for _, p := range platforms {
		all = append(all, c.fleet(p))
	}
	return all
}

// platforms are what Sentral says and what its VMs are of; where there is neither,
// what its runtimes are.
func (c *checkup) platforms(m *reconcile.HostMatch) []string {
	var all []string
	if m.Intended != nil && m.Intended.Platform != "" {
		all = append(all, m.Intended.Platform)
	}
	if m.Observed != nil {
		all = append(all, c.on[m.Observed.ID]...)
		for _, s := range m.Observed.Sources {
			if len(all) == 0 && s.Runtime != nil && s.Runtime.Platform != "" && s.Outcome != inventory.OutcomeAbsent {
				all = append(all, s.Runtime.Platform)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// vm counts one for its platform: what it was seen on, else its record's host's.
func (c *checkup) vm(m *reconcile.VMMatch) {
	if m.IsContainer() || (m.Observed == nil && m.Intended.Site != c.site) {
		return
	}
	platform := ""
	switch {
	case m.Observed != nil:
		platform = m.Observed.Platform
	case m.Intended != nil:
		platform = c.intended[m.Intended.Host]
	}
	fleets := []*Fleet{&c.whole}
	if platform != "" {
		fleets = append(fleets, c.fleet(platform))
	}
	agrees := m.Intended != nil && m.Observed != nil && len(m.Uncovered) == 0 && !c.differs[m.Intended.ID]
	for _, f := range fleets {
		f.VMs++
		f.Agreeing += boolInt(agrees)
	}
}

func stateOf(kind reconcile.Kind) HostState {
	switch kind {
	case reconcile.ObserveRefused:
		return HostRefused
	case reconcile.ObserveBlind:
		return HostBlind
	case reconcile.ObservePartial:
		return HostPartial
	case reconcile.HostStale:
		return HostSilent
	case reconcile.HostMissing:
		return HostUnheard
	}
	return HostLive
}

func worst(a, b HostState) HostState {
	if slices.Index(HostStates(), b) < slices.Index(HostStates(), a) {
		return b
	}
	return a
}

func clip(text string) string {
	if len(text) <= maxWhyBytes {
		return text
	}
	return strings.ToValidUTF8(text[:maxWhyBytes], "") + "…"
}

// MergeHealth adds up the health of several sites, the oldest of their times being
// the whole's.
func MergeHealth(parts ...Health) Health {
	whole := Health{Whole: Fleet{Hosts: map[HostState]int{}, Versions: map[string]int{}}}
	fleets := map[string]*Fleet{}
	for i, part := range parts {
		if i == 0 || part.At.Before(whole.At) {
			whole.At = part.At
		}
		whole.Whole.merge(&part.Whole)
		for _, f := range part.Platforms {
			if fleets[f.Platform] == nil {
				fleets[f.Platform] = &Fleet{Platform: f.Platform, Hosts: map[HostState]int{}, Versions: map[string]int{}}
			}
			fleets[f.Platform].merge(&f)
		}
		whole.Hosts = append(whole.Hosts, part.Hosts...)
		whole.Left += part.Left
	}
	for _, f := range fleets {
		whole.Platforms = append(whole.Platforms, *f)
	}
	slices.SortFunc(whole.Platforms, func(a, b Fleet) int { return cmp.Compare(a.Platform, b.Platform) })
	slices.SortStableFunc(whole.Hosts, func(a, b HostHealth) int {
		return cmp.Or(cmp.Compare(slices.Index(HostStates(), a.State), slices.Index(HostStates(), b.State)),
			cmp.Compare(a.Site, b.Site), cmp.Compare(a.Host, b.Host))
	})
	return whole
}

func (f *Fleet) merge(other *Fleet) {
	for state, n := range other.Hosts {
		f.Hosts[state] += n
	}
	for version, n := range other.Versions {
		f.Versions[version] += n
	}
	f.VMs, f.Agreeing = f.VMs+other.VMs, f.Agreeing+other.Agreeing
}

// Total is how many hosts there are.
func (f *Fleet) Total() int {
	n := 0
	for _, of := range f.Hosts {
		n += of
	}
	return n
}
