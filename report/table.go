package report

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// Table writes findings for people: the gravest first, symptoms folded under
// their cause, one difference on many subjects as one row, and a last line that
// counts. It may write one finding as a number in such a row, so programs want
// another format. With IDs nothing is folded.
func Table(w io.Writer, findings []reconcile.Finding, o Options) error {
	findings = sorted(findings)
	var b strings.Builder
	if len(findings) > 0 {
		g := findingsGrid(findings, &o)
		g.write(&b)
		b.WriteByte('\n')
	}
	for _, line := range wrap(summary(findings, &o), o.width()) {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func findingsGrid(findings []reconcile.Finding, o *Options) *grid {
	// A name is worth more than a value on one line.
	g := &grid{width: o.width(), painter: painter(o.Color), flex: 3, least: 24, columns: []column{
		{title: "SEVERITY", cut: true, firm: true},
		{title: "KIND", cut: true, firm: true},
		{title: "SUBJECT", most: 34, cut: true, path: true},
		{title: "INTENDED → OBSERVED"},
		{title: "SINCE", right: true, cut: true, firm: true},
	}}
	if o.Now.IsZero() {
		g.columns = g.columns[:4]
	}
	rows := fold
	if o.IDs {
		rows = each
		g.columns = append(g.columns, column{title: "FINDING", whole: true})
	}
	names := newNamer(findings)
	for _, r := range rows(findings) {
		f := r.same[0]
		row := gridRow{
			cells: []string{printable(string(f.Severity)), printable(string(f.Kind)), names.name(&f.Subject), difference(f)},
			sgr:   []string{severitySGR(f.Severity), "", "", ""},
		}
		if !isChange(f) && displayWidth(row.cells[3]) > 2*flexLeast {
			row.below, row.cells[3] = append(row.below, note{text: row.cells[3]}), ""
		}
		if len(r.same) > 1 {
			row.below = nil // the message names one of them
			row.cells[2], row.cells[3] = plural(f.Subject.Type, distinct(r.same)), marked(f, change(f))
			row.below = append(row.below, note{list(names, r.same), sgrFaint, branch})
		}
		if len(r.symptoms) > 0 {
			row.below = append(row.below, follows(&r)...)
		}
		if !o.Now.IsZero() {
			row.cells, row.sgr = append(row.cells, age(earliest(r.same), o.Now)), append(row.sgr, sgrFaint)
		}
		if o.IDs {
			row.cells, row.sgr = append(row.cells, printable(f.ID)), append(row.sgr, "")
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// branch begins a line that belongs to the row above it.
const branch = "└ "

// listed is how many subjects of one row are named.
const listed = 12

// list names the subjects of a row.
func list(names namer, same []*reconcile.Finding) string {
	var all []string
	for _, f := range same {
		if name := shorten(names.name(&f.Subject), 40); !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	more := ""
	if len(all) > listed {
		more = " and " + count(len(all)-listed) + " more"
		all = all[:listed]
	}
	return strings.Join(all, ", ") + more
}

// follows counts a row's symptoms by kind: those that its finding brings with it,
// and those that were found before and can't be checked while it lasts.
func follows(r *row) []note {
	var here, before []*reconcile.Finding
	for _, f := range r.symptoms {
		if f.Verdict == reconcile.Undecided {
			before = append(before, f)
		} else {
			here = append(here, f)
		}
	}
	rank := r.same[0].Severity.Rank()
	verb := " follow from this: "
	if len(here) == 1 {
		verb = " follows from this: "
	}
	return append(tally(here, verb, rank), tally(before, " found before can't be checked meanwhile: ", rank)...)
}

// tally counts symptoms by kind, and marks those that are graver than rank.
func tally(symptoms []*reconcile.Finding, verb string, rank int) []note {
	if len(symptoms) == 0 {
		return nil
	}
	kinds := map[reconcile.Kind]int{}
	var order []reconcile.Kind
	for _, f := range symptoms {
		if kinds[f.Kind]++; kinds[f.Kind] == 1 {
			order = append(order, f.Kind)
		}
	}
	parts := make([]string, len(order))
	for i, kind := range order {
		parts[i] = count(kinds[kind]) + " " + printable(string(kind))
	}
	n := note{count(len(symptoms)) + verb + strings.Join(parts, ", "), sgrFaint, branch}
	if worst := symptoms[0].Severity; worst.Rank() < rank {
		n.text += " (up to " + string(worst) + ")"
		n.sgr = severitySGR(worst)
	}
	return []note{n}
}

func distinct(same []*reconcile.Finding) int {
	seen := map[string]bool{}
	for _, f := range same {
		seen[subjectKey(&f.Subject)] = true
	}
	return len(seen)
}

// sorted is a copy in the one order that every format has.
func sorted(findings []reconcile.Finding) []reconcile.Finding {
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b reconcile.Finding) int { return cmp.Compare(a.ID, b.ID) })
	reconcile.SortFindings(findings)
	return findings
}

func count(n int) string { return strconv.Itoa(n) }
