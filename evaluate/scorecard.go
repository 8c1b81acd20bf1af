package evaluate

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Gate is whether something is met.
type Gate string

// The words for a gate.
const (
	Met       Gate = "acceptable"
	Failed    Gate = "not acceptable"
	Undecided Gate = "unknown" // evidence is missing
)

// Scorecard holds platforms against criteria. It has no total: a platform is
// acceptable in every dimension or it is not selectable.
type Scorecard struct {
	Record    string          `json:"record"`
	At        time.Time       `json:"at"`
	Criteria  *Criteria       `json:"criteria"`
	Platforms []PlatformScore `json:"platforms"`
}

// PlatformScore is one platform.
type PlatformScore struct {
	Platform string `json:"platform"`
	// Selectable is whether every dimension is acceptable.
	Selectable bool             `json:"selectable"`
	Gate       Gate             `json:"gate"`
	Dimensions []DimensionScore `json:"dimensions"`
	// Lift is the shortest list of what would make it selectable.
	Lift []Lift `json:"lift,omitempty"`
}

// DimensionScore is one dimension: acceptable where each of its requirements is.
type DimensionScore struct {
	Dimension string `json:"dimension"`
	Name      string `json:"name"`
	Gate      Gate   `json:"gate"`
	// Met, Failed and Unknown count its requirements.
	Met          int                `json:"met"`
	Failed       int                `json:"failed"`
	Unknown      int                `json:"unknown"`
	Requirements []RequirementScore `json:"requirements"`
}

// RequirementScore is one requirement.
type RequirementScore struct {
	ID      string `json:"id"`
	Wants   string `json:"wants"`
	Minimum Level  `json:"minimum"`
	// Level is the lowest of its checks', nil where one that is missing could
	// still be lower than those that are known and the known ones would do.
	Level  *Level       `json:"level"`
	Gate   Gate         `json:"gate"`
	Checks []CheckScore `json:"checks"`
}

// Lift is one thing to do, with the requirements that it is needed for.
type Lift struct {
	Do           string   `json:"do"`
	Requirements []string `json:"requirements"`
}

// Score holds the platforms against the criteria: those that were asked for, or
// else all that any evidence is about.
func Score(c *Criteria, s *Sources, platforms []string, now time.Time) *Scorecard {
	if len(platforms) == 0 {
		platforms = s.platforms()
	}
	card := &Scorecard{Record: c.Record, At: now.UTC(), Criteria: c, Platforms: make([]PlatformScore, 0, len(platforms))}
	for i, platform := range platforms {
		if slices.Contains(platforms[:i], platform) {
			continue
		}
		card.Platforms = append(card.Platforms, scorePlatform(c, s, platform, now))
	}
	return card
}

