package incus

import (
	"slices"
	"strings"
	"testing"

	"github.com/dataverket/avstem/inventory"
)

// TestCapabilitiesAreWhole holds the table to the catalogue: every field of what
// a runtime describes has an entry, absent ones included, and no other.
func TestCapabilitiesAreWhole(t *testing.T) {
	ours := []string{"vm", "nic", "disk", "pending", "pending", "placement", "manager", "image", "runtime", "backingFile", "snapshot", "storagePool", "storageVolume"}
	table := (&Collector{}).Capabilities()
	for _, info := range inventory.Fields() {
		entity, _, _ := strings.Cut(string(info.Field), ".")
		declared := slices.ContainsFunc(table, func(c inventory.Capability) bool { return c.Field == info.Field })
		if declared != slices.Contains(ours, entity) {
			t.Errorf("%s is declared: %t", info.Field, declared)
		}
	}
}
