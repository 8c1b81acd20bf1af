package report

import (
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// subjectName is how people name what a finding is about: tenant/project/name of
// a VM whose owner is known, the name of all else (a project's has its tenant), the ID
// where there is none.
func subjectName(s *reconcile.Subject) string {
	name := s.Name
	if name == "" {
		name = s.ID
	}
	if s.Type == "runtime" && s.Host != "" {
		name = s.Host + " " + name
	}
	if s.Type != "host" && s.Type != "project" && s.Tenant != "" {
		return printable(strings.Join([]string{s.Tenant, s.Project, name}, "/"))
	}
	return printable(name)
}

// namer names subjects so that no two of one list are written the same.
type namer map[string]map[string]bool

func newNamer(findings []reconcile.Finding) namer {
	n := namer{}
	for i := range findings {
		s := &findings[i].Subject
		name := subjectName(s)
		if n[name] == nil {
			n[name] = map[string]bool{}
		}
		n[name][subjectKey(s)] = true
	}
	return n
}

// subjectKey tells subjects apart.
func subjectKey(s *reconcile.Subject) string {
	return strings.Join([]string{s.Type, s.Site, s.ID}, "\x00")
}

// name adds the ID where the name alone is that of several things.
func (n namer) name(s *reconcile.Subject) string {
	name := subjectName(s)
	if len(n[name]) > 1 && s.Name != "" && s.ID != s.Name {
		return name + " " + printable(s.ID)
	}
	return name
}

// plural names several subjects of one type.
func plural(kind string, n int) string { return count(n) + " " + noun(kind, n) }

func noun(kind string, n int) string {
	if n == 1 {
		return singular[kind]
	}
	if word, known := plurals[kind]; known {
		return word
	}
	return "subjects"
}

var singular = map[string]string{
	"vm": "VM", "host": "host", "network": "network", "project": "project",
	"inventory": "record", "runtime": "runtime", "finding": "finding",
}

var plurals = map[string]string{
	"vm": "VMs", "host": "hosts", "network": "networks", "project": "projects",
	"inventory": "records", "runtime": "runtimes", "finding": "findings",
}

// difference is a finding in a few words: what it is about within its subject,
// then intended → observed. Where the whole subject is meant, or something that
// isn't a value on two sides, its message says more.
func difference(f *reconcile.Finding) string {
	if isChange(f) {
		return marked(f, change(f))
	}
	words := f.Message
	// A message about a record says where the record is; the field is the key.
	if strings.HasPrefix(string(f.Kind), "inventory.") && !strings.Contains(words, f.Field) {
		words = f.Field + ": " + words
	}
	return marked(f, clip(printable(words), messageWidth))
}

// isChange says whether a finding is about one field that two sides give values.
func isChange(f *reconcile.Finding) bool {
	switch group, _, _ := strings.Cut(string(f.Kind), "."); group {
	case "observe", "identity", "inventory", "policy", "scope":
		return false
	}
	return f.Field != "" && f.Field != f.Subject.Type && (f.Intended != nil || f.Observed != nil)
}

func change(f *reconcile.Finding) string {
	_, entity, leaf := splitPath(f.Field)
	label := shorten(printable(entity), labelWidth)
	// The kind has said "nic.vlan" already.
	if _, said, _ := strings.Cut(string(f.Kind), "."); !strings.EqualFold(leaf, said) && f.Field != f.Subject.Type {
		label = strings.TrimSpace(label + " " + shorten(printable(leaf), labelWidth))
	}
	if label != "" {
		label += ": "
	}
	a, b := sides(f.Intended, f.Observed, leaf)
	return label + shorten(a, valueWidth) + " → " + shorten(b, valueWidth)
}

// marked adds what makes a finding less than certain.
func marked(f *reconcile.Finding, words string) string {
	if marks := doubts(f); marks != "" {
		return words + " (" + marks + ")"
	}
	return words
}

// How much of one side, and of a message, a table shows.
const (
	labelWidth   = 36 // with its colon within the column of a page of 100
	valueWidth   = 60
	messageWidth = 240
)

// saysMatch says of which kinds the message says how the match was made.
func saysMatch(k reconcile.Kind) bool {
	return k == reconcile.IdentityWeak || k == reconcile.IdentityChanged || k == reconcile.IdentityConflict
}

// doubts lists what a reader must know before believing a finding.
func doubts(f *reconcile.Finding) string {
	var marks []string
	switch f.Verdict {
	case reconcile.Confirmed, "":
	case reconcile.Undecided:
		marks = append(marks, "not seen since")
	default:
		marks = append(marks, printable(string(f.Verdict)))
	}
	if f.Match != nil && f.Match.Weak && !saysMatch(f.Kind) {
		marks = append(marks, "weak match by "+printable(f.Match.By))
	}
	switch {
	case f.State == reconcile.Suppressed && f.Suppression != nil:
		marks = append(marks, "suppressed by "+printable(f.Suppression.ID))
	case f.State != reconcile.Open && f.State != "":
		marks = append(marks, printable(string(f.State)))
	}
	if f.Acknowledged != nil {
		marks = append(marks, "acknowledged by "+printable(f.Acknowledged.By)+" until "+f.Acknowledged.Until.UTC().Format("2006-01-02 15:04 UTC"))
	}
	return strings.Join(marks, ", ")
}
