package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/inventory/near"
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
		if n := near.Slips(strings.ToLower(key), strings.ToLower(name), distance); n < distance && n*2 < max(len(name), 3) {
			best, distance = name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("unknown key: did you mean %q?", best)
	}
	return "unknown key: want one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}
