package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation is everything known about one thing. Exactly one of VM and Host is
// set, but for a finding about neither.
type Explanation struct {
	At       time.Time  `json:"at"`
	VM       *VMMatch   `json:"vm,omitempty"`
	Host     *HostMatch `json:"host,omitempty"`
	Findings []Finding  `json:"findings"` // with their life, the gravest first
}

// ErrNotKnown says that nothing goes by the name that was asked for.
var ErrNotKnown = errors.New("not known to either side")

// Explain finds a VM by Sentral's ID, the runtime's UUID or native ID, a name, a
// "tenant/project/name" or a MAC, a host by Sentral's key, host ID or name, a
// finding by its ID. Findings are those of [Advance]. A name that several things
// have is an error that lists them all.
func Explain(result *Result, findings []Finding, at time.Time, query string) (*Explanation, error) {
	e := &Explanation{At: at}
	if i := slices.IndexFunc(findings, func(f Finding) bool { return f.ID == query }); i >= 0 {
		f := findings[i]
		for j := range result.VMs {
			if f.Subject.Type == "vm" && result.VMs[j].subjectID() == f.Subject.ID {
				e.VM = &result.VMs[j]
			}
		}
		for j := range result.Hosts {
			if f.Subject.Type == "host" && result.Hosts[j].key() == f.Subject.ID {
				e.Host = &result.Hosts[j]
			}
		}
		e.Findings = append(e.Findings, f)
		return e, nil
	}
	var named []string
	for i := range result.VMs {
		if vm := &result.VMs[i]; vm.answers(query) {
			e.VM = vm
			named = append(named, "vm "+vm.qualifiedName()+" ("+vm.subjectID()+")")
		}
	}
	for i := range result.Hosts {
		if host := &result.Hosts[i]; host.answers(query) {
			e.Host = host
			named = append(named, "host "+host.key())
		}
	}
	switch len(named) {
	case 0:
		return nil, fmt.Errorf("explain %q: %w", query, ErrNotKnown)
	case 1:
	default:
		return nil, fmt.Errorf("explain %q: %d things answer to it: %s; ask for one by its ID", query, len(named), strings.Join(named, ", "))
	}
	for _, f := range findings {
		if (e.VM != nil && f.Subject.Type == "vm" && f.Subject.ID == e.VM.subjectID()) ||
			(e.Host != nil && (f.Subject.Type == "host" || f.Subject.Type == "runtime") && f.Subject.Host == e.Host.key()) {
			e.Findings = append(e.Findings, f)
		}
	}
	SortFindings(e.Findings)
	return e, nil
}
