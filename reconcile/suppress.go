package reconcile

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// Suppression says that some findings are known and accepted, as they are, until
// a day.
type Suppression struct {
	ID      string // a name of its own
	Match   Match
	Value   any // the observed value that was accepted, as JSON has it; text may be a pattern
	Reason  string
	Owner   string
	Expires time.Time
	Where   string // in the file it was read from: file:line
}

// Match is which findings are meant. Each is a pattern, in which * stands for any
// text and ? for one character; an empty one takes all.
type Match struct {
	Kind     string
	Subject  string // ID, name or TENANT/PROJECT/NAME
	Field    string
	Tenant   string
	Project  string
	Site     string
	Host     string
	Platform string
}

// Takes says whether a finding is meant.
func (m *Match) Takes(f *Finding) bool {
	s := &f.Subject
	return like(m.Kind, string(f.Kind)) && like(m.Field, f.Field) && like(m.Tenant, s.Tenant) && like(m.Project, s.Project) &&
		like(m.Site, s.Site) && like(m.Host, s.Host) && like(m.Platform, s.Platform) &&
		(m.Subject == "" || like(m.Subject, s.ID) || like(m.Subject, s.Name) || like(m.Subject, s.Tenant+"/"+s.Project+"/"+s.Name))
}

// String writes what is meant as people would say it.
func (m *Match) String() string {
	var words []string
	for _, w := range []struct{ name, pattern string }{
		{"kind", m.Kind}, {"subject", m.Subject}, {"field", m.Field}, {"tenant", m.Tenant}, {"project", m.Project},
		{"site", m.Site}, {"host", m.Host}, {"platform", m.Platform},
	} {
		if w.pattern != "" {
			words = append(words, w.name+" "+w.pattern)
		}
	}
	return strings.Join(words, ", ")
}

// accepts says whether the observed value is the one that was accepted.
func (s *Suppression) accepts(observed any) bool {
	have, want := plainJSON(observed), plainJSON(s.Value)
	text, isText := want.(string)
	if !isText {
		return slices.Equal(encodeJSON(have), encodeJSON(want))
	}
	if number, isNumber := have.(float64); isNumber { // a size, as inventory files write it
		if size, err := inventory.ParseBytes(text); err == nil && float64(size) == number {
			return true
		}
	}
	if have == nil {
		return text == "*"
	}
	if words, is := have.(string); is {
		return like(text, words)
	}
	return like(text, string(encodeJSON(have)))
}

// plainJSON gives a value as it is after it was written and read again: what was
// just found and what was kept over a restart must be the same.
func plainJSON(v any) any {
	switch v.(type) {
	case nil, string, bool, float64:
		return v
	}
	var plain any
	if json.Unmarshal(encodeJSON(v), &plain) != nil {
		return nil
	}
	return plain
}

func encodeJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return data
}

// suppression finds the entry that speaks of a finding: the first that suppresses
// it, else the first that would have. Findings about policy itself can't be
// suppressed.
func (p *Policy) suppression(f *Finding, now time.Time) *Suppressing {
	if f.Kind.OfPolicy() {
		return nil
	}
	var lapsed *Suppressing
	for i := range p.Suppressions {
		s := &p.Suppressions[i]
		if !s.Match.Takes(f) {
			continue
		}
		found := &Suppressing{ID: s.ID, Reason: s.Reason, Owner: s.Owner, Expires: s.Expires}
		switch {
		case !now.Before(s.Expires):
			found.Lapsed = "it expired at " + clock(s.Expires)
		case !s.accepts(f.Observed):
			found.Lapsed = fmt.Sprintf("%s was accepted, and it is %s now", encodeJSON(s.Value), encodeJSON(f.Observed))
		default:
			return found
		}
		lapsed = cmp.Or(lapsed, found)
	}
	return lapsed
}

// Suppress gives findings that have no life, as [Reconcile] makes them, what
// policy says of them, and adds what is to be said of the policy itself.
func Suppress(findings []Finding, policy Policy, now time.Time) []Finding {
	findings = slices.Clone(findings)
	covered := map[string]int{}
	for i := range findings {
		f := &findings[i]
		if f.Suppression = policy.suppression(f, now); f.Suppression != nil {
			covered[f.Suppression.ID]++
			if f.Suppression.Lapsed == "" {
				f.State = Suppressed
			}
		}
	}
	findings = append(findings, policy.Findings(covered, now)...)
	SortFindings(findings)
	return findings
}

// Findings are what is to be said of the policy itself, sorted. Covered counts by entry
// the findings that it speaks of.
func (p *Policy) Findings(covered map[string]int, now time.Time) []Finding {
	var all []Finding
	add := func(f Finding) {
		f.ID = findingID(f.Kind, f.Subject, f.Field)
		f.Severity, f.Verdict, f.State = p.severity(f.Kind), Confirmed, Open
		f.FirstSeen, f.LastSeen, f.Since = now, now, now
		all = append(all, f)
	}
	for i := range p.Suppressions {
		s := &p.Suppressions[i]
		subject := Subject{Type: "policy", ID: s.ID, Name: s.ID}
		n := covered[s.ID]
		switch {
		case !now.Before(s.Expires):
			add(Finding{
				Kind: PolicyExpired, Subject: subject, Field: "expires", Intended: s.Expires.UTC().Format(time.RFC3339), Observed: "past",
				Message:  fmt.Sprintf("suppression %s of %s is past its date, and suppresses nothing (%s)", s.ID, s.Owner, s.Match.String()),
				Evidence: []string{"its reason was: " + s.Reason, "it is at " + s.Where, fmt.Sprintf("findings that it speaks of: %d", n)},
				Resolutions: []Resolution{{Side: "policy", How: "person",
					Do: "take it out of the policy, or look at what it accepts again and give it another date"}},
			})
		case n == 0:
			add(Finding{
				Kind: PolicyUnmatched, Subject: subject, Field: "match", Intended: s.Match.String(), Observed: "nothing",
				Message:     fmt.Sprintf("suppression %s of %s speaks of nothing that is found (%s)", s.ID, s.Owner, s.Match.String()),
				Evidence:    []string{"its reason was: " + s.Reason, "it is at " + s.Where},
				Resolutions: []Resolution{{Side: "policy", How: "person", Do: "take it out of the policy, or correct what it matches"}},
			})
		}
	}
	for _, problem := range p.Problems {
		add(Finding{
			Kind: PolicyInvalid, Subject: Subject{Type: "policy", ID: orElse(p.Source, problem.Where), Name: orElse(p.Source, problem.Where)},
			Field: orElse(problem.Key, problem.Where), Observed: problem.Error, Message: inventoryWords(&problem),
			Evidence:    []string{"the policy from before is used"},
			Resolutions: []Resolution{{Side: "policy", How: "person", Do: "correct it at " + problem.Where + "; avstem policy check says whether it can be used"}},
		})
	}
	slices.SortFunc(all, func(a, b Finding) int { return CompareFindings(&a, &b) })
	return slices.CompactFunc(all, func(a, b Finding) bool { return a.ID == b.ID })
}

// like says whether a pattern fits a text: * is any text, ? one character, and
// nothing else is special, as fields have brackets. It takes time in proportion
// to the product of both at most.
func like(pattern, text string) bool {
	if pattern == "" {
		return true
	}
	p, t := []rune(pattern), []rune(text)
	star, mark := -1, 0 // the last star, and where in the text it began
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
