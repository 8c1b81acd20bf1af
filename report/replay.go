package report

import (
	"cmp"
	"io"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/replay"
)

// listedLives is how many findings one list of a replay names for people.
const listedLives = 40

// Replay writes for people what another policy would have said.
func Replay(w io.Writer, c *replay.Comparison, o Options) error {
	p := newPage(&o, time.Time{})
	p.replayed(c)
	against := orText(c.Against, "the policy of then")
	p.counted(c, against)
	var only [2][]*replay.Finding
	var regraded []*replay.Finding
	for i := range c.Findings {
		switch f := &c.Findings[i]; {
		case f.Policy == nil:
			only[0] = append(only[0], f)
		case f.Against == nil:
			only[1] = append(only[1], f)
		case f.Against.Severity != f.Policy.Severity:
			regraded = append(regraded, f)
		}
	}
	names := replayNames(c)
	p.lives(against, printable(c.Policy), only[0], names, func(f *replay.Finding) *replay.Life { return f.Against })
	p.lives(printable(c.Policy), against, only[1], names, func(f *replay.Finding) *replay.Life { return f.Policy })
	p.regraded(regraded, names)
	p.suppressions(c)
	p.certainty(c)
	_, err := io.WriteString(w, p.String())
	return err
}

// ReplayJSON writes the same for programs.
func ReplayJSON(w io.Writer, c *replay.Comparison) error { return writeJSON(w, c) }

func orText(name, otherwise string) string { return printable(cmp.Or(name, otherwise)) }

func replayNames(c *replay.Comparison) namer {
	all := make([]reconcile.Finding, len(c.Findings))
	for i := range c.Findings {
		all[i].Subject = c.Findings[i].Subject
	}
	return newNamer(all)
}

// replayed says what was replayed, and where that is less than was asked for.
func (p *page) replayed(c *replay.Comparison) {
	title := "What " + printable(c.Policy) + " would have said, against " + orText(c.Against, "the policy of then")
	if c.Filter != "" {
		title += ": only " + printable(c.Filter)
	}
	p.head(title)
	for i := range c.Sites {
		s := &c.Sites[i]
		text := second(s.Since) + " to " + second(s.Until) + ", " + several(s.Documents, "document")
		p.para(2, "site "+printable(s.Site), sgrFaint, text)
		if s.Since.After(c.Asked) {
			p.para(4, "", sgrYellow, "less than was asked for: what hosts showed and which inventory was in use isn't known before that")
		}
		for _, a := range s.Away {
			p.para(4, "", sgrFaint, "nothing was said from "+second(a.From)+" to "+second(a.To)+", and nothing is concluded from that")
		}
		if s.Until.Before(c.Until) {
			p.para(4, "", sgrFaint, "nothing was said after that")
		}
	}
}

// counted is the table by kind and platform: by the one policy, and by the other
// where that differs.
func (p *page) counted(c *replay.Comparison, against string) {
	if len(c.Kinds) == 0 {
		p.head("Neither of them has any finding in that time")
		return
	}
	p.head("By " + against + " → by " + printable(c.Policy))
	g := grid{width: p.width, painter: p.painter, flex: 6, columns: []column{
		{title: "KIND", cut: true, firm: true}, {title: "PLATFORM", cut: true},
		{title: "OPENED", firm: true}, {title: "RESOLVED", firm: true}, {title: "CAME BACK", firm: true}, {title: "OPEN AT THE END", firm: true},
		{title: "MEDIAN OPEN"},
	}}
	row := func(kind, platform string, r *replay.Row) {
		a, b := &r.Against, &r.Policy
		sgr := ""
		if a.Opened == b.Opened && a.Resolved == b.Resolved && a.Open == b.Open && a.Flaps == b.Flaps {
			sgr = sgrFaint
		}
		g.rows = append(g.rows, gridRow{
			cells: []string{printable(kind), printable(platform), turned(count(a.Opened), count(b.Opened)), turned(count(a.Resolved), count(b.Resolved)),
				turned(count(a.Flaps), count(b.Flaps)), turned(count(a.Open), count(b.Open)), turned(median(a), median(b))},
			sgr: []string{sgr, sgr, sgr, sgr, sgr, sgr, sgr},
		})
	}
	for i := range c.Kinds {
		row(string(c.Kinds[i].Kind), orText(c.Kinds[i].Platform, "–"), &c.Kinds[i])
	}
	row("all", "", &c.Total)
	g.write(&p.Builder)
}

func turned(was, now string) string {
	if was == now {
		return was
	}
	return was + " → " + now
}

func median(c *replay.Counts) string {
	if c.MedianOpen == nil {
		return "–"
	}
	return long(*c.MedianOpen)
}

