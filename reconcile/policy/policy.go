package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

// Schema is the version of the documents that Parse reads.
const Schema = "avstem.policy/v1"

// written is a policy as it stands in a file.
type written struct {
	Schema       string               `json:"schema"`
	StaleAfter   *span                `json:"staleAfter"`
	DocumentAge  *span                `json:"documentAge"`
	KeepResolved *span                `json:"keepResolved"`
	InventoryAge *span                `json:"inventoryAge"`
	ClockSkew    *span                `json:"clockSkew"`
	Severities   map[string]string    `json:"severities"`
	Graces       map[string]span      `json:"graces"`
	Tolerances   map[string]tolerance `json:"tolerances"`
	Overcommit   *overcommit          `json:"overcommit"`
	Flapping     *flapping            `json:"flapping"`
	Tasks        *tasks               `json:"tasks"`
	Mass         *mass                `json:"mass"`
	Suppressions []suppression        `json:"suppressions"`
}

type overcommit struct {
	VCPUs   ratio `json:"vcpus"`
	Memory  ratio `json:"memory"`
	Storage ratio `json:"storage"`
}

type flapping struct {
	Times  *int  `json:"times"`
	Within *span `json:"within"`
	Calm   *span `json:"calm"`
}

type tasks struct {
	Grace *span `json:"grace"`
}

type mass struct {
	Share   *share `json:"share"`
	Records *int   `json:"records"`
	Hosts   *int   `json:"hosts"`
}

type suppression struct {
	ID      string  `json:"id"`
	Match   *match  `json:"match"`
	Value   *any    `json:"value"`
	Reason  string  `json:"reason"`
	Owner   string  `json:"owner"`
	Expires *moment `json:"expires"`
}

type match struct {
	Kind     string `json:"kind"`
	Subject  string `json:"subject"`
	Field    string `json:"field"`
	Tenant   string `json:"tenant"`
	Project  string `json:"project"`
	Site     string `json:"site"`
	Host     string `json:"host"`
	Platform string `json:"platform"`
}

// Error is why a document is no policy.
type Error struct{ Problems []sentral.Problem }

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i := range e.Problems {
		lines[i] = "read policy: " + e.Problems[i].String()
	}
	return strings.Join(lines, "\n")
}

// Parse reads a policy. Name is the file's, for saying where something stands; one
// that ends in .json is JSON. What the document leaves out is as
// [reconcile.DefaultPolicy] has it; one that says nothing at all leaves out everything,
// its schema too. The error is an [*Error].
func Parse(name string, data []byte) (reconcile.Policy, error) {
	r := reader{policy: reconcile.DefaultPolicy()}
	if document.SaysNothing(name, data) {
		r.policy.Source = name
		return r.policy, nil
	}
	var doc written
	place, faults := document.Decode(name, data, &doc)
	r.place = place
	for _, fault := range faults {
		r.problems = append(r.problems, problem{fault.Place, fault.Key, fault.Error})
	}
	if len(faults) == 0 || !faults[0].Lost {
		r.read(&doc)
	}
	if len(r.problems) > 0 {
		return reconcile.Policy{}, r.err()
	}
	r.policy.Source = name
	return r.policy, nil
}

// reader turns a document into a policy, and notes what can't be.
type reader struct {
	policy   reconcile.Policy
	place    func(key string) sentral.Place
	problems []problem
}

type problem struct {
	at         sentral.Place
	key, error string
}

// err lists the problems in the order in which the file has them.
func (r *reader) err() *Error {
	slices.SortFunc(r.problems, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Column, b.at.Column), cmp.Compare(a.key, b.key))
	})
	e := &Error{}
	for _, p := range r.problems {
		e.Problems = append(e.Problems, sentral.Problem{Where: p.at.String(), Key: p.key, Error: p.error})
	}
	return e
}

func (r *reader) fault(key, format string, args ...any) {
	if slices.ContainsFunc(r.problems, func(p problem) bool { return p.key == key }) {
		return // it was said already
	}
	r.problems = append(r.problems, problem{r.place(key), key, fmt.Sprintf(format, args...)})
}

func (r *reader) read(doc *written) {
	switch {
	case doc.Schema == "":
		r.fault("schema", "is missing: write schema: %s", Schema)
	case doc.Schema != Schema:
		r.fault("schema", "%q is not known: want %s", doc.Schema, Schema)
	}
	p := &r.policy
	r.span("staleAfter", doc.StaleAfter, &p.StaleAfter, 5*time.Second)
	r.span("documentAge", doc.DocumentAge, &p.DocumentAge, time.Minute)
	r.span("keepResolved", doc.KeepResolved, &p.KeepResolved, 0)
	r.span("inventoryAge", doc.InventoryAge, &p.InventoryAge, time.Second)
	r.span("clockSkew", doc.ClockSkew, &p.ClockSkew, 100*time.Millisecond)
	r.kinds(doc)
	if o := doc.Overcommit; o != nil {
		set(o.VCPUs, &p.Overcommit.VCPUs)
		set(o.Memory, &p.Overcommit.Memory)
		set(o.Storage, &p.Overcommit.Storage)
	}
	if f := doc.Flapping; f != nil {
		r.number("flapping.times", f.Times, &p.Flapping.Times, 0, 100)
		r.span("flapping.within", f.Within, &p.Flapping.Within, time.Second)
		r.span("flapping.calm", f.Calm, &p.Flapping.Calm, 0)
	}
	if doc.Tasks != nil {
		r.span("tasks.grace", doc.Tasks.Grace, &p.TaskGrace, 0)
	}
	if m := doc.Mass; m != nil {
		if m.Share != nil {
			p.Mass.Share = float64(*m.Share)
		}
		r.number("mass.records", m.Records, &p.Mass.Records, 1, 1_000_000_000)
		r.number("mass.hosts", m.Hosts, &p.Mass.Hosts, 2, 1_000_000_000)
	}
	r.suppressions(doc.Suppressions)
}

