package probe

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// held says of each of evaluate.Kept whether it is after a step what it was
// before, leaving out what there was none of and what the step was to change. It
// also says what became of what was not held.
func held(step string, t *VM, before, after *inventory.VM) (map[string]bool, []string) {
	if before == nil || after == nil {
		return nil, nil
	}
	kept := map[string]bool{}
	var changed []string
	note := func(what string, same bool, from, to any) {
		if kept[what] = same; !same {
			changed = append(changed, fmt.Sprintf("%s: %v → %v", what, from, to))
		}
	}
	if before.UUID != uuid.Nil {
		note("uuid", before.UUID == after.UUID, before.UUID, after.UUID)
	}
	was, is := macsOf(before, t.ExtraMAC), macsOf(after, t.ExtraMAC)
	if len(was) > 0 {
		note("nics", slices.Equal(was, is), strings.Join(was, " "), strings.Join(is, " "))
		slices.Sort(was)
		slices.Sort(is)
		note("macs", slices.Equal(was, is), strings.Join(was, " "), strings.Join(is, " "))
	}
	had, has := serialsOf(before, t.ExtraSerial), serialsOf(after, t.ExtraSerial)
	if len(had) > 0 {
		note("serials", slices.Equal(had, has), strings.Join(had, " "), strings.Join(has, " "))
	}
	if before.Placement != nil && step != "set-metadata" {
		same := after.Placement != nil && *before.Placement == *after.Placement
		note("metadata", same, placed(before.Placement), placed(after.Placement))
	}
	return kept, changed
}

// placed writes a VM's placement for people.
func placed(p *inventory.Placement) string {
	if p == nil {
		return "nothing"
	}
	var words []string
	for _, of := range [][2]string{{"VM", p.VM}, {"tenant", p.Tenant}, {"project", p.Project}, {"environment", p.Environment}} {
		if of[1] != "" {
			words = append(words, of[0]+" "+of[1])
		}
	}
	return strings.Join(words, ", ")
}

// macsOf are a VM's MAC addresses in guest order, without the one that comes and
// goes.
func macsOf(vm *inventory.VM, but inventory.MAC) []string {
	var macs []string
	for _, n := range vm.NICs {
		if n.MAC != but && n.MAC != (inventory.MAC{}) {
			macs = append(macs, n.MAC.String())
		}
	}
	return macs
}

func serialsOf(vm *inventory.VM, but string) []string {
	var serials []string
	for _, d := range vm.Disks {
		if d.Serial != but && d.Serial != "" {
			serials = append(serials, d.Serial)
		}
	}
	slices.Sort(serials)
	return serials
}
