package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

//go:embed scorecard.html
var scorecardHTML string

// ScorecardHTML writes the card as one page that needs nothing else: each level
// in it leads to what it rests on.
func ScorecardHTML(w io.Writer, card *evaluate.Scorecard) error {
	page, err := template.New("scorecard").Funcs(template.FuncMap{
		"stamp":      func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") },
		"class":      gateClass,
		"level":      levelCell,
		"checkLevel": func(c evaluate.CheckScore) string { return checkLevel(&c) },
		"lift":       func(l evaluate.Lift) string { return liftWords(&l) },
		"anchor":     func(platform, requirement string) string { return platform + "." + requirement },
		"score":      func(d evaluate.DimensionScore, id string) *evaluate.RequirementScore { return d.Requirement(id) },
		"requirements": func(c *evaluate.Criteria, dimension string) []evaluate.Requirement {
			return slices.DeleteFunc(slices.Clone(c.Requirements), func(r evaluate.Requirement) bool { return r.Dimension != dimension })
		},
	}).Parse(scorecardHTML)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	return page.Execute(w, card)
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