func (r *reader) span(key string, given *span, into *time.Duration, least time.Duration) {
	switch {
	case given == nil:
	case time.Duration(*given) < least:
		r.fault(key, "%s is too short: want %s at least", time.Duration(*given), least)
	default:
		*into = time.Duration(*given)
	}
}

func (r *reader) number(key string, given *int, into *int, least, most int) {
	switch {
	case given == nil:
	case *given < least || *given > most:
		r.fault(key, "want a number from %d to %d, and not %d", least, most, *given)
	default:
		*into = *given
	}
}

func set(given ratio, into *float64) {
	if given > 0 {
		*into = float64(given)
	}
}

// kinds reads what is set for each kind.
func (r *reader) kinds(doc *written) {
	p := &r.policy
	for name, severity := range doc.Severities {
		key := "severities." + name
		if r.kind(key, name) && r.severity(key, severity) {
			if p.Severity == nil {
				p.Severity = map[reconcile.Kind]reconcile.Severity{}
			}
			p.Severity[reconcile.Kind(name)] = reconcile.Severity(severity)
		}
	}
	for name, grace := range doc.Graces {
		if r.kind("graces."+name, name) {
			if p.Grace == nil {
				p.Grace = map[reconcile.Kind]time.Duration{}
			}
			p.Grace[reconcile.Kind(name)] = time.Duration(grace)
		}
	}
	for name, t := range doc.Tolerances {
		switch kind := reconcile.Kind(name); kind {
		case reconcile.VMMemory, reconcile.DiskSize:
			if p.Tolerance == nil {
				p.Tolerance = map[reconcile.Kind]reconcile.Tolerance{}
			}
			p.Tolerance[kind] = reconcile.Tolerance{Bytes: t.bytes, Share: float64(t.share)}
		default:
			r.fault("tolerances."+name, "is not tolerated by degrees: want %s or %s", reconcile.VMMemory, reconcile.DiskSize)
		}
	}
}

func (r *reader) kind(key, name string) bool {
	known := reconcile.Kinds()
	if slices.ContainsFunc(known, func(info reconcile.KindInfo) bool { return string(info.Kind) == name }) {
		return true
	}
	group, _, _ := strings.Cut(name, ".")
	var like []string
	for _, info := range known {
		if strings.HasPrefix(string(info.Kind), group+".") {
			like = append(like, string(info.Kind))
		}
	}
	if len(like) == 0 {
		r.fault(key, "there is no kind %q: /usr/share/doc/avstem/findings.md lists them", name)
	} else {
		r.fault(key, "there is no kind %q: want one of %s", name, strings.Join(like, ", "))
	}
	return false
}

func (r *reader) severity(key, word string) bool {
	if reconcile.Severity(word).Rank() < 5 {
		return true
	}
	r.fault(key, "%q is not a severity: want critical, high, medium, low or info", word)
	return false
}

func (r *reader) suppressions(all []suppression) {
	first := map[string]string{}
	for i := range all {
		s := &all[i]
		key := fmt.Sprintf("suppressions[%d]", i)
		r.suppression(key, s)
		if at, twice := first[s.ID]; twice && s.ID != "" {
			r.fault(key+".id", "%q is the one at %s, too: each has its own", s.ID, at)
		}
		first[s.ID] = r.place(key).String()
	}
}

// suppression insists on who accepts what, why and until when: without those,
// nobody will ever know whether it may be taken out.
func (r *reader) suppression(key string, s *suppression) {
	for _, text := range []struct{ name, value, why string }{
		{"id", s.ID, "a name of its own, for findings to point to"},
		{"reason", s.Reason, "why it is accepted"},
		{"owner", s.Owner, "whom to ask about it"},
	} {
		if strings.TrimSpace(text.value) == "" {
			r.fault(key+"."+text.name, "is missing: %s", text.why)
		}
	}
	if s.Expires == nil {
		r.fault(key+".expires", "is missing: until when it is accepted, such as 2026-12-31")
	}
	if s.Value == nil {
		r.fault(key+".value", `is missing: the observed value that is accepted, as avstem drift -o json has it; "*" accepts any`)
	}
	if s.Match == nil || *s.Match == (match{}) {
		r.fault(key+".match", "is missing: which findings it is for, by kind, subject, field, tenant, project, site, host or platform")
		return
	}
	if kind := s.Match.Kind; kind != "" && !strings.ContainsAny(kind, "*?") {
		r.kind(key+".match.kind", kind)
	}
	if s.Value == nil || s.Expires == nil {
		return
	}
	r.policy.Suppressions = append(r.policy.Suppressions, reconcile.Suppression{
		ID: s.ID, Match: reconcile.Match(*s.Match), Value: *s.Value, Reason: s.Reason, Owner: s.Owner,
		Expires: time.Time(*s.Expires), Where: r.place(key).String(),
	})
}
