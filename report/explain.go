package report

import (
	"io"

	"github.com/dataverket/avstem/reconcile"
)

// Explain writes for people everything that is known of one thing. Ages count
// back from when it was known, so that the options' time isn't asked.
func Explain(w io.Writer, e *reconcile.Explanation, o Options) error {
	p := newPage(&o, e.At)
	findings := sorted(e.Findings)
	switch {
	case e.VM != nil:
		p.vm(e.VM, findings)
		p.tasks(e.Tasks)
	case e.Host != nil:
		p.host(e.Host, findings)
	case len(findings) > 0:
		p.subject(&findings[0].Subject)
	}
	p.findings(findings)
	_, err := io.WriteString(w, p.String())
	return err
}

// ExplainJSON writes the same for programs.
func ExplainJSON(w io.Writer, e *reconcile.Explanation) error {
	out := *e
	out.At = e.At.UTC()
	out.Findings = make([]reconcile.Finding, 0, len(e.Findings))
	for _, f := range sorted(e.Findings) {
		out.Findings = append(out.Findings, finish(f))
	}
	return writeJSON(w, &out)
}

// subject names what a finding about neither a VM nor a host is about.
func (p *page) subject(s *reconcile.Subject) {
	p.head(subjectName(s))
	p.fact("what", s.Type)
	if s.ID != s.Name {
		p.fact("ID", s.ID)
	}
	p.fact("site", s.Site)
	p.fact("host", s.Host)
	p.fact("platform", s.Platform)
}

// evidence shows the ladder that was climbed, rung by rung.
func (p *page) evidence(match *reconcile.MatchBasis, evidence []reconcile.Evidence) {
	switch {
	case match == nil && len(evidence) == 0:
		return
	case match == nil:
		p.head("Match: none")
	case match.Weak:
		p.head("Match: by " + printable(match.By) + ", which can be copied or reused (weak)")
	default:
		p.head("Match: by " + printable(match.By))
	}
	if len(evidence) == 0 {
		return
	}
	g := grid{width: p.width, painter: p.painter, flex: 3, columns: []column{
		{title: "", cut: true}, {title: "RUNG", cut: true}, {title: "SAYS", cut: true}, {title: "VALUES"},
	}}
	for i := range evidence {
		e := &evidence[i]
		mark, sgr := "·", sgrFaint
		switch e.Says {
		case reconcile.Agrees:
			mark, sgr = "✓", sgrGreen
		case reconcile.Disagrees:
			mark, sgr = "✗", sgrRed
		}
		valueSGR := ""
		if e.Says == reconcile.Nothing {
			valueSGR = sgrFaint
		}
		g.rows = append(g.rows, gridRow{
			cells: []string{mark, printable(e.Rung), printable(e.Says), rungValues(e)},
			sgr:   []string{sgr, "", sgr, valueSGR},
		})
	}
	g.write(&p.Builder)
}

// rungValues writes what both sides have for one mark of identity.
func rungValues(e *reconcile.Evidence) string {
	var words string
	switch {
	case e.Intended == e.Observed && e.Intended != "":
		words = e.Intended
	case e.Intended == "" && e.Observed == "":
		words = "neither side has it"
	case e.Intended == "":
		words = "host " + e.Observed + ", Sentral has none"
	case e.Observed == "":
		words = "Sentral " + e.Intended + ", host has none"
	default:
		words = "Sentral " + e.Intended + ", host " + e.Observed
	}
	if e.Note != "" {
		words += ": " + e.Note
	}
	return printable(words)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}

// findings shows each with what can be done on either side.
func (p *page) findings(findings []reconcile.Finding) {
	if len(findings) == 0 {
		p.head("No finding")
		return
	}
	p.head(plural("finding", len(findings)))
	for i := range findings {
		p.finding(&findings[i])
	}
}

func (p *page) finding(f *reconcile.Finding) {
	state := f.State
	if state == "" {
		state = reconcile.Open
	}
	since := f.Since
	if since.IsZero() {
		since = f.FirstSeen
	}
	about := printable(string(f.Kind)) + ", " + printable(string(state))
	if a := age(since, p.now); a != "" && since.Before(p.now) {
		about += " for " + a
	}
	if !f.FirstSeen.IsZero() && f.FirstSeen.Before(since) {
		about += ", first seen " + ago(f.FirstSeen, p.now)
	}
	switch {
	case f.Flaps == 1:
		about += ", came back once"
	case f.Flaps > 1:
		about += ", came back " + count(f.Flaps) + " times"
	}
	p.para(2, printable(string(f.Severity)), severitySGR(f.Severity), about+" · "+printable(f.ID))
	if state == reconcile.Resolved {
		p.para(4, "was:", sgrFaint, printable(f.Message))
	} else {
		p.para(4, "", "", printable(f.Message))
	}
	if isChange(f) {
		_, _, leaf := splitPath(f.Field)
		intended, observed := sides(f.Intended, f.Observed, leaf)
		p.para(4, "", "", printable(f.Field)+": Sentral "+intended+", host "+observed)
	}
	if f.Verdict != reconcile.Confirmed && f.Verdict != "" {
		p.para(4, "verdict:", sgrFaint, p.verdict(f))
	}
	if f.Match != nil && f.Match.Weak {
		p.para(4, "match:", sgrFaint, "weak, by "+printable(f.Match.By))
	}
	for _, e := range f.Evidence {
		p.para(4, "evidence:", sgrFaint, printable(e))
	}
	if from := p.from(f.Provenance, true); from != "" {
		p.para(4, "seen by:", sgrFaint, from)
	}
	p.decided(f)
	if f.CausedBy != "" {
		p.para(4, "follows from:", sgrFaint, printable(f.CausedBy))
	}
	if state == reconcile.Resolved {
		return // there is nothing to do any more
	}
	for _, r := range f.Resolutions {
		p.resolution(&r)
	}
}

func (p *page) verdict(f *reconcile.Finding) string {
	switch f.Verdict {
	case reconcile.Potential:
		return "potential: it rests on a derived value or a weak match"
	case reconcile.Undecided:
		return "unknown: it can't be seen at the moment, last seen " + ago(f.LastSeen, p.now)
	}
	return printable(string(f.Verdict))
}

func (p *page) resolution(r *reconcile.Resolution) {
	lead := "on the host:"
	switch r.Side {
	case "sentral":
		lead = "in Sentral: "
	case "maskin", "policy":
		lead = "in " + r.Side + ":"
	}
	do := printable(r.Do)
	switch r.How {
	case "":
	case "live":
		do += " (while it runs)"
	case "reboot":
		do += " (needs a reboot)"
	case "person":
		do += " (needs a person)"
	default:
		do += " (" + printable(r.How) + ")"
	}
	p.para(4, lead, sgrCyan, do)
}

func severities(findings []reconcile.Finding) map[string]reconcile.Severity {
	by := make(map[string]reconcile.Severity, len(findings))
	for i := range findings {
		by[findings[i].ID] = findings[i].Severity
	}
	return by
}
