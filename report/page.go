package report

import (
	"strings"
	"time"
)

// page is a text for people that is being written.
type page struct {
	strings.Builder
	painter
	width int
	now   time.Time
}

func newPage(o *Options, now time.Time) *page {
	return &page{painter: painter(o.Color), width: o.width(), now: now}
}

// head begins a section.
func (p *page) head(title string) {
	if p.Len() > 0 {
		p.WriteByte('\n')
	}
	for _, line := range wrap(title, p.width) {
		p.WriteString(p.paint(sgrBold, line) + "\n")
	}
}

// para writes a text behind a lead, wrapped so that its further lines begin under
// its first word.
func (p *page) para(indent int, lead, sgr, text string) {
	lead = clip(lead, minWidth/2)
	margin := indent + displayWidth(lead)
	if lead != "" {
		margin++
	}
	for i, line := range wrap(text, p.width-margin) {
		switch {
		case i > 0:
			p.WriteString(strings.Repeat(" ", margin))
		case lead != "":
			p.WriteString(strings.Repeat(" ", indent) + p.paint(sgr, lead) + " ")
		default:
			p.WriteString(strings.Repeat(" ", indent))
		}
		if lead == "" {
			line = p.paint(sgr, line)
		}
		p.WriteString(line + "\n")
	}
}

// fact is a name and what it stands for; nothing is written for no value.
func (p *page) fact(name, value string) {
	if value != "" {
		p.para(2, pad(name, factWidth), sgrFaint, printable(value))
	}
}

// factWidth is the width of the names of facts.
const factWidth = 12
