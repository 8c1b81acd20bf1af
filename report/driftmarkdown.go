package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report/drift"
)

// DriftMarkdown writes a report as GitHub Flavored Markdown.
func DriftMarkdown(w io.Writer, r *drift.Report) error {
	v := newDriftView(r)
	m := &markdownPage{severities: v.Severity}
	title := v.Title
	if v.Asked != "" {
		title += " of " + v.Asked
	}
	m.head(1, title)
	m.para("As of " + v.At + ".")
	for _, note := range v.Notes {
		m.WriteString("> " + inMarkdown(note) + "\n\n")
	}
	if len(v.Sections) == 0 {
		m.para("Nothing is known of any platform: no host has reported one, and no finding is open.")
	}
	for i := range v.Sections {
		m.section(&v.Sections[i])
	}
	_, err := io.WriteString(w, strings.TrimRight(m.String(), "\n")+"\n")
	return err
}

type markdownPage struct {
	strings.Builder
	severities []string
}

func (m *markdownPage) head(level int, text string) {
	m.WriteString(strings.Repeat("#", level) + " " + inMarkdown(text) + "\n\n")
}

func (m *markdownPage) para(text string) { m.WriteString(inMarkdown(text) + "\n\n") }

// table begins one; its rows follow by markdownCells, and a blank line ends it.
func (m *markdownPage) table(columns ...string) {
	markdownCells(&m.Builder, columns...)
	m.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
}

func (m *markdownPage) section(s *sectionView) {
	m.head(2, s.Name)
	for _, h := range s.Headlines {
		line := "- " + inMarkdown(h.Value) + " " + inMarkdown(h.Label)
		if h.More != "" {
			line += " (" + inMarkdown(h.More) + ")"
		}
		m.WriteString(line + "\n")
	}
	m.WriteByte('\n')
	if s.PendingOthers != "" {
		m.para("Besides: " + s.PendingOthers + ".")
	}
	m.trend(s.Trend)
	m.changes(s)
	if len(s.Kinds) > 0 {
		m.head(3, "By kind and severity")
		m.table(append(append([]string{"Kind", "What it means"}, m.severities...), "Open", "Oldest since")...)
		for _, k := range s.Kinds {
			markdownCells(&m.Builder, append(append([]string{k.Kind, k.Means}, k.Counts...), k.Open, k.Oldest)...)
		}
		m.WriteByte('\n')
	}
	for _, o := range s.Offenders {
		m.head(3, "Worst offenders: "+o.Title)
		m.table(append(append([]string{"Name", "Where"}, m.severities...), "Open", "Oldest since", "Look closer")...)
		for _, r := range o.Rows {
			cells := append([]string{inMarkdown(r.Name), inMarkdown(r.Where)}, r.Counts...)
			writeCells(&m.Builder, append(cells, r.Open, inMarkdown(r.Oldest), commandInMarkdown(r.Command)))
		}
		m.WriteByte('\n')
	}
	m.hosts(s)
	m.head(3, "Findings")
	if len(s.Findings) == 0 {
		m.para("Nothing is open.")
	} else {
		m.para("avstem explain ID has the commands and the place in the record for each.")
		m.findings(s.Findings)
	}
	m.numbers(s.Numbers)
}

func (m *markdownPage) trend(days []drift.Day) {
	if len(days) == 0 {
		return
	}
	m.head(3, "Over time")
	m.table(append([]string{"Day", "Opened", "Resolved", "Open at its end"}, m.severities...)...)
	for i := range days {
		d := &days[i]
		date := d.Date
		if d.Part {
			date += " (in part)"
		}
		markdownCells(&m.Builder, append([]string{date, count(d.Opened), count(d.Resolved), count(d.Open)}, severityCounts(d.BySeverity)...)...)
	}
	m.WriteByte('\n')
}

func (m *markdownPage) changes(s *sectionView) {
	m.head(3, "What changed")
	m.para(strings.Join(strings.Fields(s.Since+" "+s.Passed+" "+s.Nothing), " "))
	for i := range s.Changes {
		c := &s.Changes[i]
		m.head(4, c.Title)
		m.changed(c.Rows)
		if c.More != "" {
			m.para(c.More + ".")
		}
	}
}

// changed lists what changed in fewer words than findings have.
func (m *markdownPage) changed(rows []findingView) {
	m.table("Severity", "Kind", "Subject", "Where", "Difference", "When", "ID")
	for i := range rows {
		f := &rows[i]
		words := f.Change
		if f.Was != "" {
			words += " (" + f.Was + ")"
		}
		markdownCells(&m.Builder, f.Severity, f.Kind, subjectsCell(f), f.Where, words, f.Since, f.ID)
		for _, s := range f.Symptoms {
			markdownCells(&m.Builder, s.Severity, "└ "+s.Kind, s.Subject, "", s.Change, "", "")
		}
	}
	m.WriteByte('\n')
}

func subjectsCell(f *findingView) string {
	subjects := strings.Join(f.Subjects, ", ")
	if n := len(f.Subjects); n > 1 {
		return fmt.Sprintf("%d: %s", n, subjects)
	}
	return subjects
}

func (m *markdownPage) hosts(s *sectionView) {
	if s.HostStates == "" && len(s.Troubled) == 0 {
		return
	}
	m.head(3, "Hosts and agents")
	words := s.HostStates + "."
	if s.Versions != "" {
		words += " Agents: " + s.Versions + "."
	}
	m.para(words)
	if len(s.Troubled) == 0 {
		return
	}
	m.table("Host", "State", "Last heard", "Agent", "Clock", "Why")
	for _, t := range s.Troubled {
		markdownCells(&m.Builder, t.Host, t.State, t.Heard, t.Version, t.Clock, strings.Join(t.Why, "; "))
	}
	m.WriteByte('\n')
	if s.TroubledLeft != "" {
		m.para(s.TroubledLeft + ".")
	}
}

func (m *markdownPage) findings(rows []findingView) {
	m.table("Severity", "Kind", "Subject", "Where", "Field", "Sentral says", "Host shows", "What it means", "What to do", "Since", "ID")
	for i := range rows {
		f := &rows[i]
		severity := f.Severity
		if f.Doubts != "" {
			severity += " (" + f.Doubts + ")"
		}
		message := f.Message
		if f.Taken != "" {
			message += " (" + f.Taken + ")"
		}
		var do []string
		for _, r := range f.Resolutions {
			how := ""
			if r.How != "" {
				how = " (" + r.How + ")"
			}
			do = append(do, r.Side+": "+r.Do+how)
		}
		intended, observed := f.Intended, f.Observed
		if !f.Sided {
			intended, observed = "", ""
		}
		markdownCells(&m.Builder, severity, f.Kind, subjectsCell(f), f.Where, f.Field, intended, observed, message, strings.Join(do, "; "), f.Since, f.ID)
		for _, s := range f.Symptoms {
			markdownCells(&m.Builder, s.Severity, "└ "+s.Kind, s.Subject, "", "", "", "", s.Change, "", "", "")
		}
	}
	m.WriteByte('\n')
}

func (m *markdownPage) numbers(numbers []evaluate.Numbers) {
	if len(numbers) == 0 {
		return
	}
	m.head(3, "Observability and reconcilability")
	writePlatformsMarkdown(&m.Builder, numbers)
	m.WriteByte('\n')
}
