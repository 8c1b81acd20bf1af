package report

import (
	"cmp"
	"slices"
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// row is one line of a table for people: a finding, the ones that say the same
// of other subjects, and the ones that follow from either.
type row struct {
	same     []*reconcile.Finding // at least one; the first stands for all
	symptoms []*reconcile.Finding // by severity
	// rank is that of the gravest finding in the row: a critical symptom must
	// not hide behind a medium cause.
	rank int
}

// foldAt is how many subjects one difference is on before they become one row.
const foldAt = 4

// fold makes rows of sorted findings, each finding in exactly one.
func fold(findings []reconcile.Finding) []row {
	roots := rootsOf(findings)
	symptoms := map[int][]*reconcile.Finding{}
	shapes, shape := map[string][]int{}, make([]string, len(findings))
	for i := range findings {
		if roots[i] != i {
			symptoms[roots[i]] = append(symptoms[roots[i]], &findings[i])
			continue
		}
		shape[i] = shapeOf(&findings[i])
		shapes[shape[i]] = append(shapes[shape[i]], i)
	}
	var rows []row
	for i := range findings {
		if roots[i] != i {
			continue
		}
		members := shapes[shape[i]]
		if subjects(findings, members) < foldAt {
			rows = append(rows, makeRow(findings, symptoms, []int{i}))
		} else if members[0] == i {
			rows = append(rows, makeRow(findings, symptoms, members))
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.rank, b.rank) })
	return rows
}

// each makes a row of every finding.
func each(findings []reconcile.Finding) []row {
	rows := make([]row, len(findings))
	for i := range findings {
		rows[i] = row{same: []*reconcile.Finding{&findings[i]}, rank: findings[i].Severity.Rank()}
	}
	return rows
}

func makeRow(findings []reconcile.Finding, symptoms map[int][]*reconcile.Finding, members []int) row {
	r := row{rank: findings[members[0]].Severity.Rank()}
	for _, i := range members {
		r.same = append(r.same, &findings[i])
		r.symptoms = append(r.symptoms, symptoms[i]...)
	}
	slices.SortStableFunc(r.symptoms, func(a, b *reconcile.Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.Rank(), b.Severity.Rank()), cmp.Compare(a.Kind, b.Kind))
	})
	if len(r.symptoms) > 0 {
		r.rank = min(r.rank, r.symptoms[0].Severity.Rank())
	}
	return r
}

// rootsOf gives for each finding the index of the one that it is shown under: the
// last cause that is in the list, itself where it has none.
func rootsOf(findings []reconcile.Finding) []int {
	byID := make(map[string]int, len(findings))
	for i := range findings {
		byID[findings[i].ID] = i
	}
	roots := make([]int, len(findings))
	for i := range findings {
		roots[i] = rootOf(findings, byID, i)
	}
	return roots
}

func rootOf(findings []reconcile.Finding, byID map[string]int, i int) int {
	var way []int
	for {
		if at := slices.Index(way, i); at >= 0 {
			// Causes in a circle: the gravest of it stands for them all.
			return slices.Min(way[at:])
		}
		way = append(way, i)
		next, known := byID[findings[i].CausedBy]
		if !known || findings[i].CausedBy == "" {
			return i
		}
		i = next
	}
}

// shapeOf is equal for findings that say the same of different subjects.
func shapeOf(f *reconcile.Finding) string {
	return strings.Join([]string{string(f.Kind), string(f.Severity), f.Subject.Type, f.Field,
		flat(f.Intended), flat(f.Observed), doubts(f)}, "\x00")
}

func subjects(findings []reconcile.Finding, members []int) int {
	seen := map[string]bool{}
	for _, i := range members {
		seen[subjectKey(&findings[i].Subject)] = true
	}
	return len(seen)
}
