package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Explanation is everything known about one thing. Exactly one of VM and Host is
// set, but for a finding about neither.
type Explanation struct {
	At       time.Time  `json:"at"`
	VM       *VMMatch   `json:"vm,omitempty"`
	Host     *HostMatch `json:"host,omitempty"`
	Findings []Finding  `json:"findings"` // with their life, the gravest first
	// Tasks are those of Maskin's on the VM, the oldest first.
	Tasks []TaskMatch `json:"tasks,omitempty"`
}

// ErrNotKnown says that nothing goes by the name that was asked for.
var ErrNotKnown = errors.New("not known to either side")

// Explain finds a VM by Sentral's ID, the runtime's UUID or native ID, a name, a
// "tenant/project/name" or a MAC, a host by Sentral's key, host ID or name, a
// finding by its ID. An ID goes before a name. Findings are those of [Advance].
// A name that several things have is an error that lists them.
func Explain(result *Result, findings []Finding, at time.Time, query string) (*Explanation, error) {
	e := &Explanation{At: at, Findings: []Finding{}}
	if i := slices.IndexFunc(findings, func(f Finding) bool { return f.ID == query }); i >= 0 {
		e.about(result, &findings[i])
		e.inFlight(result)
		return e, nil
	}
	named := e.lookUp(result, asked{text: query}.byID)
	if len(named) == 0 {
		named = e.lookUp(result, newAsked(query).byName)
	}
	left := result.leftOut(query)
	if len(named) == 0 && len(left) > 0 {
		named = e.lookUp(result, func(vm *VMMatch, host *HostMatch) bool {
			var r *UnusableRecord
			if vm != nil {
				r = vm.Record
			} else {
				r = host.Record
			}
			return r != nil && slices.Contains(left, r.Label)
		})
	}
	switch len(named) {
	case 0:
		if faults := result.faults(left); len(faults) > 0 {
			return nil, fmt.Errorf("explain %q: Sentral's record of it is left out until it is mended, and no host shows it: %s", query, strings.Join(faults, "; "))
		}
		return nil, fmt.Errorf("explain %q: %w", query, ErrNotKnown)
	case 1:
	default:
		return nil, fmt.Errorf("explain %q: %d things answer to it: %s; ask for one by its ID", query, len(named), listed(named, "and"))
	}
	for i := range findings {
		if f := &findings[i]; (e.VM != nil && e.VM.has(f)) || (e.Host != nil && e.Host.has(f)) {
			e.Findings = append(e.Findings, *f)
		}
	}
	SortFindings(e.Findings)
	e.inFlight(result)
	return e, nil
}

// leftOut are the labels of the records that can't be used and have an ID or name.
func (r *Result) leftOut(query string) (labels []string) {
	if r.intended == nil {
		return nil
	}
	for i := range r.intended.LeftOut {
		if record := &r.intended.LeftOut[i]; strings.EqualFold(record.ID, query) || record.Name == query {
			labels = append(labels, record.Label())
		}
	}
	return labels
}

// faults say where and why records can't be used.
func (r *Result) faults(labels []string) (all []string) {
	for _, label := range labels {
		all = append(all, r.intended.faults(label)...)
	}
	return all
}

// inFlight adds what Maskin does with the VM.
func (e *Explanation) inFlight(result *Result) {
	for i := range result.Tasks {
		if t := &result.Tasks[i]; e.VM != nil && strings.EqualFold(t.VM, e.VM.subjectID()) {
			e.Tasks = append(e.Tasks, *t)
		}
	}
}

// about explains one finding and what it is about.
func (e *Explanation) about(result *Result, f *Finding) {
	e.Findings = append(e.Findings, *f)
	for i := range result.VMs {
		// Two sides that weren't matched may bear one ID: the record has it first.
		if vm := &result.VMs[i]; vm.has(f) && (e.VM == nil || vm.Intended != nil) {
			e.VM = vm
		}
	}
	for i := range result.Hosts {
		if host := &result.Hosts[i]; host.has(f) {
			e.Host = host
		}
	}
}

// lookUp sets the VM or host that answers, and names all that do.
func (e *Explanation) lookUp(result *Result, answers func(*VMMatch, *HostMatch) bool) (named []string) {
	for i := range result.VMs {
		if vm := &result.VMs[i]; answers(vm, nil) {
			e.VM = vm
			named = append(named, "VM "+vm.qualifiedName()+" ("+vm.subjectID()+")")
		}
	}
	for i := range result.Hosts {
		if host := &result.Hosts[i]; answers(nil, host) {
			e.Host = host
			named = append(named, "host "+host.key()+notEqual(host.id(), host.key()))
		}
	}
	return named
}

func notEqual(id, key string) string {
	if id == key {
		return ""
	}
	return " (" + id + ")"
}

func (m *VMMatch) has(f *Finding) bool {
	if f.Subject.Type == "inventory" {
		return m.Record != nil && f.Subject.ID == m.Record.Label
	}
	return f.Subject.Type == "vm" && f.Subject.ID == m.subjectID()
}

func (m *HostMatch) has(f *Finding) bool {
	switch f.Subject.Type {
	case "inventory":
		return m.Record != nil && f.Subject.ID == m.Record.Label
	case "host":
		return f.Subject.ID == m.id()
	case "runtime":
		return strings.HasPrefix(f.Subject.ID, m.sourceID(""))
	}
	return false
}

// asked is what somebody wants explained.
type asked struct {
	text string
	mac  inventory.MAC // zero where it is none that identifies
}

func newAsked(query string) asked {
	mac, err := inventory.ParseMAC(query)
	if err != nil || !mac.Identifies() {
		mac = inventory.MAC{}
	}
	return asked{query, mac}
}

// byID says whether the thing has it as its ID.
func (q asked) byID(vm *VMMatch, host *HostMatch) bool {
	switch {
	case q.text == "":
		return false
	case host != nil:
		return host.id() == q.text || (host.Observed != nil && q.is(host.Observed.ID))
	case strings.EqualFold(vm.subjectID(), q.text):
		return true
	}
	return (vm.Intended != nil && q.is(vm.Intended.UUID())) || (vm.Observed != nil && q.is(vm.Observed.UUID))
}

func (q asked) is(id uuid.UUID) bool { return id != uuid.Nil && strings.EqualFold(id.String(), q.text) }

// names says whether it is a record's name, or a mark of the machine's.
func (q asked) names(h *sentral.Host) bool {
	return h.Name == q.text || q.is(h.SystemUUID) || (!inventory.IsJunkSerial(h.Serial) && strings.EqualFold(h.Serial, q.text))
}

// byName says whether the thing goes by it otherwise.
func (q asked) byName(vm *VMMatch, host *HostMatch) bool {
	switch {
	case q.text == "":
		return false
	case host != nil:
		return (host.Intended != nil && q.names(host.Intended)) || (host.Observed != nil && host.Observed.name() == q.text) ||
			slices.ContainsFunc(host.Former, q.is)
	case vm.name() == q.text || vm.qualifiedName() == q.text:
		return true
	}
	if vm.Intended != nil && q.mac != (inventory.MAC{}) {
		for i := range vm.Intended.NICs {
			if vm.Intended.NICs[i].MAC == q.mac {
				return true
			}
		}
	}
	if vm.Observed == nil {
		return false
	}
	if q.mac != (inventory.MAC{}) && slices.ContainsFunc(vm.Observed.NICs, func(n inventory.NIC) bool { return n.MAC == q.mac }) {
		return true
	}
	return vm.Observed.Name == q.text || vm.Observed.NativeID == q.text
}
