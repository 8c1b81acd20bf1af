package report

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
)

// PastOf is what is known of a thing's past.
type PastOf struct {
	*history.Timeline
	At     time.Time       `json:"at"`
	Since  time.Time       `json:"since"` // older changes are counted and not shown
	Events []history.Event `json:"findings"`
	Reach  history.Reach   `json:"reach"`
	// Record is Sentral's record of it now, where that can't be used.
	Record *reconcile.UnusableRecord `json:"unusableRecord,omitempty"`
}

// moment is one line of a history: a change, or what happened to a finding.
type moment struct {
	at     time.Time
	change *history.Change
	event  *history.Event
}

// within gives what happened since the time that was asked for, the oldest first,
// and how much before.
func (l *PastOf) within() (shown []moment, before int, last time.Time) {
	var all []moment
	for i := range l.Changes {
		all = append(all, moment{at: l.Changes[i].At, change: &l.Changes[i]})
	}
	for i := range l.Events {
		all = append(all, moment{at: l.Events[i].At, event: &l.Events[i]})
	}
	slices.SortStableFunc(all, func(a, b moment) int { return a.at.Compare(b.at) })
	for _, m := range all {
		if m.at.Before(l.Since) {
			before, last = before+1, m.at
			continue
		}
		shown = append(shown, m)
	}
	return shown, before, last
}

// History writes for people what became of a thing.
func History(w io.Writer, l *PastOf, o Options) error {
	p := newPage(&o, o.Now)
	shown, before, last := l.within()
	title := "History of " + thingWords(&l.Thing)
	if len(shown) == 0 {
		title += ": nothing changed"
	}
	p.head(title + " since " + second(l.Since))
	if l.Record != nil {
		p.unusable(l.Record)
	}
	p.moments(essential(shown), l.Reach.Names(), earlier(l.Events))
	if before > 0 {
		p.para(2, "", sgrFaint, "before that: "+several(before, "change")+", the last "+ago(last, p.now)+": a longer --since shows them")
	}
	p.reach(&l.Reach)
	_, err := io.WriteString(w, p.String())
	return err
}

// HistoryJSON writes the same for programs.
func HistoryJSON(w io.Writer, l *PastOf) error {
	out := *l
	line := *l.Timeline
	line.Changes = slices.DeleteFunc(slices.Clone(line.Changes), func(c history.Change) bool { return c.At.Before(l.Since) })
	out.Timeline = &line
	out.Events = []history.Event{}
	for _, e := range l.Events {
		if !e.At.Before(l.Since) {
			e.Finding = finish(e.Finding)
			out.Events = append(out.Events, e)
		}
	}
	return writeJSON(w, &out)
}

func thingWords(t *history.Thing) string {
	words := t.Type
	if t.Type == "vm" {
		words = "VM"
	}
	return words + " " + printable(cmp.Or(t.Name, t.Record, t.ID.String()))
}

// essential leaves out what says in other words what another change of the same
// cause says. JSON has it all.
func essential(all []moment) []moment {
	said := map[history.Cause]map[string]bool{}
	for _, m := range all {
		if m.change != nil {
			if said[m.change.Cause] == nil {
				said[m.change.Cause] = map[string]bool{}
			}
			said[m.change.Cause][m.change.Path] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m moment) bool {
		if m.change == nil {
			return false
		}
		beside := said[m.change.Cause]
		switch nic, isPath := strings.CutSuffix(m.change.Path, ".path"); {
		case m.change.Path == "rawState":
			return beside["state"]
		case m.change.Path == "configDigest":
			return len(beside) > 1
		case isPath:
			return beside[nic+".vlan"] || beside[nic+".link"]
		}
		return false
	})
}

