package incus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// parseCPUs counts the vCPUs of limits.cpu: a number of them, or the set of host
// CPUs that they are pinned to ("0-3,5"), of which each is one.
func parseCPUs(s string) (int, error) {
	if n, err := strconv.ParseUint(s, 10, 16); err == nil {
		return int(n), nil
	}
	set, err := parseSet(s, 0, 8191) // CONFIG_NR_CPUS is at most 8192
	if err != nil {
		return 0, fmt.Errorf("limits.cpu %w", err)
	}
	return len(set), nil
}

// parseSize reads a size of Incus: "4GiB", "10 bytes", "512".
func parseSize(s string) (inventory.Bytes, error) {
	return inventory.ParseBytes(strings.TrimSuffix(strings.TrimSpace(s), "bytes"))
}

// parseVLAN reads a NIC's vlan: an ID, or "none" for no untagged traffic.
func parseVLAN(s string) (*inventory.VLAN, error) {
	if s == "" || s == "none" {
		return nil, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if v := inventory.VLAN(n); err == nil && v.Valid() {
		return &v, nil
	}
	return nil, fmt.Errorf("vlan %q is no VLAN: want 1 to 4094", s)
}

// parseTagged reads a NIC's vlan.tagged: "20,30-32".
func parseTagged(s string) ([]inventory.VLAN, error) {
	if s == "" {
		return nil, nil
	}
	set, err := parseSet(s, 1, 4094)
	if err != nil {
		return nil, fmt.Errorf("vlan.tagged %w", err)
	}
	vlans := make([]inventory.VLAN, len(set))
	for i, n := range set {
		vlans[i] = inventory.VLAN(n)
	}
	return vlans, nil
}

// parseSet reads numbers and ranges with commas between, sorted and each once.
func parseSet(s string, lowest, highest int) ([]int, error) {
	seen := map[int]bool{}
	for part := range strings.SplitSeq(s, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		from, err := strconv.ParseUint(first, 10, 16)
		to := from
		if err == nil && isRange {
			to, err = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || int(from) < lowest || int(to) > highest || from > to {
			return nil, fmt.Errorf("%q is no set of numbers from %d to %d, such as 2,4-6", s, lowest, highest)
		}
		for n := from; n <= to; n++ {
			seen[int(n)] = true
		}
	}
	set := make([]int, 0, len(seen))
	for n := range seen {
		set = append(set, n)
	}
	slices.Sort(set)
	return set, nil
}

// isTrue reads a boolean as the daemons do.
func isTrue(s string) bool {
	switch strings.ToLower(s) {
	case "true", "1", "yes", "on":
		return true
	}
	return false
}
