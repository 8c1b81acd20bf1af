package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/dataverket/avstem/evaluate"
)

//go:embed scorecard.html
var scorecardHTML string

// ScorecardHTML writes the card as one page that needs nothing else: each level
// in it leads to what it rests on, and the numbers and probes that this was taken
// from are there side by side.
func ScorecardHTML(w io.Writer, card *evaluate.Scorecard, sources *evaluate.Sources) error {
	scored := func(platform string) bool {
		return slices.ContainsFunc(card.Platforms, func(p evaluate.PlatformScore) bool { return p.Platform == platform })
	}
	numbers := slices.DeleteFunc(slices.Clone(sources.Numbers), func(n evaluate.Numbers) bool { return !scored(n.Platform) })
	probes := slices.DeleteFunc(slices.Clone(sources.Probes), func(f evaluate.ProbeFile) bool { return !scored(f.Run.Platform) })
	page, err := template.New("scorecard").Funcs(template.FuncMap{
		"stamp":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"class":      gateClass,
		"level":      levelCell,
		"checkLevel": func(c evaluate.CheckScore) string { return checkLevel(&c) },
		"lift":       func(l evaluate.Lift) string { return liftWords(&l) },
		"anchor":     anchor,
		"score":      func(d evaluate.DimensionScore, id string) *evaluate.RequirementScore { return d.Requirement(id) },
		"requirements": func(c *evaluate.Criteria, dimension string) []evaluate.Requirement {
			return slices.DeleteFunc(slices.Clone(c.Requirements), func(r evaluate.Requirement) bool { return r.Dimension != dimension })
		},
		"numbers":   func() []evaluate.Numbers { return numbers },
		"numbersAt": func() time.Time { return sources.NumbersAt },
		"columns":   func() int { return len(numbers) + 1 },
		"title":     func(n evaluate.Numbers) string { return titles(numbers)(&n) },
		"heads":     func() []headline { return told(numbers) },
		"head":      func(h headline, n evaluate.Numbers) string { return h.Cell(&n) },
		"parts":     func() []numbersPart { return partsOf(numbers) },
		"cell":      func(p numbersPart, n evaluate.Numbers, field string) string { return fieldCell(p.of(&n), field) },
		"probes":    func() []evaluate.ProbeFile { return probes },
		"steps":     func() []string { return evaluate.ProbeSteps },
		"step":      probeCell,
	}).Parse(scorecardHTML)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	return page.Execute(w, card)
}

// told are the headlines that are not empty for all.
func told(numbers []evaluate.Numbers) []headline {
	return slices.DeleteFunc(slices.Clone(headlines), func(h headline) bool {
		return !slices.ContainsFunc(numbers, func(n evaluate.Numbers) bool { return h.Cell(&n) != "" })
	})
}

// anchor names the place of a platform's requirement on the page. What an ID can't
// hold, or could be taken for the dot, is written as its number.
func anchor(platform, requirement string) string {
	var b strings.Builder
	for _, r := range platform {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) || r == '-' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "_%x_", r)
		}
	}
	return b.String() + "." + requirement
}

func gateClass(g evaluate.Gate) string {
	switch g {
	case evaluate.Met:
		return "good"
	case evaluate.Failed:
		return "bad"
	}
	return "open"
}

// stepCell is what a probe found of one step.
type stepCell struct {
	Class, Says string
	More        []string
}

func probeCell(f evaluate.ProbeFile, step string) stepCell {
	i := slices.IndexFunc(f.Run.Steps, func(s evaluate.ProbeStep) bool { return s.Step == step })
	if i < 0 {
		return stepCell{Class: "open", Says: "–"}
	}
	s := &f.Run.Steps[i]
	switch s.Outcome {
	case evaluate.ProbeWorked:
	case evaluate.ProbeFailed:
		return stepCell{"bad", "failed", []string{s.Error}}
	default:
		return stepCell{"open", strings.ReplaceAll(string(s.Outcome), "-", " "), nonEmpty(s.Error)}
	}
	cell := stepCell{Class: "good", Says: "worked in " + brief(s.Took)}
	switch {
	case s.SeenAfter == nil:
		cell.More = append(cell.More, "not seen")
	case s.EventAfter != nil:
		cell.More = append(cell.More, "seen after "+brief(*s.SeenAfter)+", event: "+s.Event)
	default:
		cell.More = append(cell.More, "seen after "+brief(*s.SeenAfter)+", no event")
	}
	for _, what := range s.Changed {
		cell.Class = "bad"
		cell.More = append(cell.More, "not kept: "+what)
	}
	return cell
}

func nonEmpty(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// brief writes a duration for a table.
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
