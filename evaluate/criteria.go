package evaluate

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/inventory"
)

//go:embed maskin014.yaml
var maskin014 []byte

// Level is how well a requirement is met: 0 not there, 1 in part or only with a
// person, 2 acceptable, 3 whole.
type Level int

// The levels.
const (
	None Level = iota
	Partly
	Acceptable
	Whole
)

// Criteria are a decision record as data.
type Criteria struct {
	Record       string        `yaml:"record" json:"record"`
	Proposed     string        `yaml:"proposed" json:"proposed"`
	Dimensions   []Dimension   `yaml:"dimensions" json:"dimensions"`
	Requirements []Requirement `yaml:"requirements" json:"requirements"`
}

// Dimension is one of those that a platform must be acceptable in.
type Dimension struct {
	ID   string `yaml:"id" json:"id"`
	Name string `yaml:"name" json:"name"`
}

// Requirement is one thing that a platform must be able to do. It is met at
// Minimum, and its level is the lowest of its checks'.
type Requirement struct {
	ID        string  `yaml:"id" json:"id"`
	Dimension string  `yaml:"dimension" json:"dimension"`
	Section   string  `yaml:"section" json:"section"` // of the record
	Wants     string  `yaml:"wants" json:"wants"`
	Minimum   Level   `yaml:"minimum" json:"minimum"` // Acceptable where the file says nothing
	Checks    []Check `yaml:"checks" json:"checks"`
}

// Check is one piece of evidence that a requirement rests on. One of Fleet,
// Probe and Attested is set.
type Check struct {
	ID string `yaml:"id" json:"id"`
	// Fleet names a share of [Numbers]: observability, observable,
	// reconcilability, durable, host-identity, hosts, paths, or seen:, settable:
	// or compared: with a field.
	Fleet string `yaml:"fleet" json:"fleet,omitempty"`
	// Probe is about steps of a [ProbeRun].
	Probe *ProbeCheck `yaml:"probe" json:"probe,omitempty"`
	// Attested says what has to be attested.
	Attested string `yaml:"attested" json:"attested,omitempty"`
	// Levels are the shares from which on a measured check is at level 1, 2, 3.
	Levels []float64 `yaml:"levels" json:"levels,omitempty"`
}

// ProbeCheck is the share of the steps that an aspect is true of: worked, seen,
// event, or held: with what was to be kept.
type ProbeCheck struct {
	Aspect string   `yaml:"aspect" json:"aspect"`
	Steps  []string `yaml:"steps" json:"steps"`
}

// MASKIN014 gives the criteria of Dataverket's decision record.
func MASKIN014() (*Criteria, error) { return parseCriteria(maskin014) }

func parseCriteria(data []byte) (*Criteria, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	var c Criteria
	if err := decoder.Decode(&c); err != nil {
		return nil, fmt.Errorf("read criteria: %w", err)
	}
	seen := map[string]bool{}
	for i := range c.Requirements {
		r := &c.Requirements[i]
		if r.Minimum == 0 {
			r.Minimum = Acceptable
		}
		if err := c.check(r); err != nil {
			return nil, fmt.Errorf("read criteria: requirement %s: %w", r.ID, err)
		}
		if seen[r.ID] {
			return nil, fmt.Errorf("read criteria: requirement %s is there twice", r.ID)
		}
		seen[r.ID] = true
	}
	return &c, nil
}

func (c *Criteria) check(r *Requirement) error {
	if !slices.ContainsFunc(c.Dimensions, func(d Dimension) bool { return d.ID == r.Dimension }) {
		return fmt.Errorf("there is no dimension %q", r.Dimension)
	}
	if len(r.Checks) == 0 {
		return errors.New("it has no checks: nothing could settle it")
	}
	ids := map[string]bool{}
	for i := range r.Checks {
		if err := r.Checks[i].check(); err != nil {
			return fmt.Errorf("check %s: %w", r.Checks[i].ID, err)
		}
		if ids[r.Checks[i].ID] {
			return fmt.Errorf("check %s is there twice", r.Checks[i].ID)
		}
		ids[r.Checks[i].ID] = true
	}
	return nil
}

func (c *Check) check() error {
	kinds := boolInt(c.Fleet != "") + boolInt(c.Probe != nil) + boolInt(c.Attested != "")
	switch {
	case kinds != 1:
		return errors.New("want exactly one of fleet, probe and attested")
	case c.Attested != "":
		return nil
	case len(c.Levels) != int(Whole) || !slices.IsSorted(c.Levels):
		return errors.New("want three rising levels")
	case c.Fleet != "":
		return checkNumber(c.Fleet)
	}
	for _, step := range c.Probe.Steps {
		if !slices.Contains(ProbeSteps, step) {
			return fmt.Errorf("there is no probe step %q", step)
		}
	}
	what, held := strings.CutPrefix(c.Probe.Aspect, "held:")
	if held && !slices.Contains(Kept, what) {
		return fmt.Errorf("the probe doesn't look whether %q is kept", what)
	}
	if !held && !slices.Contains([]string{"worked", "seen", "event"}, c.Probe.Aspect) {
		return fmt.Errorf("there is no aspect %q", c.Probe.Aspect)
	}
	return nil
}

// heads are the shares that are not about one field.
var heads = []string{"observability", "observable", "reconcilability", "durable", "host-identity", "hosts", "paths"}

func checkNumber(name string) error {
	kind, field, of := strings.Cut(name, ":")
	switch {
	case !of && slices.Contains(heads, name):
		return nil
	case !of:
		return fmt.Errorf("there is no number %q", name)
	case kind == "compared" && inventory.Field(field).Known():
		return nil
	case kind != "seen" && kind != "settable":
		return fmt.Errorf("there is no number %q", name)
	case !slices.ContainsFunc(askedFields, func(a asked) bool { return string(a.field) == field }):
		return fmt.Errorf("field %q is not counted", field)
	}
	return nil
}

// level is the level that a share reaches.
func (c *Check) level(share float64) Level {
	level := None
	for _, from := range c.Levels {
		if share >= from {
			level++
		}
	}
	return level
}

// wants says from which share on a measured check is at a level.
func (c *Check) wants(level Level) float64 { return c.Levels[level-1] }
