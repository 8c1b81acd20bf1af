package evaluate

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Attestation is a person's word for what no agent can measure. It counts only
// with where it comes from and when it was true.
type Attestation struct {
	Platform    string `yaml:"platform" json:"platform"`
	Requirement string `yaml:"requirement" json:"requirement"`
	// Check is the requirement's check, where it has more than one that is attested.
	Check  string `yaml:"check" json:"check,omitempty"`
	Level  Level  `yaml:"level" json:"level"`
	Says   string `yaml:"says" json:"says"`
	Source string `yaml:"source" json:"source"` // a document, a ticket, an address
	Date   string `yaml:"date" json:"date"`     // YYYY-MM-DD, when the source was true
	By     string `yaml:"by" json:"by"`
	// Where is the file and line that it stands at.
	Where string `yaml:"-" json:"where"`
}

// attestedFor is how long an attestation counts, and a probe's result: prices,
// licences and releases change.
const attestedFor = 365 * 24 * time.Hour

// maxAttested bounds a file of attestations.
const maxAttested = 4 << 20

// unknownField is what yaml says of Go's side of a key.
var unknownField = regexp.MustCompile(` not found in type struct .*`)

// ReadAttestations reads a file of the form
//
//	attestations:
//	  - {platform: libvirt, requirement: cost, level: 2, says: …, source: …, date: 2026-10-01, by: …}
//
// Every mistake is told with its line; none is passed over.
func ReadAttestations(r io.Reader, name string, c *Criteria) ([]Attestation, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxAttested+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxAttested:
		return nil, fmt.Errorf("it is larger than %d MiB", maxAttested>>20)
	}
	var file struct {
		Attestations []yaml.Node `yaml:"attestations"`
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, errors.New(unknownField.ReplaceAllString(err.Error(), " is none that is known: want attestations"))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("it goes on after its first YAML document: want one")
	}
	var all []Attestation
	var wrong []error
	for i := range file.Attestations {
		node := &file.Attestations[i]
		a, err := decodeAttestation(node, c)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				wrong = append(wrong, fmt.Errorf("line %d: %s", node.Line, line))
			}
			continue
		}
		a.Where = fmt.Sprintf("%s:%d", name, node.Line)
		all = append(all, a)
	}
	return all, errors.Join(wrong...)
}

func decodeAttestation(node *yaml.Node, c *Criteria) (Attestation, error) {
	var a Attestation
	if node.Kind != yaml.MappingNode {
		return a, errors.New("want an attestation with platform, requirement, level, says, source, date and by")
	}
	var wrong []error
	for i := 0; i < len(node.Content); i += 2 {
		if key := node.Content[i].Value; !slices.Contains([]string{"platform", "requirement", "check", "level", "says", "source", "date", "by"}, key) {
			wrong = append(wrong, fmt.Errorf("unknown key %q", key))
		}
	}
	if err := node.Decode(&a); err != nil {
		// What couldn't be read would be told again as missing.
		if several, ok := errors.AsType[*yaml.TypeError](err); ok {
			err = errors.New(strings.Join(several.Errors, "; "))
		}
		return a, errors.Join(append(wrong, err)...)
	}
	return a, errors.Join(append(wrong, a.check(c)...)...)
}

// check gives everything that is wrong.
func (a *Attestation) check(c *Criteria) (wrong []error) {
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Errorf(format, args...)) }
	for _, f := range []struct{ key, value string }{
		{"platform", a.Platform}, {"requirement", a.Requirement}, {"says", a.Says}, {"source", a.Source}, {"date", a.Date}, {"by", a.By},
	} {
		if strings.TrimSpace(f.value) == "" {
			bad("%s is missing: nothing counts without where it comes from", f.key)
		}
	}
	if a.Level < None || a.Level > Whole {
		bad("level %d is not 0 to 3", a.Level)
	}
	if _, err := time.Parse(time.DateOnly, a.Date); err != nil && a.Date != "" {
		bad("date %q is not of the form 2026-11-24", a.Date)
	}
	i := slices.IndexFunc(c.Requirements, func(r Requirement) bool { return r.ID == a.Requirement })
	takes := func(k Check) bool { return k.Attested != "" && (a.Check == "" || a.Check == k.ID) }
	switch {
	case i < 0 && a.Requirement != "":
		var known []string
		for _, r := range c.Requirements {
			known = append(known, r.ID)
		}
		bad("there is no requirement %q: there are %s", a.Requirement, strings.Join(known, ", "))
	case i >= 0 && !slices.ContainsFunc(c.Requirements[i].Checks, takes):
		bad("requirement %s has nothing to attest: it is measured", a.Requirement)
	}
	return wrong
}

// date is when the attestation was true; it was checked when it was read.
func (a *Attestation) date() time.Time {
	date, _ := time.Parse(time.DateOnly, a.Date)
	return date
}

// old says whether the attestation is too old to count.
func (a *Attestation) old(now time.Time) bool { return now.Sub(a.date()) > attestedFor }

// before says whether the attestation goes before another of the same thing: the
// newer one does, and of one day's the one that says the least.
func (a *Attestation) before(other *Attestation, now time.Time) bool {
	if a.Date == other.Date {
		return a.Level < other.Level
	}
	return newer(a.date(), other.date(), now)
}
