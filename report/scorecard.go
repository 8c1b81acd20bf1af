package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

// ScorecardOptions are what the caller knows about the page.
type ScorecardOptions struct {
	Width int // columns of a terminal: 0 means 100
	Color bool
	// Evidence adds what each score rests on.
	Evidence bool
}

// Scorecard writes platforms side by side for people: the gate of each dimension
// and the level of each requirement, then what would lift each platform, and where
// it is asked for what every score rests on.
func Scorecard(w io.Writer, card *evaluate.Scorecard, o ScorecardOptions) error {
	p := &scorePage{newPage(&Options{Width: o.Width, Color: o.Color}, time.Time{}), card}
	p.head(printable(card.Record) + ", held against what there is evidence for")
	switch {
	case len(card.Platforms) == 0:
		p.para(0, "", "", "There is no evidence about any platform.")
	default:
		p.matrices()
		p.verdicts()
		if o.Evidence {
			p.evidence()
		}
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// ScorecardJSON writes the card as indented JSON.
func ScorecardJSON(w io.Writer, card *evaluate.Scorecard) error { return writeJSON(w, card) }

type scorePage struct {
	*page
	card *evaluate.Scorecard
}

// matrices writes requirements against platforms, as many side by side as fit.
func (p *scorePage) matrices() {
	each := max(1, (p.width-platformLabel)/platformColumn)
	for part := range slices.Chunk(p.card.Platforms, each) {
		p.WriteByte('\n')
		t := &sideBySide{b: &p.Builder, painter: p.painter, width: min(platformMost, (p.width-platformLabel)/len(part))}
		cells := make([]string, len(part))
		each := func(cell func(*evaluate.PlatformScore) string) []string {
			for i := range part {
				cells[i] = printable(cell(&part[i]))
			}
			return cells
		}
		t.row("", sgrBold, each(func(s *evaluate.PlatformScore) string { return s.Platform }))
		for d, dimension := range p.card.Criteria.Dimensions {
			t.row(dimension.Name, sgrBold, each(func(s *evaluate.PlatformScore) string { return string(s.Dimensions[d].Gate) }))
			for r := range part[0].Dimensions[d].Requirements {
				t.row("  "+part[0].Dimensions[d].Requirements[r].ID, "", each(func(s *evaluate.PlatformScore) string {
					return levelCell(&s.Dimensions[d].Requirements[r])
				}))
			}
		}
		t.row("", sgrBold, each(func(s *evaluate.PlatformScore) string {
			if s.Selectable {
				return "selectable"
			}
			return "not selectable"
		}))
	}
	p.WriteByte('\n')
	p.para(0, "", sgrFaint, "Levels: 0 not there, 1 in part or with a person, 2 acceptable, 3 whole; – without enough evidence. "+
		"✗ is below what the record asks for. A dimension is acceptable where each of its requirements is; there is no total.")
}

// levelCell is "3", "1 ✗" or "–".
func levelCell(r *evaluate.RequirementScore) string {
	switch {
	case r.Level == nil:
		return "–"
	case r.Gate == evaluate.Failed:
		return fmt.Sprintf("%d ✗", *r.Level)
	}
	return count(int(*r.Level))
}

// verdicts says how each platform stands, and what would lift it.
func (p *scorePage) verdicts() {
	for i := range p.card.Platforms {
		s := &p.card.Platforms[i]
		p.head(printable(s.Platform) + " is " + s.Words())
		for n, lift := range s.Lift {
			p.para(2, fmt.Sprintf("%2d.", n+1), "", printable(liftWords(&lift)))
		}
	}
}

func liftWords(l *evaluate.Lift) string {
	if len(l.Requirements) == 1 && strings.HasPrefix(l.Do, "attest "+l.Requirements[0]+":") {
		return l.Do
	}
	return l.Do + " (" + strings.Join(l.Requirements, ", ") + ")"
}

// evidence says for each requirement what it wants and what each platform's
// score rests on.
func (p *scorePage) evidence() {
	for d, dimension := range p.card.Criteria.Dimensions {
		p.head("Evidence: " + dimension.Name)
		for i := range p.card.Platforms {
			s := &p.card.Platforms[i]
			for r := range s.Dimensions[d].Requirements {
				p.requirement(s.Platform, &s.Dimensions[d].Requirements[r])
			}
		}
	}
}

func (p *scorePage) requirement(platform string, r *evaluate.RequirementScore) {
	p.para(2, pad(printable(platform), platformColumn-gap)+pad(levelCell(r), 4), gateSGR(r.Gate), r.ID+": "+r.Wants)
	for i := range r.Checks {
		c := &r.Checks[i]
		lead := pad("", platformColumn-gap) + pad(checkLevel(c), 4)
		for _, e := range c.Evidence {
			p.para(2, lead, sgrFaint, printable(fmt.Sprintf("%s: %s [%s, %s]", c.ID, e.Says, e.Link, e.At)))
		}
		if c.Missing != "" {
			p.para(2, lead, sgrFaint, printable(c.ID+": "+c.Missing))
		}
	}
}

func checkLevel(c *evaluate.CheckScore) string {
	if c.Level == nil {
		return "–"
	}
	return count(int(*c.Level))
}

func gateSGR(g evaluate.Gate) string {
	switch g {
	case evaluate.Met:
		return sgrGreen
	case evaluate.Failed:
		return sgrRed
	}
	return sgrYellow
}

// ScorecardMarkdown writes the card as GitHub Flavored Markdown: the matrix, what
// would lift each platform, and the evidence of every score.
func ScorecardMarkdown(w io.Writer, card *evaluate.Scorecard) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", inMarkdown(card.Record))
	head := []string{"Requirement"}
	for i := range card.Platforms {
		head = append(head, card.Platforms[i].Platform)
	}
	markdownCells(&b, head...)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for d, dimension := range card.Criteria.Dimensions {
		row := []string{strings.ToUpper(dimension.Name)}
		for i := range card.Platforms {
			row = append(row, string(card.Platforms[i].Dimensions[d].Gate))
		}
		markdownCells(&b, row...)
		for _, r := range card.Criteria.Requirements {
			if r.Dimension != dimension.ID {
				continue
			}
			row := []string{r.Wants}
			for i := range card.Platforms {
				row = append(row, levelCell(card.Platforms[i].Dimensions[d].Requirement(r.ID)))
			}
			markdownCells(&b, row...)
		}
	}
	for i := range card.Platforms {
		s := &card.Platforms[i]
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", inMarkdown(s.Platform), inMarkdown(s.Platform+" is "+s.Words())+".")
		for n := range s.Lift {
			fmt.Fprintf(&b, "%d. %s\n", n+1, inMarkdown(liftWords(&s.Lift[n])))
		}
		b.WriteString("\n| Requirement | Check | Level | Evidence | Where | When |\n|---|---|---|---|---|---|\n")
		for d := range s.Dimensions {
			for _, r := range s.Dimensions[d].Requirements {
				for _, c := range r.Checks {
					for _, e := range c.Evidence {
						markdownCells(&b, r.ID, c.ID, checkLevel(&c), e.Says, e.Link, e.At)
					}
					if c.Missing != "" {
						markdownCells(&b, r.ID, c.ID, "–", c.Missing, "", "")
					}
				}
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
