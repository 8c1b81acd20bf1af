// Package near finds which of some names a mistyped one was meant to be.
//
// It exists so that every "did you mean" of avstem means the same. It knows nothing
// of what the names are of, and keeps nothing.
package near

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// longest is how many bytes of a name a finger may slip in.
const longest = 64

// Names lists those that may have been meant, the closest first and n at most: names
// that are few slips of the fingers away, then those of which a part was typed.
func Names(wanted string, all iter.Seq[string], n int) []string {
	type candidate struct {
		name     string
		distance int
	}
	var found []candidate
	limit := max(1, min(3, len(wanted)/3))
	typed := strings.ToLower(wanted)
	for name := range all {
		if name == "" || typed == "" {
			continue
		}
		lower := strings.ToLower(name)
		distance := Slips(typed, lower, limit)
		if distance > limit && (len(typed) < 3 || !strings.Contains(lower, typed)) {
			continue
		}
		found = append(found, candidate{name, distance})
	}
	slices.SortFunc(found, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	found = slices.Compact(found)
	var names []string
	for _, c := range found[:min(len(found), n)] {
		names = append(names, c.name)
	}
	return names
}

// Slips is the Damerau-Levenshtein distance (optimal string alignment): letters left
// out, put in, changed, or swapped with their neighbour. Where it is more than limit
// it is limit + 1.
func Slips(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || len(a) > longest {
		return limit + 1
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			changed := row[j-1]
			if a[i-1] != b[j-1] {
				changed++
			}
			next[j] = min(row[j]+1, next[j-1]+1, changed)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return min(row[len(b)], limit+1)
}