func (p *page) moments(all []moment, names map[uuid.UUID]string, before map[*history.Event]*history.Event) {
	if len(all) == 0 {
		return
	}
	g := grid{width: p.width, painter: p.painter, flex: 3, columns: []column{
		{title: "WHEN", cut: true, firm: true}, {title: "SIDE", cut: true, firm: true}, {title: "WHAT", most: 34}, {title: "WAS → BECAME"},
	}}
	var cause history.Cause
	for i, m := range all {
		if m.event != nil {
			g.rows = append(g.rows, p.event(m.event, before[m.event]))
			continue
		}
		c := m.change
		side, sgr := "host", ""
		if c.Side == history.Intended {
			side, sgr = "Sentral", sgrCyan
		}
		row := gridRow{cells: []string{second(c.At), side, whatChanged(c), becoming(c.Was, c.Now, c.Path)}, sgr: []string{sgrFaint, sgr, "", ""}}
		cause = c.Cause
		if i+1 == len(all) || all[i+1].change == nil || all[i+1].change.Cause != cause { // said once for all that it made
			row.below = append(row.below, note{causeWords(&cause, names), sgrFaint, branch})
		}
		g.rows = append(g.rows, row)
	}
	g.write(&p.Builder)
}

func whatChanged(c *history.Change) string {
	if c.Path == history.Here {
		return "it is"
	}
	return printable(c.Path)
}

// earlier gives for each event the one before it of the same finding.
func earlier(events []history.Event) map[*history.Event]*history.Event {
	before, last := map[*history.Event]*history.Event{}, map[string]*history.Event{}
	for i := range events {
		e := &events[i]
		before[e] = last[e.Finding.ID]
		last[e.Finding.ID] = e
	}
	return before
}

// decision says what is else about a finding that says the same as before: mostly
// what a person has decided about it.
func decision(was, is *reconcile.Finding, action string) (did, message string) {
	switch a, before := is.Acknowledged, was.Acknowledged; {
	case a != nil && (before == nil || *a != *before):
		return "acknowledged", "by " + a.By + " until " + minuteOf(a.Until) + ": " + a.Reason
	case a == nil && before != nil:
		return "not acknowledged any more", "was by " + before.By + " until " + minuteOf(before.Until) + ": " + before.Reason
	case is.State != was.State && is.State == reconcile.Suppressed && is.Suppression != nil:
		s := is.Suppression
		return "suppressed", "by " + s.ID + " of " + s.Owner + " until " + minuteOf(s.Expires) + ": " + s.Reason
	case is.State != was.State && was.State == reconcile.Suppressed && is.Suppression != nil && is.Suppression.Lapsed != "":
		return "not suppressed any more", is.Suppression.Lapsed + ": " + is.Message
	case is.Severity != was.Severity:
		return action, "severity " + string(was.Severity) + " → " + string(is.Severity) + ": " + is.Message
	case is.Verdict != was.Verdict:
		return action, "verdict " + string(was.Verdict) + " → " + string(is.Verdict) + ": " + is.Message
	}
	return action, is.Message
}

func (p *page) event(e, before *history.Event) gridRow {
	f := &e.Finding
	sgr, action, message := severitySGR(f.Severity), e.Action, f.Message
	if e.Action == "resolved" {
		sgr, message = sgrGreen, "was: "+message
	} else if before != nil && before.Finding.Message == f.Message {
		action, message = decision(&before.Finding, f, action)
	}
	return gridRow{
		cells: []string{second(e.At), "finding", printable(string(f.Kind) + " " + action), printable(message)},
		sgr:   []string{sgrFaint, sgr, sgr, ""},
	}
}

// becoming writes what was and what became, sizes in the unit of the path's field.
func becoming(was, now any, path string) string {
	_, _, leaf := splitPath(path)
	if leaf == "configDigest" {
		return "the runtime's own description of it changed, in what avstem doesn't read"
	}
	switch element, came, went := parts(was, now); {
	case came:
		return "came: " + element
	case went:
		return "went: " + element
	}
	a, b := sides(was, now, leaf)
	return a + " → " + b
}

