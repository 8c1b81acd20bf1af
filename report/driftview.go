package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report/drift"
)

// maxChanges is how many rows of each sort of change a page for people has. The
// other formats have them all.
const maxChanges = 25

// driftView is a report in words, as the pages for people show it. Every text in it
// is printable.
type driftView struct {
	Title    string
	At       string
	Asked    string // what was asked for, "" for everything
	Notes    []string
	Sections []sectionView
	Severity []string // the columns of counts
}

type sectionView struct {
	Name, Anchor  string
	None          bool // it is of what belongs to no platform
	Headlines     []headlineView
	Kinds         []kindView
	Trend         []drift.Day
	Chart         *chart
	Since         string // what changes are counted from, in words
	Changes       []changesView
	Passed        string
	Nothing       string // said where nothing more changed
	Offenders     []offendersView
	HostStates    string
	Versions      string
	Troubled      []troubledView
	TroubledLeft  string
	Findings      []findingView
	Open          int
	Numbers       []evaluate.Numbers
	Gaps          []gapView
	PendingOthers string
}

// headlineView is one number on top, and what belongs to it.
type headlineView struct {
	Column             string // in a table of several sections: Label, whatever the number
	Label, Value, More string
}

type kindView struct {
	Kind, Means string
	Counts      []string // by severity
	Open        string
	Oldest      string
}

type changesView struct {
	Title string
	Rows  []findingView
	More  string
}

type offendersView struct {
	Title string
	Rows  []offenderView
}

type offenderView struct {
	Name, Where string
	Counts      []string
	Open        string
	Oldest      string
	Command     string
}

type troubledView struct {
	Host, State, Heard, Version, Clock string
	Why                                []string
}

type gapView struct{ Of, Words string }

// findingView is one row of findings: one, or the same on several subjects, with
// those that follow from it.
type findingView struct {
	Severity, Kind     string
	Subjects           []string
	Where              string // host, or site where there is none
	Field              string
	Intended, Observed string
	Sided              bool // it has values on both sides, or on one
	Change             string
	Message, Doubts    string
	Since              string
	Was                string
	Taken              string // by whom it was acknowledged, and until when
	Resolutions        []resolutionView
	ID                 string
	Symptoms           []symptomView
}

type resolutionView struct{ Side, Do, How string }

type symptomView struct{ Severity, Kind, Subject, Change string }

func newDriftView(r *drift.Report) *driftView {
	v := &driftView{Title: "Drift", At: minute(r.At)}
	var asked []string
	for _, w := range [][2]string{{"platform", r.Platform}, {"site", r.Site}} {
		if w[1] != "" {
			asked = append(asked, w[0]+" "+printable(w[1]))
		}
	}
	v.Asked = strings.Join(asked, ", ")
	for _, note := range r.Notes {
		v.Notes = append(v.Notes, printable(note))
	}
	for _, s := range drift.Severities() {
		v.Severity = append(v.Severity, string(s))
	}
	for i := range r.Sections {
		v.Sections = append(v.Sections, newSectionView(&r.Sections[i], r.At))
	}
	return v
}

// minute writes a time for people.
func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

// sinceWords is a time with how long ago it was.
func sinceWords(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format("2006-01-02 15:04"), age(t, now))
}

func newSectionView(s *drift.Section, at time.Time) sectionView {
	v := sectionView{Name: printable(s.Platform), Anchor: "p-" + anchor(s.Platform, "section"), Trend: s.Trend, Numbers: s.Numbers, Open: s.Open}
	if s.Platform == "" {
		v.Name, v.None = "No platform", true
	}
	v.headlines(s)
	for i := range s.ByKind {
		k := &s.ByKind[i]
		v.Kinds = append(v.Kinds, kindView{printable(string(k.Kind)), printable(k.Means), severityCounts(k.BySeverity), count(k.Open), sinceWords(k.Oldest, at)})
	}
	v.Chart = newChart(s.Trend)
	v.changes(&s.Changes, at)
	for _, o := range []struct {
		title string
		list  []drift.Offender
	}{{"Hosts", s.Hosts}, {"Projects", s.Projects}, {"VMs", s.VMs}} {
		if len(o.list) > 0 {
			v.Offenders = append(v.Offenders, newOffendersView(o.title, o.list, at))
		}
	}
	v.hosts(s, at)
	v.Findings = findingViews(s.Findings, at)
	v.Gaps = gapViews(s.Numbers)
	var others []string
	if s.Pending > 0 {
		others = append(others, count(s.Pending)+" pending, which may go away by themselves")
	}
	if s.Suppressed > 0 {
		others = append(others, count(s.Suppressed)+" suppressed by policy")
	}
	v.PendingOthers = strings.Join(others, " · ")
	return v
}

