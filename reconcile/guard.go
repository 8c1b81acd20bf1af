package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/sentral"
)

// Loss says that too many records of one sort are gone at once.
type Loss struct {
	What string `json:"what"` // as "VMs of site osl1"
	Lost int    `json:"lost"`
	Of   int    `json:"of"`
}

// String is the loss as people say it.
func (l Loss) String() string {
	return fmt.Sprintf("%d of %d %s are gone", l.Lost, l.Of, l.What)
}

// Guard holds a new inventory against the one in use, and says of what so much is
// gone at once that it is rather a fault of the source: a truncated export, a wrong
// directory. A file that was cut between two records can't be told from records
// that were deleted, but by how many they are. Records count by their IDs, wherever
// they are now, and those that can't be used count as there.
func Guard(previous, next *sentral.Inventory, m Mass) []Loss {
	if gone(previous, next) < max(m.Records, 1) {
		return nil
	}
	there := map[string]bool{}
	for name := range records(next) {
		there[name] = true
	}
	for _, r := range next.LeftOut {
		there[r.Type+" "+strings.ToLower(r.ID)] = true
	}
	lost, of := map[string]int{}, map[string]int{}
	for name, groups := range records(previous) {
		for _, group := range groups {
			of[group]++
			if !there[name] {
				lost[group]++
			}
		}
	}
	var losses []Loss
	for group, n := range lost {
		if m.isMass(n, of[group], m.Records) {
			losses = append(losses, Loss{group, n, of[group]})
		}
	}
	losses = saidOnce(losses)
	slices.SortFunc(losses, func(a, b Loss) int { return cmp.Or(cmp.Compare(b.Lost, a.Lost), cmp.Compare(a.What, b.What)) })
	return losses
}

// saidOnce drops what another loss says too: of a part what is so of all, and of all
// what is so of a part alone.
func saidOnce(losses []Loss) []Loss {
	isPart := func(part, all *Loss) bool {
		return strings.HasPrefix(part.What, all.What+" of ") && part.Lost == all.Lost
	}
	all := slices.Clone(losses)
	return slices.DeleteFunc(losses, func(l Loss) bool {
		return slices.ContainsFunc(all, func(other Loss) bool {
			return isPart(&l, &other) && l.Of == other.Of || isPart(&other, &l) && l.Of != other.Of
		})
	})
}

// gone counts the records that are in one inventory and not in the next, or a few
// more: most are in both at the same place, and cost little.
func gone(previous, next *sentral.Inventory) int {
	return goneOf(previous.VMs, next.VMs, func(vm *sentral.VM) string { return vm.ID }) +
		goneOf(previous.Hosts, next.Hosts, func(h *sentral.Host) string { return h.ID }) +
		goneOf(previous.Networks, next.Networks, func(n *sentral.Network) string { return n.ID }) +
		goneOf(previous.Projects, next.Projects, func(p *sentral.Project) string { return p.Tenant + "/" + p.ID }) +
		goneOf(previous.Images, next.Images, func(i *sentral.Image) string { return i.ID + "/" + i.Version })
}

func goneOf[T any](previous, next []T, id func(*T) string) (n int) {
	left := map[string]int{}
	var come []string
	inStep(len(previous), len(next), func(i, j int) bool { return id(&previous[i]) == id(&next[j]) }, func(int, int) {},
		func(i int) { left[strings.ToLower(id(&previous[i]))]++ }, func(j int) { come = append(come, strings.ToLower(id(&next[j]))) })
	for _, name := range come {
		delete(left, name)
	}
	for _, several := range left {
		n += several
	}
	return n
}

// records gives the name of each record, with the groups that it counts in: all
// of its sort, and of hosts and VMs those of its site and platform.
func records(inv *sentral.Inventory) func(yield func(string, []string) bool) {
	return func(yield func(string, []string) bool) {
		platforms := make(map[string]string, len(inv.Hosts))
		for i := range inv.Hosts {
			h := &inv.Hosts[i]
			platforms[h.ID] = h.Platform
			if !yield("host "+strings.ToLower(h.ID), groupsOf("hosts", h.Site, h.Platform)) {
				return
			}
		}
		for i := range inv.VMs {
			vm := &inv.VMs[i]
			if !yield("vm "+strings.ToLower(vm.ID), groupsOf("VMs", vm.Site, platforms[vm.Host])) {
				return
			}
		}
		for i := range inv.Networks {
			if !yield("network "+strings.ToLower(inv.Networks[i].ID), []string{"networks"}) {
				return
			}
		}
		for i := range inv.Projects {
			if !yield("project "+strings.ToLower(inv.Projects[i].Tenant+"/"+inv.Projects[i].ID), []string{"projects"}) {
				return
			}
		}
		for i := range inv.Images {
			if !yield("image "+strings.ToLower(inv.Images[i].ID+"/"+inv.Images[i].Version), []string{"images"}) {
				return
			}
		}
	}
}

func groupsOf(what, site, platform string) []string {
	groups := []string{what, what + " of site " + site}
	if platform != "" {
		groups = append(groups, what+" of platform "+platform)
	}
	return groups
}
