package report

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// host shows a host on either side or on both.
func (p *page) host(c *Case, findings []reconcile.Finding) {
	m := c.Host
	p.hostHead(m)
	p.findings(c, findings)
	p.hostFacts(m)
	if m.Observed != nil {
		p.sources(m.Observed.Sources)
	}
	p.evidence(m.Match, m.Evidence)
	p.comparisons(m.Comparisons, severities(findings))
}

func (p *page) hostHead(m *reconcile.HostMatch) {
	name := ""
	switch {
	case m.Intended != nil:
		name = orWords(m.Intended.Name, m.Intended.ID)
	case m.Observed != nil && m.Observed.Identity != nil:
		name = m.Observed.Identity.Hostname
	}
	p.head("Host " + printable(name))
	if m.Observed == nil {
		p.fact("seen", "never: no agent has reported for it")
		return
	}
	heard := ago(m.Observed.LastHeard, p.now)
	if m.Observed.Stale {
		heard += ": it is silent, so nothing is concluded from what it said"
	}
	p.fact("last heard", heard)
	if m.Observed.ClockAhead != nil {
		p.fact("clock", clockWords(*m.Observed.ClockAhead))
	}
}

// hostFacts say which host it is on either side.
func (p *page) hostFacts(m *reconcile.HostMatch) {
	p.head("Which host this is")
	if want := m.Intended; want != nil {
		p.fact("Sentral ID", want.ID)
		words := orWords(string(want.State), "active") + " in " + want.Site
		if want.FailureDomain != "" {
			words += ", " + want.FailureDomain
		}
		if want.Platform != "" {
			words += ", platform " + want.Platform
		}
		p.fact("intended", words)
	} else if m.Record != nil {
		p.unusable(m.Record)
	} else {
		p.fact("intended", "Sentral has no such host")
	}
	if m.Observed == nil {
		return
	}
	p.observed(m.Observed, m.Former)
	if m.Blind != "" {
		p.fact("not judged", "what isn't seen there may be there all the same: see "+m.Blind)
	}
}

// clockWords says how far a host's clock is off, as far as heartbeats tell.
func clockWords(ahead time.Duration) string {
	const fine = 100 * time.Millisecond
	switch ahead = ahead.Round(fine / 10); {
	case ahead > fine:
		return ahead.String() + " ahead of the reconciler's"
	case ahead < -fine:
		return (-ahead).String() + " behind the reconciler's"
	}
	return "as the reconciler's, within " + fine.String()
}

func (p *page) observed(h *reconcile.ObservedHost, former []uuid.UUID) {
	p.fact("host ID", h.ID.String())
	for _, id := range former {
		p.fact("formerly", id.String())
	}
	id := h.Identity
	if id == nil {
		return
	}
	p.fact("hostname", id.Hostname)
	p.fact("hardware", strings.TrimSpace(id.Vendor+" "+id.Product))
	p.fact("serial", id.Serial)
	if id.SystemUUID != uuid.Nil {
		p.fact("system UUID", id.SystemUUID.String())
	}
	p.fact("system", strings.Trim(id.OS+", "+id.Kernel, ", "))
	var size []string
	if id.CPUs != nil {
		size = append(size, count(*id.CPUs)+" CPUs")
	}
	if id.Memory != nil {
		size = append(size, id.Memory.String()+" of memory")
	}
	p.fact("size", strings.Join(size, ", "))
}

// sources shows how well each source of a host was seen.
func (p *page) sources(sources []reconcile.SourceStatus) {
	p.head("Sources")
	if len(sources) == 0 {
		p.para(2, "", sgrFaint, "none has reported")
		return
	}
	g := grid{width: p.width, painter: p.painter, flex: 4, columns: []column{
		{title: "SOURCE", most: 28}, {title: "OUTCOME", cut: true}, {title: "AGE", right: true, cut: true}, {title: "DOCUMENT", cut: true}, {title: "RUNTIME"},
	}}
	for i := range sources {
		s := &sources[i]
		row := gridRow{
			cells: []string{printable(s.Source), printable(string(s.Outcome)), dash(age(s.ObservedAt, p.now)),
				strconv.FormatUint(s.Epoch, 10) + "." + strconv.FormatUint(s.Gen, 10), runtimeWords(s.Runtime)},
			sgr: []string{"", outcomeSGR(s.Outcome), sgrFaint, sgrFaint, sgrFaint},
		}
		if s.Old {
			row.below = append(row.below, note{"too old to conclude anything from", sgrYellow, branch})
		}
		for _, same := range foldProblems(s.Problems) {
			row.below = append(row.below, problemNotes(same[0], len(same)-1)...)
		}
		g.rows = append(g.rows, row)
	}
	g.write(&p.Builder)
}

func runtimeWords(r *inventory.Runtime) string {
	if r == nil {
		return ""
	}
	parts := []string{strings.TrimSpace(r.Name + " " + r.Version)}
	for _, s := range []string{r.Hypervisor, r.Endpoint} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return printable(strings.Join(parts, ", "))
}

func outcomeSGR(o inventory.Outcome) string {
	switch o {
	case inventory.OutcomeComplete:
		return sgrGreen
	case inventory.OutcomePartial:
		return sgrYellow
	case inventory.OutcomeFailed:
		return sgrRed
	}
	return sgrFaint
}

// foldProblems takes together what is the same with four or more entities of one
// kind, such as a field that no VM shows; it stands where the first of them does.
func foldProblems(problems []inventory.Problem) [][]*inventory.Problem {
	type likeness struct{ kind, field, why, err, remedy string }
	like := func(q *inventory.Problem) likeness {
		kind, _, _ := strings.Cut(q.Entity, ":")
		return likeness{kind, string(q.Field), string(q.Why), q.Error, q.Remedy}
	}
	alike := map[likeness][]*inventory.Problem{}
	for i := range problems {
		q := &problems[i]
		alike[like(q)] = append(alike[like(q)], q)
	}
	var folded [][]*inventory.Problem
	for i := range problems {
		q := &problems[i]
		if same := alike[like(q)]; len(same) < foldAt {
			folded = append(folded, []*inventory.Problem{q})
		} else if same[0] == q {
			folded = append(folded, same)
		}
	}
	return folded
}

// problemNotes says what could not be read, why, and what can be done; more is of
// how many others the same is true.
func problemNotes(q *inventory.Problem, more int) []note {
	var about []string
	for _, s := range []string{q.Entity, string(q.Field)} {
		if s != "" {
			about = append(about, printable(s))
		}
	}
	text := string(q.Why) + ": " + q.Call
	if q.Error != "" {
		text += ": " + q.Error
	}
	if more > 0 {
		about = append(about, "(and "+count(more)+" more)")
	}
	if len(about) > 0 {
		text = strings.Join(about, " ") + " " + text
	}
	notes := []note{{printable(text), sgrYellow, branch}}
	if q.Remedy != "" {
		notes = append(notes, note{printable(q.Remedy), sgrCyan, "  do: "})
	}
	return notes
}