func (v *sectionView) headlines(s *drift.Section) {
	add := func(label, value, more string) {
		v.Headlines = append(v.Headlines, headlineView{label, label, value, more})
	}
	add("open "+noun("finding", s.Open), count(s.Open), bySeverity(s.BySeverity))
	v.Headlines[0].Column = "open " + noun("finding", 0)
	add("new", count(len(s.Changes.New)), "since "+minute(s.Changes.Since))
	add("gone", count(len(s.Changes.Gone)), fmt.Sprintf("%d changed", len(s.Changes.Changed)))
	if s.Fleet != nil {
		live := s.Fleet.Hosts[evaluate.HostLive]
		add("hosts well seen", fmt.Sprintf("%d of %d", live, s.Fleet.Total()), hostStates(s.Fleet))
		add("VMs agree in everything", fmt.Sprintf("%d of %d", s.Fleet.Agreeing, s.Fleet.VMs), "")
	}
	for i := range s.Numbers {
		n := &s.Numbers[i]
		// Of a runtime that another one leads, such as QEMU below libvirt, nothing
		// is reconciled.
		if n.Type != "" || n.Reconcilability == nil {
			continue
		}
		add("observability", ratio(n.Observability), strings.TrimSpace(n.Runtime+" "+n.Version))
		add("reconcilability", ratio(n.Reconcilability), strings.TrimSpace(n.Runtime+" "+n.Version))
	}
	for i := range v.Headlines {
		v.Headlines[i].More = printable(v.Headlines[i].More)
	}
}

// hostStates lists how many hosts are in each state but live, worst first.
func hostStates(f *evaluate.Fleet) string {
	var parts []string
	for _, state := range evaluate.HostStates() {
		if n := f.Hosts[state]; n > 0 && state != evaluate.HostLive {
			parts = append(parts, count(n)+" "+string(state))
		}
	}
	return strings.Join(parts, ", ")
}

func severityCounts(n map[reconcile.Severity]int) []string {
	var cells []string
	for _, s := range drift.Severities() {
		cells = append(cells, some(n[s]))
	}
	return cells
}

func newOffendersView(title string, list []drift.Offender, at time.Time) offendersView {
	v := offendersView{Title: title}
	for i := range list {
		o := &list[i]
		where := cmp.Or(o.Host, o.Site)
		v.Rows = append(v.Rows, offenderView{printable(o.Name), printable(where), severityCounts(o.BySeverity), count(o.Open), sinceWords(o.Oldest, at), printable(o.Command)})
	}
	return v
}

func (v *sectionView) hosts(s *drift.Section, at time.Time) {
	if s.Fleet != nil {
		parts := []string{count(s.Fleet.Hosts[evaluate.HostLive]) + " live"}
		if rest := hostStates(s.Fleet); rest != "" {
			parts = append(parts, rest)
		}
		v.HostStates = strings.Join(parts, ", ")
		var versions []string
		for version := range s.Fleet.Versions {
			versions = append(versions, version)
		}
		slices.SortFunc(versions, func(a, b string) int {
			return cmp.Or(cmp.Compare(s.Fleet.Versions[b], s.Fleet.Versions[a]), cmp.Compare(a, b))
		})
		for i, version := range versions {
			versions[i] = printable(version) + " on " + plural("host", s.Fleet.Versions[version])
		}
		v.Versions = strings.Join(versions, ", ")
	}
	for i := range s.Troubled {
		h := &s.Troubled[i]
		t := troubledView{Host: printable(h.Host), State: printable(string(h.State)), Heard: sinceWords(h.LastHeard, at), Version: printable(h.Version), Clock: clock(h.Skew)}
		for _, why := range h.Why {
			t.Why = append(t.Why, printable(why))
		}
		v.Troubled = append(v.Troubled, t)
	}
	if s.TroubledLeft > 0 {
		v.TroubledLeft = "and " + count(s.TroubledLeft) + " more"
	}
}

// clock says how wrong a host's clock is.
func clock(skew time.Duration) string {
	switch {
	case skew == 0:
		return ""
	case skew > 0:
		return skew.Round(time.Second).String() + " ahead"
	}
	return skew.Abs().Round(time.Second).String() + " behind"
}