// long writes a length of time in two units at most.
func long(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	switch {
	case d < time.Minute:
		return count(int(d/time.Second)) + "s"
	case d < time.Hour:
		return units(d, time.Minute, "m", time.Second, "s")
	case d < 48*time.Hour:
		return units(d.Round(time.Minute), time.Hour, "h", time.Minute, "m")
	}
	return units(d, 24*time.Hour, "d", time.Hour, "h")
}

// units writes d in a unit and a smaller one, which is left out where it is none.
func units(d, large time.Duration, largeName string, small time.Duration, smallName string) string {
	text := count(int(d/large)) + largeName
	if rest := int(d % large / small); rest > 0 {
		text += count(rest) + smallName
	}
	return text
}

// lives lists findings that only one of the policies has.
func (p *page) lives(by, other string, only []*replay.Finding, names namer, of func(*replay.Finding) *replay.Life) {
	if len(only) == 0 {
		return
	}
	p.head("Only by " + by + ": " + several(len(only), "finding"))
	g := grid{width: p.width, painter: p.painter, flex: 4, columns: []column{
		{title: "SEVERITY", cut: true, firm: true}, {title: "KIND", cut: true, firm: true}, {title: "SUBJECT", most: 34, cut: true, path: true},
		{title: "SINCE", firm: true}, {title: "OPEN FOR"},
	}}
	for _, f := range only[:min(len(only), listedLives)] {
		l := of(f)
		open := long(l.OpenFor)
		if l.Times > 1 {
			open += " in " + count(l.Times)
		}
		if l.Open {
			open += ", still"
		}
		since := second(l.Since)
		if l.Standing {
			since = "before"
		}
		sgr := severitySGR(l.Severity)
		g.rows = append(g.rows, gridRow{
			cells: []string{printable(string(l.Severity)), printable(string(f.Kind)), names.name(&f.Subject), since, open},
			sgr:   []string{sgr, "", "", sgrFaint, ""},
			below: []note{{printable(f.Message), sgrFaint, branch}, {"by " + other + ": " + printable(f.WhyNot), "", branch}},
		})
	}
	g.write(&p.Builder)
	if more := len(only) - listedLives; more > 0 {
		p.para(2, "", sgrFaint, "and "+count(more)+" more: -o csv and -o json have all of them")
	}
}

// regraded counts findings that both have, and not alike grave.
func (p *page) regraded(all []*replay.Finding, names namer) {
	if len(all) == 0 {
		return
	}
	p.head("Of another severity: " + several(len(all), "finding"))
	for _, f := range all[:min(len(all), listedLives)] {
		p.para(2, "", "", string(f.Against.Severity)+" → "+string(f.Policy.Severity)+"  "+printable(string(f.Kind))+"  "+names.name(&f.Subject))
	}
	if more := len(all) - listedLives; more > 0 {
		p.para(2, "", sgrFaint, "and "+count(more)+" more: -o csv and -o json have all of them")
	}
}

func (p *page) suppressions(c *replay.Comparison) {
	if len(c.Suppressions) == 0 {
		return
	}
	p.head("Suppressions of " + printable(c.Policy))
	for i := range c.Suppressions {
		s := &c.Suppressions[i]
		text, sgr := "suppresses "+several(s.Suppressed, "finding"), ""
		switch {
		case s.Suppressed+s.Lapsed == 0:
			text, sgr = "speaks of nothing in that time", sgrYellow
		case s.Lapsed > 0:
			text += ", and speaks of " + count(s.Lapsed) + " more, of which the value was another or which it had expired for"
		}
		p.para(2, printable(s.ID), sgrFaint, p.paint(sgr, text))
	}
}

// certainty says how far all that can be trusted.
func (p *page) certainty(c *replay.Comparison) {
	p.head("How far this can be trusted")
	if r := c.Recorded; r != nil {
		text := "By the policy of then, the replay comes to " + count(r.Same) + " of the " + several(r.Told, "time") + " that a finding opened or was resolved then"
		if r.Told == 0 {
			text = "Then, no finding opened or was resolved"
		}
		if n := len(r.Extra); n > 0 {
			text += ", and to " + count(n) + " more"
		}
		if len(r.Missing)+len(r.Extra) > 0 {
			text += " (-o json lists what differs)"
		}
		p.para(2, "", "", text+".")
	}
	for _, u := range c.Unreplayed {
		p.para(2, "", "", printable(string(u.Kind))+" isn't replayed, as "+u.Why+": it opened or was resolved "+times(u.Events)+" then.")
	}
	p.para(2, "", "", "Heartbeats and acknowledgements aren't kept: a silence that was too short to be found then can't be found now.")
	for _, n := range c.Notes {
		p.para(2, "", "", printable(strings.ToUpper(n[:1])+n[1:])+".")
	}
}

func times(n int) string {
	switch n {
	case 1:
		return "once"
	case 2:
		return "twice"
	}
	return count(n) + " times"
}
