package report

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/resolve"
)

// Case is an explanation with what else whoever looks at it needs.
type Case struct {
	*reconcile.Explanation
	// History is what happened to each finding, by its ID, the oldest first.
	History map[string][]history.Event `json:"history,omitempty"`
	// Remedies are the ways out of each finding, by its ID.
	Remedies map[string][]resolve.Remedy `json:"remedies,omitempty"`
	// Inventory is where Sentral's records are, as the reconciler reads them.
	Inventory string `json:"inventory,omitempty"`
	// AsOf says that it is of the past: nothing of it may be so still.
	AsOf bool `json:"asOf,omitempty"`
	// Offline says that no server stands behind it, which other commands could ask.
	Offline bool `json:"-"`
}

// NewCase makes a case of an explanation, with the ways out of its findings.
func NewCase(e *reconcile.Explanation) *Case {
	c := &Case{Explanation: e, Remedies: map[string][]resolve.Remedy{}}
	for i := range e.Findings {
		if f := &e.Findings[i]; f.State != reconcile.Resolved {
			c.Remedies[f.ID] = resolve.Of(f, e)
		}
	}
	return c
}

// compares says whether both sides were held side by side at a path: then its
// past is known.
func (c *Case) compares(path string) bool {
	var all []reconcile.Comparison
	switch {
	case c.VM != nil:
		all = c.VM.Comparisons
	case c.Host != nil:
		all = c.Host.Comparisons
	}
	return slices.ContainsFunc(all, func(comparison reconcile.Comparison) bool { return comparison.Path == path })
}

// Explain writes for people everything that is known of one thing: first what is
// wrong and what can be done about it, then what that rests on. Ages count back
// from when it was known, so that the options' time isn't asked.
func Explain(w io.Writer, c *Case, o Options) error {
	p := newPage(&o, c.At)
	findings := sorted(c.Findings)
	if c.AsOf {
		p.head("As it was at " + second(c.At))
	}
	switch {
	case c.VM != nil:
		p.vm(c, findings)
	case c.Host != nil:
		p.host(c, findings)
	default:
		if len(findings) > 0 {
			p.subject(&findings[0].Subject)
		}
		p.findings(c, findings)
	}
	_, err := io.WriteString(w, p.String())
	return err
}

// ExplainJSON writes the same for programs.
func ExplainJSON(w io.Writer, c *Case) error {
	out := *c
	e := *c.Explanation
	out.Explanation = &e
	e.At = c.At.UTC()
	e.Findings = make([]reconcile.Finding, 0, len(c.Findings))
	for _, f := range sorted(c.Findings) {
		e.Findings = append(e.Findings, finish(f))
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
func (p *page) findings(c *Case, findings []reconcile.Finding) {
	if len(findings) == 0 {
		p.head("No finding")
		return
	}
	p.head(plural("finding", len(findings)))
	for i := range findings {
		if i > 0 {
			p.WriteByte('\n')
		}
		p.finding(c, &findings[i])
	}
}

func (p *page) finding(c *Case, f *reconcile.Finding) {
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
	p.life(f, c.History[f.ID])
	if state == reconcile.Resolved {
		return // there is nothing to do any more
	}
	if c.compares(f.Field) && f.Subject.Name != "" && f.Subject.Type != "inventory" && !c.Offline && !c.AsOf {
		p.para(4, "by what:", sgrFaint, "avstem blame "+resolve.Quote(printable(f.Subject.Name))+" "+resolve.Quote(printable(f.Field)))
	}
	for i := range c.Remedies[f.ID] {
		r := &c.Remedies[f.ID][i]
		p.remedy(r)
		// What is read over a network has no files to change.
		if r.Adopts(f) && c.Inventory != "" && !strings.Contains(c.Inventory, "://") {
			p.WriteString("      avstem sentral adopt " + printable(f.ID) + " --inventory " + resolve.Quote(printable(c.Inventory)) + "\n")
		}
	}
}

// life says what became of a finding since it was first seen.
func (p *page) life(f *reconcile.Finding, events []history.Event) {
	var words []string
	for i := 0; i < len(events); {
		same := i
		for same < len(events) && events[same].Action == events[i].Action {
			same++
		}
		word := printable(events[i].Action) + " " + second(events[i].At)
		if n := same - i; n > 1 {
			word = printable(events[i].Action) + " " + several(n, "time") + " until " + second(events[same-1].At)
		}
		words = append(words, word)
		i = same
	}
	const few = 6
	if more := len(words) - few; more > 0 {
		words = append([]string{several(more, "earlier event")}, words[more:]...)
	}
	if len(words) > 0 {
		p.para(4, "history:", sgrFaint, strings.Join(words, ", "))
	}
}

func (p *page) verdict(f *reconcile.Finding) string {
	switch f.Verdict {
	case reconcile.Potential:
		return "potential: it rests on a derived value or a weak match"
	case reconcile.Undecided:
		return "unknown: it can't be judged at the moment, last seen " + ago(f.LastSeen, p.now)
	}
	return printable(string(f.Verdict))
}

// remedy writes a way out, with what can be pasted on lines of its own.
func (p *page) remedy(r *resolve.Remedy) {
	lead := "on the host:"
	switch r.Side {
	case "sentral":
		lead = "in Sentral: "
	case "maskin", "policy":
		lead = "in " + r.Side + ":"
	}
	do := printable(r.Do)
	if how := howWords(r.How); how != "" {
		do += " (" + how + ")"
	}
	p.para(4, lead, sgrCyan, do)
	for _, command := range r.Commands {
		// Never wrapped: it is there to be pasted.
		p.WriteString("      " + p.paint(sgrFaint, printable(r.Host)+"#") + " " + printable(command) + "\n")
	}
	if r.Note != "" {
		p.para(6, "", sgrFaint, printable(r.Note))
	}
	if e := r.Edit; e != nil {
		where := cmp.Or(e.Where, e.Type+" "+e.ID)
		if e.YAML == "" {
			p.para(6, "", sgrFaint, printable("take out "+e.Key+" at "+where))
			return
		}
		p.para(6, "", sgrFaint, printable(e.Key+" at "+where))
		for line := range strings.SplitSeq(e.YAML, "\n") {
			p.WriteString("        " + printable(line) + "\n")
		}
	}
}

// howWords says what a way out takes, "" where nothing is known of that.
func howWords(how string) string {
	switch how {
	case "live":
		return "while it runs"
	case "reboot":
		return "needs a reboot"
	case "person":
		return "needs a person"
	}
	return printable(how)
}

func severities(findings []reconcile.Finding) map[string]reconcile.Severity {
	by := make(map[string]reconcile.Severity, len(findings))
	for i := range findings {
		by[findings[i].ID] = findings[i].Severity
	}
	return by
}
