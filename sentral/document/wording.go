package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const emptyValue = "is empty: give a value, or leave the key out"

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe says in a reader's words what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	if isNull(n) {
		return "nothing"
	}
	return shortQuote(n.Value)
}

// shortQuote quotes a value for a message, and cuts one that nobody would read.
func shortQuote(s string) string {
	if runes := []rune(s); len(runes) > 60 {
		s = string(runes[:60]) + "…"
	}
	return strconv.Quote(s)
}

// unknownKey says what was meant, if a known key is one slip of the fingers away.
func unknownKey(key string, known []string) string {
	best, distance := "", 3
	for _, name := range known {
		if n := slips(strings.ToLower(key), strings.ToLower(name)); n < distance && n*2 < max(len(name), 3) {
			best, distance = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown key: did you mean %q?", best)
	}
	return "unknown key: want one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// slips is the Damerau-Levenshtein distance (optimal string alignment) of two
// keys: letters left out, put in, changed, or swapped with their neighbour.
func slips(a, b string) int {
	if len(a) > 64 {
		return len(a)
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
	return row[len(b)]
}
