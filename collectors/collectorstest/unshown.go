package collectorstest

import (
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// Unshown returns the fields that the observations declare as known and that
// none of them reports, sorted. Over a rich source it must be empty: a table
// that claims what it can't show is worth nothing.
func Unshown(observations ...*inventory.Observation) []inventory.Field {
	shown, declared := map[inventory.Field]bool{}, map[inventory.Field]bool{}
	for _, o := range observations {
		for field := range o.Reported() {
			shown[field] = true
		}
		for _, c := range o.Capabilities {
			declared[c.Field] = declared[c.Field] || c.Known != inventory.KnownAbsent
		}
	}
	var unshown []inventory.Field
	for field, known := range declared {
		if known && !shown[field] {
			unshown = append(unshown, field)
		}
	}
	slices.Sort(unshown)
	return unshown
}
