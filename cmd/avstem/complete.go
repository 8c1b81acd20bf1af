package main

import (
	"slices"

	"github.com/dataverket/avstem/reconcile"
)

// flagWords are the words of flags that take more than them: --kind also takes groups
// of kinds and several at once.
func flagWords() map[string][]string {
	var kinds []string
	for _, info := range reconcile.Kinds() {
		kinds = append(kinds, string(info.Kind))
	}
	slices.Sort(kinds)
	return map[string][]string{"kind": kinds}
}