// platforms are those that there is evidence about, sorted.
func (s *Sources) platforms() []string {
	var names []string
	for i := range s.Numbers {
		names = append(names, s.Numbers[i].Platform)
	}
	for _, f := range s.Probes {
		names = append(names, f.Run.Platform)
	}
	for i := range s.Attested {
		names = append(names, s.Attested[i].Platform)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func scorePlatform(c *Criteria, s *Sources, platform string, now time.Time) PlatformScore {
	score := PlatformScore{Platform: platform}
	for _, d := range c.Dimensions {
		ds := DimensionScore{Dimension: d.ID, Name: d.Name}
		for i := range c.Requirements {
			if r := &c.Requirements[i]; r.Dimension == d.ID {
				rs := scoreRequirement(s, platform, r, now)
				ds.count(rs.Gate)
				ds.Requirements = append(ds.Requirements, rs)
			}
		}
		ds.Gate = gateOf(ds.Failed, ds.Unknown)
		score.Dimensions = append(score.Dimensions, ds)
	}
	failed, unknown := 0, 0
	for i := range score.Dimensions {
		failed += boolInt(score.Dimensions[i].Gate == Failed)
		unknown += boolInt(score.Dimensions[i].Gate == Undecided)
	}
	score.Gate = gateOf(failed, unknown)
	score.Selectable = score.Gate == Met
	score.Lift = score.lifts()
	return score
}

func (d *DimensionScore) count(g Gate) {
	switch g {
	case Met:
		d.Met++
	case Failed:
		d.Failed++
	default:
		d.Unknown++
	}
}

// gateOf is the gate over several: one that fails is enough, and so is one that
// is unknown to keep it from being met.
func gateOf(failed, unknown int) Gate {
	switch {
	case failed > 0:
		return Failed
	case unknown > 0:
		return Undecided
	}
	return Met
}

func scoreRequirement(s *Sources, platform string, r *Requirement, now time.Time) RequirementScore {
	score := RequirementScore{ID: r.ID, Wants: r.Wants, Minimum: r.Minimum}
	var lowest *Level
	missing := 0
	for i := range r.Checks {
		check := s.judge(platform, r, &r.Checks[i], now)
		switch {
		case check.Level == nil:
			missing++
		case lowest == nil || *check.Level < *lowest:
			lowest = check.Level
		}
		score.Checks = append(score.Checks, check)
	}
	switch {
	case lowest != nil && *lowest < r.Minimum: // whatever the missing ones would say
		score.Level, score.Gate = lowest, Failed
	case missing > 0:
		score.Gate = Undecided
	default:
		score.Level, score.Gate = lowest, Met
	}
	return score
}

// lifts lists what has to change for the gate to be met: first what was found
// wanting, then what nobody has measured, then what nobody has attested. A
// requirement's level is the lowest of its checks', so each check that is short
// is needed; what one deed settles is one entry.
func (p *PlatformScore) lifts() []Lift {
	var wanting, measure, attest []Lift
	for i := range p.Dimensions {
		for j := range p.Dimensions[i].Requirements {
			r := &p.Dimensions[i].Requirements[j]
			if r.Gate == Met {
				continue
			}
			for k := range r.Checks {
				switch c := &r.Checks[k]; {
				case c.Lift == "":
				case c.Level != nil:
					wanting = addLift(wanting, c.Lift, r.ID)
				case c.From == "attested":
					attest = addLift(attest, c.Lift, r.ID)
				default:
					measure = addLift(measure, c.Lift, r.ID)
				}
			}
		}
	}
	return slices.Concat(wanting, measure, attest)
}

func addLift(lifts []Lift, do, requirement string) []Lift {
	i := slices.IndexFunc(lifts, func(l Lift) bool { return l.Do == do })
	if i < 0 {
		return append(lifts, Lift{Do: do, Requirements: []string{requirement}})
	}
	if !slices.Contains(lifts[i].Requirements, requirement) {
		lifts[i].Requirements = append(lifts[i].Requirements, requirement)
	}
	return lifts
}

// Words says in one line how a platform stands.
func (p *PlatformScore) Words() string {
	if p.Selectable {
		return "selectable: acceptable in all dimensions"
	}
	var failed, unknown []string
	for i := range p.Dimensions {
		switch d := &p.Dimensions[i]; d.Gate {
		case Failed:
			failed = append(failed, d.Name)
		case Undecided:
			unknown = append(unknown, d.Name)
		}
	}
	words := "not selectable"
	if len(failed) > 0 {
		words += ": not acceptable in " + strings.Join(failed, ", ")
	}
	if len(unknown) > 0 {
		words += fmt.Sprintf("; evidence is missing in %s", strings.Join(unknown, ", "))
	}
	return strings.Replace(words, "not selectable;", "not selectable:", 1)
}

// Requirement gives the score of one requirement of the dimension, nil where it
// has none of that ID.
func (d *DimensionScore) Requirement(id string) *RequirementScore {
	i := slices.IndexFunc(d.Requirements, func(r RequirementScore) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return &d.Requirements[i]
}
