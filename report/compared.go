package report

import (
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// roomy is from which width on the call that each value came from is shown
// beside it, and not only where the sides differ.
const roomy = 96

// sight is when a source saw a value. Most values of one thing share one, which
// is said once above them.
type sight struct {
	collector string
	at        time.Time
}

func sightOf(v *reconcile.Provenance) sight { return sight{v.Collector, v.ObservedAt.UTC()} }

// comparisons shows both sides field by field, equal ones too, and those of one
// NIC, disk or link under its name.
func (p *page) comparisons(comparisons []reconcile.Comparison, severity map[string]reconcile.Severity) {
	if len(comparisons) == 0 {
		return
	}
	usual := usualSight(comparisons)
	title := "Compared"
	if usual != (sight{}) {
		title += ", as " + printable(usual.collector) + " saw it"
		if at := ago(usual.at, p.now); at != "" {
			title += " " + at
		}
	}
	p.head(title)
	g := grid{width: p.width, painter: p.painter, flex: 4, columns: []column{
		{title: "", cut: true, firm: true}, {title: "FIELD", most: 30, firm: true},
		{title: "SENTRAL", most: 36}, {title: "HOST", most: 36}, {title: "SEEN BY"},
	}}
	under := ""
	for _, c := range byEntity(comparisons) {
		list, entity, leaf := splitPath(c.Path)
		title, name := "", printable(c.Path)
		if entity != "" {
			title, name = printable(list+"["+entity+"]"), "· "+orWords(printable(leaf), "there")
		}
		if title != under && title != "" {
			g.rows = append(g.rows, gridRow{title: title})
		}
		under = title
		g.rows = append(g.rows, p.comparison(&c, name, leaf, usual, severity))
	}
	g.write(&p.Builder)
}

// usualSight is the sight that most comparisons share, none if there are none.
func usualSight(comparisons []reconcile.Comparison) sight {
	seen := map[sight]int{}
	var usual sight
	for i := range comparisons {
		if v := comparisons[i].Provenance; v != nil {
			s := sightOf(v)
			if seen[s]++; seen[s] > seen[usual] {
				usual = s
			}
		}
	}
	return usual
}

// byEntity puts what is about one NIC, disk or link together, where the first of
// it stands.
func byEntity(comparisons []reconcile.Comparison) []reconcile.Comparison {
	first := map[string]int{}
	place := make([]int, len(comparisons))
	order := make([]int, len(comparisons))
	for i := range comparisons {
		list, entity, _ := splitPath(comparisons[i].Path)
		key := list + "[" + entity
		if _, known := first[key]; !known || entity == "" {
			first[key] = i
		}
		place[i], order[i] = first[key], i
	}
	slices.SortStableFunc(order, func(a, b int) int { return place[a] - place[b] })
	sorted := make([]reconcile.Comparison, len(order))
	for i, from := range order {
		sorted[i] = comparisons[from]
	}
	return sorted
}

func (p *page) comparison(c *reconcile.Comparison, name, leaf string, usual sight, severity map[string]reconcile.Severity) gridRow {
	intended, observed := sides(c.Intended, c.Observed, leaf)
	mark, sgr := "≠", sgrYellow
	switch c.Class {
	case reconcile.Equal:
		mark, sgr = "=", sgrFaint
	case reconcile.Unknown:
		mark, sgr = "?", ""
		if c.Observed == nil {
			observed = "unknown"
		}
	default:
		if s, found := severity[c.Finding]; found {
			sgr = severitySGR(s)
		}
	}
	row := gridRow{sgr: []string{sgr, sgr, sgr, sgr, sgrFaint}}
	by := ""
	if v := c.Provenance; v != nil {
		call := printable(v.Source)
		if p.width < roomy && c.Class != reconcile.Equal && call != "" {
			row.below = append(row.below, note{call, sgrFaint, branch})
		}
		switch {
		case sightOf(v) != usual:
			by = p.from(v, p.width >= roomy)
		case p.width >= roomy:
			by = call
		}
	}
	if c.Reason != "" {
		row.below = append([]note{{printable(c.Reason), "", branch}}, row.below...)
	}
	row.cells = []string{mark, name, intended, observed, by}
	return row
}

// from says where an observed value came from, by which call if wanted, and how
// long ago.
func (p *page) from(v *reconcile.Provenance, call bool) string {
	if v == nil {
		return ""
	}
	text := printable(v.Collector)
	if call && v.Source != "" {
		text += " " + printable(v.Source)
	}
	if at := ago(v.ObservedAt, p.now); at != "" {
		text += ", " + at
	}
	return text
}