func (v *sectionView) changes(c *drift.Changes, at time.Time) {
	v.Since = "Since " + minute(c.Since) + ", counted from the events."
	if c.From == drift.FromReport {
		v.Since = "Since the last report, of " + minute(c.Since) + "."
	}
	for _, part := range []struct {
		title string
		list  []drift.Change
	}{{"New", c.New}, {"Changed", c.Changed}, {"Gone", c.Gone}} {
		if len(part.list) == 0 {
			continue
		}
		view := changesView{Title: fmt.Sprintf("%s: %d", part.title, len(part.list)), Rows: changeViews(part.list, at)}
		if over := len(view.Rows) - maxChanges; over > 0 {
			view.Rows, view.More = view.Rows[:maxChanges], fmt.Sprintf("and %d more rows, which the JSON has", over)
		}
		v.Changes = append(v.Changes, view)
	}
	if c.Passed > 0 {
		v.Passed = plural("finding", c.Passed) + " came and went in between."
	}
	switch {
	case len(v.Changes) > 0:
	case c.Passed > 0:
		v.Nothing = "Nothing else changed."
	default:
		v.Nothing = "Nothing changed."
	}
}

// changeViews folds as findings are folded, but for what changed, which is shown
// one by one with what it was.
func changeViews(list []drift.Change, at time.Time) []findingView {
	findings := make([]reconcile.Finding, len(list))
	was := map[string]string{}
	for i := range list {
		c := &list[i]
		findings[i] = reconcile.Finding{ID: c.ID, Kind: c.Kind, Severity: c.Severity, Subject: c.Subject, Field: c.Field,
			Intended: c.Intended, Observed: c.Observed, Message: c.Message, CausedBy: c.CausedBy, Since: c.At}
		switch {
		case c.WasSeverity != "" && c.WasSeverity != c.Severity:
			was[c.ID] = "was " + string(c.WasSeverity) + ": " + c.WasMessage
		case c.WasMessage != "":
			was[c.ID] = "was: " + c.WasMessage
		}
	}
	views := findingViews(findings, at)
	for i := range views {
		if len(views[i].Subjects) == 1 {
			views[i].Was = printable(was[views[i].ID])
		}
	}
	return views
}

// findingViews folds sorted findings by cause and by what they say.
func findingViews(findings []reconcile.Finding, at time.Time) []findingView {
	names := newNamer(findings)
	rows := fold(findings)
	views := make([]findingView, 0, len(rows))
	for i := range rows {
		views = append(views, newFindingView(&rows[i], names, at))
	}
	return views
}

func newFindingView(r *row, names namer, at time.Time) findingView {
	f := r.same[0]
	v := findingView{
		Severity: printable(string(f.Severity)), Kind: printable(string(f.Kind)), Field: printable(f.Field), Message: printable(f.Message),
		Doubts: doubts(&reconcile.Finding{Kind: f.Kind, Verdict: f.Verdict, Match: f.Match}), Where: whereOf(f), Change: difference(f),
		Since: sinceWords(earliest(r.same), at), ID: printable(f.ID), Sided: f.Intended != nil || f.Observed != nil,
	}
	if a := f.Acknowledged; a != nil && len(r.same) == 1 {
		v.Taken = printable(fmt.Sprintf("%s has taken it up until %s: %s", a.By, minute(a.Until), a.Reason))
	}
	_, _, leaf := splitPath(f.Field)
	v.Intended, v.Observed = sides(f.Intended, f.Observed, leaf)
	for _, same := range r.same {
		if name := names.name(&same.Subject); !slices.Contains(v.Subjects, name) {
			v.Subjects = append(v.Subjects, name)
		}
		if whereOf(same) != v.Where {
			v.Where = "several hosts"
		}
	}
	for _, s := range f.Resolutions {
		if s.Do != "" {
			v.Resolutions = append(v.Resolutions, resolutionView{printable(s.Side), printable(s.Do), howWords(s.How)})
		}
	}
	for _, s := range r.symptoms {
		v.Symptoms = append(v.Symptoms, symptomView{printable(string(s.Severity)), printable(string(s.Kind)), names.name(&s.Subject), difference(s)})
	}
	return v
}

// whereOf is the host that a finding is on, or its site where its subject is the host
// or on none.
func whereOf(f *reconcile.Finding) string {
	if f.Subject.Type == "host" {
		return printable(f.Subject.Site)
	}
	return printable(cmp.Or(f.Subject.Host, f.Subject.Site))
}

func gapViews(numbers []evaluate.Numbers) []gapView {
	var views []gapView
	for _, l := range gapLines(numbers, false) {
		words := l.words()
		if more := l.fields[1:]; len(more) > 0 {
			words += "; the same of " + strings.Join(more, ", ")
		}
		of := l.fields[0]
		if len(numbers) > 1 {
			of = l.title + " " + of
		}
		views = append(views, gapView{printable(of), printable(words)})
	}
	return views
}
