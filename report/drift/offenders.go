package drift

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/resolve"
)

// maxOffenders is how many of each sort are listed.
const maxOffenders = 10

// Offender is a host, project or VM with open findings.
type Offender struct {
	Name       string                     `json:"name"` // of a project, TENANT/PROJECT
	ID         string                     `json:"id,omitempty"`
	Site       string                     `json:"site,omitempty"`
	Host       string                     `json:"host,omitempty"` // of a VM
	Open       int                        `json:"open"`
	BySeverity map[reconcile.Severity]int `json:"bySeverity"`
	Oldest     time.Time                  `json:"oldest,omitzero"`
	Command    string                     `json:"command"` // for a shell: shows more of it
}

// offenders lists who has most of the gravest findings.
func offenders(findings []reconcile.Finding) (hosts, projects, vms []Offender) {
	byHost, byProject, byVM := tally{}, tally{}, tally{}
	for i := range findings {
		f := &findings[i]
		s := &f.Subject
		if s.Host != "" {
			byHost.add(Offender{Name: s.Host, Site: s.Site, Command: "avstem explain " + resolve.Quote(s.Host)}, f)
		}
		if s.Tenant != "" && s.Project != "" {
			name := s.Tenant + "/" + s.Project
			byProject.add(Offender{Name: name, Command: "avstem drift --project " + resolve.Quote(name)}, f)
		}
		if s.Type == "vm" {
			byVM.add(Offender{Name: vmName(s), ID: s.ID, Site: s.Site, Command: "avstem explain " + resolve.Quote(s.ID)}, f)
		}
	}
	return byHost.worst(), byProject.worst(), byVM.worst()
}

func vmName(s *reconcile.Subject) string {
	name := cmp.Or(s.Name, s.ID)
	if s.Tenant != "" {
		return s.Tenant + "/" + s.Project + "/" + name
	}
	return name
}

// tally counts by name, ID and site.
type tally map[[3]string]*Offender

func (t tally) add(who Offender, f *reconcile.Finding) {
	key := [3]string{who.Name, who.ID, who.Site}
	o := t[key]
	if o == nil {
		o = &who
		o.BySeverity = map[reconcile.Severity]int{}
		t[key] = o
	}
	o.Open++
	o.BySeverity[f.Severity]++
	o.Oldest = earliest(o.Oldest, f.Since)
	if f.Subject.Type == "vm" && who.ID != "" {
		o.Host = f.Subject.Host
	}
}

func (t tally) worst() []Offender {
	all := make([]Offender, 0, len(t))
	for _, o := range t {
		all = append(all, *o)
	}
	slices.SortFunc(all, func(a, b Offender) int {
		return cmp.Or(compareSeverities(a.BySeverity, b.BySeverity), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Site, b.Site))
	})
	return all[:min(len(all), maxOffenders)]
}