// parts writes an element of a list that came or went, such as a NIC, by what it
// says of itself and not by what it holds.
func parts(was, now any) (element string, came, went bool) {
	of := func(v any) bool {
		fields, is := v.(map[string]any)
		if is {
			own := map[string]any{}
			for name, value := range fields {
				if !strings.ContainsAny(name, "[.") {
					own[name] = value
				}
			}
			element = object(own)
		}
		return is
	}
	switch {
	case was == nil && of(now):
		return element, true, false
	case now == nil && of(was):
		return element, false, true
	}
	return "", false, false
}

// causeWords says who said it: a document of a host or a version of a record.
func causeWords(c *history.Cause, names map[uuid.UUID]string) string {
	place := ""
	if c.Stream != "" {
		place = ", " + c.Stream + " " + strconv.FormatUint(c.Sequence, 10)
	}
	if c.Side == history.Observed {
		return printable("document " + documentName(c) + " of " + c.Source + " on " + cmp.Or(names[c.Host], "host "+c.Host.String()) + place)
	}
	words := c.Type + " " + c.ID
	if c.Type == history.WholeID.Type {
		words = "the inventory as a whole"
	}
	if c.Where != "" {
		words += " at " + c.Where
	}
	if c.Version != "" {
		words += ", inventory version " + shortVersion(c.Version)
	}
	return printable(words + place)
}

// documentName is a document's epoch and gen.
func documentName(c *history.Cause) string {
	return strconv.FormatUint(c.Epoch, 10) + "." + strconv.FormatUint(c.Gen, 10)
}

// shortVersion cuts a hash, which nobody reads to its end.
func shortVersion(v string) string {
	name, hash, is := strings.Cut(v, ":")
	if !is {
		name, hash = "", v
	} else {
		name += ":"
	}
	return name + hash[:min(len(hash), 12)]
}

// several counts things whose name takes an s.
func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}

// reach says how far back what was shown is known.
func (p *page) reach(r *history.Reach) {
	p.head("How far back this is known")
	g := grid{width: p.width, painter: p.painter, flex: 2, columns: []column{{title: "HOST", most: 24}, {title: "SOURCE", most: 24}, {title: "KEPT"}}}
	for _, s := range r.Sources {
		words := several(s.Kept, "document") + " since " + second(s.Oldest)
		if s.Dropped {
			words += "; what it showed before isn't kept any more"
		}
		row := gridRow{cells: []string{printable(cmp.Or(s.Name, s.Host.String())), printable(s.Source), words}, sgr: []string{"", "", ""}}
		for _, words := range unknownTimes(s.Gaps) {
			row.below = append(row.below, note{words, sgrYellow, branch})
		}
		g.rows = append(g.rows, row)
	}
	words := "nothing of what it said before"
	if !r.Intended.IsZero() {
		words = several(r.Versions, "version") + " since " + second(r.Intended)
	}
	g.rows = append(g.rows, gridRow{cells: []string{"Sentral", "inventory", words}, sgr: []string{"", "", ""}})
	g.write(&p.Builder)
	if len(r.Sources) == 0 {
		p.para(2, "", "", "no host is known to have shown it: nothing is known of its observed side")
	}
	for _, n := range r.Notes {
		p.para(2, "", "", printable(n))
	}
}

// unknownTimes lists the last few times of which nothing is known.
func unknownTimes(gaps []history.Gap) (words []string) {
	const few = 3
	for _, gap := range gaps[max(0, len(gaps)-few):] {
		text := "nothing is known from " + second(gap.From) + " to " + second(gap.To)
		if gap.Lost > 0 {
			text += ": " + several(int(min(gap.Lost, 1<<31)), "document") + " never arrived"
		}
		words = append(words, text)
	}
	if more := len(gaps) - few; more > 0 {
		words = append(words, "and "+several(more, "earlier gap"))
	}
	return words
}
