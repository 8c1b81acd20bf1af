package reconcile

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// key is how findings and people name the host: Sentral's key, else the
// hostname, else the host ID.
func (m *HostMatch) key() string {
	if m.Intended != nil {
		return m.Intended.ID
	}
	return m.Observed.name()
}

// id is what a finding's ID is made from: Sentral's key, else the host ID.
// Hostnames repeat.
func (m *HostMatch) id() string {
	if m.Intended != nil {
		return m.Intended.ID
	}
	return m.Observed.ID.String()
}

// sourceID is the same for one source on the host.
func (m *HostMatch) sourceID(source string) string { return m.id() + "/" + source }

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

// covered says whether what the host's runtimes do not show is not there: it
// speaks, and at least one runtime, and each of those that it has, was
// enumerated.
func (m *HostMatch) covered() bool {
	if m.Observed == nil || m.Observed.Stale {
		return false
	}
	seen := false
	for i := range m.Observed.Sources {
		s := &m.Observed.Sources[i]
		if m.lacks(s) {
			return false
		}
		if !m.counts(s) {
			continue
		}
		if !s.Complete || s.Old {
			return false
		}
		seen = true
	}
	return seen
}

// counts says whether a source has to show a VM for it to be there. One that
// shows what runs only counts where Sentral says that nothing else keeps VMs on
// the host: elsewhere, a VM that it doesn't show may be stopped, and would be in
// another runtime that isn't seen.
func (m *HostMatch) counts(s *SourceStatus) bool {
	return isRuntime(s.Source) && s.Outcome != inventory.OutcomeAbsent && (!s.RunningOnly || m.runs(s))
}

// runs says whether the source is the runtime that Sentral says the host has.
func (m *HostMatch) runs(s *SourceStatus) bool {
	return m.Intended != nil && s.Source == "runtime-"+m.Intended.Platform
}

// forgets says whether nothing is left on the host of a VM that stops.
func (m *HostMatch) forgets() bool {
	return m.Observed != nil && slices.ContainsFunc(m.Observed.Sources, func(s SourceStatus) bool { return s.RunningOnly && m.counts(&s) })
}

// lacks says whether the source is the runtime that Sentral says the host has,
// and isn't there: what another runtime shows doesn't make up for it.
func (m *HostMatch) lacks(s *SourceStatus) bool {
	return s.Outcome == inventory.OutcomeAbsent && m.runs(s)
}

// awaited says whether the host should speak: one that is planned, in
// maintenance or retired need not.
func (m *HostMatch) awaited() bool {
	return m.Intended != nil && (m.Intended.State == "" || m.Intended.State == sentral.HostActive)
}

func isRuntime(source string) bool { return strings.HasPrefix(source, "runtime-") }

// subjectID is Sentral's ID of the VM, else the runtime's UUID, else its native
// ID or name, which mean something within that runtime on that host only.
func (m *VMMatch) subjectID() string {
	if m.Intended != nil {
		return m.Intended.ID
	}
	o := m.Observed
	if o.UUID != uuid.Nil {
		return o.UUID.String()
	}
	return o.HostID.String() + "/" + o.Source + "/" + orElse(o.NativeID, o.Name)
}

func (m *VMMatch) name() string {
	if m.Intended != nil {
		return m.Intended.Name
	}
	return vmName(&m.Observed.VM)
}

// vmName is what people call a VM that has no record.
func vmName(vm *inventory.VM) string {
	return orElse(orElse(vm.Name, vm.Key()), "a VM without a name")
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
