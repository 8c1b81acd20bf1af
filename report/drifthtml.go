package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report/drift"
)

//go:embed drift.html
var driftHTML string

// DriftHTML writes a report as one page that needs nothing else and prints.
func DriftHTML(w io.Writer, r *drift.Report) error {
	page, err := template.New("drift").Funcs(template.FuncMap{
		"overview": overview,
		"sev":      severityClass,
		"state":    stateClass,
		"initial":  func(s string) string { return s[:1] },
		"px":       func(f float64) string { return strconv.FormatFloat(f, 'f', 1, 64) },
		"add":      func(a, b float64) float64 { return a + b },
		"less":     func(a, b float64) float64 { return a - b },
		"title":    func(all []evaluate.Numbers, n evaluate.Numbers) string { return printable(titles(all)(&n)) },
		"heads":    told,
		"head":     func(h headline, n evaluate.Numbers) string { return printable(h.Cell(&n)) },
		"parts":    partsOf,
		"columns":  func(numbers []evaluate.Numbers) int { return len(numbers) + 1 },
		"span":     func(counts []string) int { return len(counts) + 2 }, // with the name and their sum
		"cell":     func(p numbersPart, n evaluate.Numbers, field string) string { return fieldCell(p.of(&n), field) },
	}).Parse(driftHTML)
	if err != nil {
		return fmt.Errorf("read the page's template: %w", err)
	}
	return page.Execute(w, newDriftView(r))
}

// severityClass is a severity as the page's style knows it; another one, which a
// newer avstem may know, has none.
func severityClass(s string) string {
	if reconcile.Severity(s).Rank() > reconcile.Info.Rank() {
		return ""
	}
	return s
}

func stateClass(s string) string {
	if !slices.Contains(evaluate.HostStates(), evaluate.HostState(s)) {
		return ""
	}
	return s
}

// overviewTable has the headlines of all sections, one a row.
type overviewTable struct {
	Labels []string
	Rows   []overviewRow
}

type overviewRow struct {
	Name, Anchor string
	Cells        []string
}

func overview(sections []sectionView) overviewTable {
	var t overviewTable
	for i := range sections {
		for _, h := range sections[i].Headlines {
			if !slices.Contains(t.Labels, h.Column) {
				t.Labels = append(t.Labels, h.Column)
			}
		}
	}
	for i := range sections {
		row := overviewRow{Name: sections[i].Name, Anchor: sections[i].Anchor}
		for _, label := range t.Labels {
			cell := "–"
			// Of several runtimes, the first.
			if at := slices.IndexFunc(sections[i].Headlines, func(h headlineView) bool { return h.Column == label }); at >= 0 {
				cell = sections[i].Headlines[at].Value
			}
			row.Cells = append(row.Cells, cell)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
