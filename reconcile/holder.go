package reconcile

import (
	"strings"

	"github.com/dataverket/avstem/sentral"
)

// holder knows what a pass could not judge.
type holder struct {
	vm    func(subject string) *VMMatch
	host  func(subject string) *HostMatch
	named func(name string) []*HostMatch // by the name that findings use, which may repeat
	// dark says whether a host of the site is not seen, and the finding that says
	// why of one.
	dark func(site string) (cause string, dark bool)
	// unread says whether a record may be among those that can't be used.
	unread func(kind, id string) bool
	// contested says whether several tenants claim a VLAN.
	contested func(at siteVLAN) bool
}

func newHolder(result *Result) *holder {
	vms := make(map[string]*VMMatch, len(result.VMs))
	hosts, named := make(map[string]*HostMatch, len(result.Hosts)), make(map[string][]*HostMatch, len(result.Hosts))
	unseen := map[string]string{}
	for i := range result.Hosts {
		m := &result.Hosts[i]
		hosts[m.id()] = m
		named[m.key()] = append(named[m.key()], m)
		if !m.covered() && (m.Observed != nil || m.awaited()) && unseen[m.site()] == "" {
			unseen[m.site()] = m.Blind
		}
	}
	for i := range result.VMs {
		vm := &result.VMs[i]
		if id := vm.subjectID(); vms[id] == nil || vm.Intended != nil {
			vms[id] = vm
		}
	}
	return &holder{
		vm:    func(subject string) *VMMatch { return vms[subject] },
		host:  func(subject string) *HostMatch { return hosts[subject] },
		named: func(name string) []*HostMatch { return named[name] },
		dark:  func(site string) (string, bool) { cause, dark := unseen[site]; return cause, dark },
		unread: func(kind, id string) bool {
			return result.intended != nil && result.intended.unread(kind, id)
		},
		contested: func(at siteVLAN) bool {
			return result.intended != nil && result.intended.contested[at]
		},
	}
}

// unread says whether a record may be among those that can't be used.
func (in *intended) unread(kind, id string) bool { return in.Incomplete || in.setAside(kind, id) }

// holds says whether the result had no sight of what the finding is about, and
// the finding that says why where there is one.
func (h *holder) holds(f *Finding) (held bool, cause string) {
	switch f.Subject.Type {
	case "vm":
		if held, cause = h.holdsVM(f); held {
			return held, cause
		}
		return h.holdsHosts(f)
	case "project":
		if h.unread("project", f.Subject.ID) {
			return true, ""
		}
		return h.holdsHosts(f)
	case "host", "runtime":
		return h.holdsHost(f)
	case "site", "platform":
		return h.holdsHosts(f)
	}
	return false, ""
}

// holdsHosts says whether one of the hosts that it was seen on is out of sight.
func (h *holder) holdsHosts(f *Finding) (held bool, cause string) {
	for _, name := range f.Hosts {
		if dark, cause := h.unseen(name); dark {
			return true, cause
		}
	}
	return false, ""
}

func (h *holder) holdsVM(f *Finding) (held bool, cause string) {
	vm := h.vm(f.Subject.ID)
	switch {
	case vm == nil && h.unread("vm", f.Subject.ID):
		return true, ""
	case vm == nil && f.Kind == VMMissing, // no record wants it any more
		vm != nil && f.Kind == VMUnknown && vm.Intended != nil,
		vm != nil && f.Kind == VMLingering && vm.Intended != nil && vm.Intended.State != sentral.VMAbsent:
		return false, ""
	case vm == nil:
		return h.outOfSight(f)
	}
	dark, cause := h.unseen(f.Subject.Host)
	if judged, known := vm.judged(f); judged {
		if !dark {
			cause = blindness(h.named(f.Subject.Host))
		}
		// That a VLAN is claimed twice is no cause to fold this one under: it is the worse.
		return !known || h.contestedVLAN(vm, f), cause
	}
	if len(vm.Uncovered) > 0 {
		return true, cause
	}
	if vm.Observed != nil && vm.Observed.Fresh {
		return false, ""
	}
	return h.outOfSight(f)
}

