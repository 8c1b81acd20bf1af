package reconcile

import (
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// key is how findings and people name the host: Sentral's key, else the
// hostname, else the host ID.
func (m *HostMatch) key() string {
	if m.Intended != nil {
		return m.Intended.ID
	}
	return m.Observed.name()
}

func (h *ObservedHost) name() string {
	if h.Identity != nil && h.Identity.Hostname != "" {
		return h.Identity.Hostname
	}
	return h.ID.String()
}

func (m *HostMatch) site() string {
	if m.Intended != nil {
		return m.Intended.Site
	}
	return m.Observed.Site
}

func (m *HostMatch) answers(query string) bool {
	if m.Intended != nil && (m.Intended.ID == query || m.Intended.Name == query) {
		return true
	}
	return m.Observed != nil && (m.Observed.name() == query || m.Observed.ID.String() == strings.ToLower(query))
}

// covered says whether what the host's runtimes do not show is not there: it
// speaks, and at least one runtime, and each of those that it has, was
// enumerated.
func (m *HostMatch) covered() bool {
	if m.Observed == nil || m.Observed.Stale {
		return false
	}
	seen := false
	for _, s := range m.Observed.Sources {
		if !isRuntime(s.Source) || s.Outcome == inventory.OutcomeAbsent {
			continue
		}
		if !s.Complete || s.Old {
			return false
		}
		seen = true
	}
	return seen
}

func isRuntime(source string) bool { return strings.HasPrefix(source, "runtime-") }

// subjectID is Sentral's ID of the VM, else the runtime's.
func (m *VMMatch) subjectID() string {
	if m.Intended != nil {
		return m.Intended.ID
	}
	return m.Observed.Key()
}

func (m *VMMatch) name() string {
	if m.Intended != nil {
		return m.Intended.Name
	}
	return m.Observed.Name
}

// owner is the tenant, project and environment that the VM belongs to: as
// Sentral says, else as its placement metadata claims.
func (m *VMMatch) owner() (tenant, project, environment string) {
	switch {
	case m.Intended != nil:
		return m.Intended.Tenant, m.Intended.Project, m.Intended.Environment
	case m.Observed.Placement != nil:
		p := m.Observed.Placement
		return p.Tenant, p.Project, p.Environment
	}
	return "", "", ""
}

func (m *VMMatch) qualifiedName() string {
	tenant, project, _ := m.owner()
	if tenant == "" {
		return m.name()
	}
	return tenant + "/" + project + "/" + m.name()
}

func (m *VMMatch) answers(query string) bool {
	if m.name() == query || m.qualifiedName() == query || strings.EqualFold(m.subjectID(), query) {
		return true
	}
	if m.Intended != nil {
		if id := m.Intended.UUID(); id != uuid.Nil && strings.EqualFold(id.String(), query) {
			return true
		}
		for _, nic := range m.Intended.NICs {
			if nic.MAC.Identifies() && strings.EqualFold(nic.MAC.String(), query) {
				return true
			}
		}
	}
	if m.Observed == nil {
		return false
	}
	for _, nic := range m.Observed.NICs {
		if nic.MAC.Identifies() && strings.EqualFold(nic.MAC.String(), query) {
			return true
		}
	}
	return m.Observed.Name == query || m.Observed.NativeID == query || strings.EqualFold(m.Observed.UUID.String(), query)
}
