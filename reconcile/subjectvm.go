package reconcile

import (
	"github.com/dataverket/avstem/inventory"
)

// subject is how findings name the VM.
func (m *VMMatch) subject() Subject {
	s := Subject{Type: "vm", ID: m.subjectID(), Name: m.name()}
	s.Tenant, s.Project, s.Environment = m.owner()
	if m.Intended != nil {
		s.Site, s.Host = m.Intended.Site, m.Intended.Host
	}
	if m.Observed != nil {
		s.Host, s.Platform = m.Observed.Host, m.Observed.Platform
		if m.Observed.Site != "" {
			s.Site = m.Observed.Site
		}
	}
	return s
}

// finding fills in what every finding about the VM has: its subject, the match
// and, where the match is weak, the verdict.
func (vp *pair) finding(f Finding) Finding {
	if vp.seen != nil {
		vp.show()
	}
	f.Subject = vp.subject()
	f.Match = vp.Match
	if vp.Match != nil && vp.Match.Weak && f.Verdict == "" {
		f.Verdict = Potential
	}
	return f
}

// provenance says where a field of the observed VM came from.
func (vp *pair) provenance(field inventory.Field) *Provenance {
	if vp.seen == nil {
		return nil
	}
	return vp.seen.lead.doc.provenance(field)
}