// outOfSight says whether a VM that isn't seen could be where nothing is seen.
func (h *holder) outOfSight(f *Finding) (held bool, cause string) {
	if f.Subject.Host == "" {
		cause, held = h.dark(f.Subject.Site)
		return held, cause
	}
	return h.unseen(f.Subject.Host)
}

// unseen says whether nothing may be concluded from what a host of that name
// doesn't show.
func (h *holder) unseen(name string) (dark bool, cause string) {
	for _, m := range h.named(name) {
		if !m.covered() {
			return true, m.Blind
		}
	}
	return false, ""
}

func blindness(hosts []*HostMatch) string {
	for _, m := range hosts {
		if m.Blind != "" {
			return m.Blind
		}
	}
	return ""
}

// judged says whether the VM was compared in what the finding is about, and
// whether anything could be known of it.
func (m *VMMatch) judged(f *Finding) (judged, known bool) {
	if f.Kind == NetworkIsolation || f.Kind == NetworkUplink || f.Kind == NetworkMTU { // they need no comparison
		if path := m.pathOf(f); path != nil {
			return true, !path.unseen && (path.VLAN != nil || f.Kind != NetworkIsolation)
		}
	}
	if (f.Kind == ScopeContradiction && m.blindScope) || (f.Kind == VMConfig && m.blindConfig) {
		return true, false
	}
	if f.Kind == DiskBacking && m.Observed != nil {
		for i, d := range storage(&m.Observed.VM) {
			if "disks["+diskName(&d, i)+"].backing" == f.Field {
				looked := d.Fault != "" || d.Number != "" || d.BlockDevice != ""
				return true, m.Observed.Fresh && looked
			}
		}
	}
	return judgedIn(m.Comparisons, f.Field)
}

// pathOf is the path of the NIC that the finding is about.
func (m *VMMatch) pathOf(f *Finding) *NICPath {
	for i := range m.Paths {
		path := &m.Paths[i]
		if nic, found := strings.CutPrefix(f.Field, "nics["+pathName(path, i)+"]."); found && !strings.Contains(nic, "[") {
			return path
		}
	}
	return nil
}

// contestedVLAN says whether it isn't settled whose the VLAN is that the finding is
// about.
func (h *holder) contestedVLAN(vm *VMMatch, f *Finding) bool {
	if f.Kind != NetworkIsolation || vm.Observed == nil {
		return false
	}
	path := vm.pathOf(f)
	return path != nil && path.VLAN != nil && h.contested(siteVLAN{vm.Observed.Site, *path.VLAN})
}

// judgedIn looks for the comparison of a field, and for one of what holds it:
// while nics is unknown, nothing below it is known.
func judgedIn(comparisons []Comparison, field string) (judged, known bool) {
	known = true
	for i := range comparisons {
		c := &comparisons[i]
		rest, below := strings.CutPrefix(field, c.Path)
		unknown := c.Class == Unknown
		if below && (rest == "" || (unknown && (rest[0] == '[' || rest[0] == '.'))) {
			judged, known = true, known && !unknown
		}
	}
	return judged, known
}

// holdsHost holds what is seen of a host. That it is missing, silent, unknown or
// another than it was, is judged whether it speaks or not.
func (h *holder) holdsHost(f *Finding) (held bool, cause string) {
	id := f.Subject.ID
	if f.Subject.Type == "runtime" {
		id = id[:max(strings.LastIndexByte(id, '/'), 0)]
	}
	m := h.host(id)
	if m == nil {
		return h.unread("host", id), ""
	}
	switch f.Kind {
	case HostLink, HostDisk, HostChanged, HostSite, HostRuntime, CapacityOvercommit, DiskOrphan:
		judged, known := judgedIn(m.Comparisons, f.Field)
		held = judged && !known
	case HostEmptied:
		held = !m.covered()
	case NetworkUplink:
		held = m.blindPaths || !m.covered()
	case ObserveBlind, ObservePartial, ObserveGap, ObserveClock:
	default:
		return false, ""
	}
	if m.Observed == nil {
		held = m.Blind != ""
	} else if m.Observed.Stale {
		held = true
	}
	return held, m.Blind
}
