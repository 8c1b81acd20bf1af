package reconcile_test

import (
	"fmt"
	"strings"

	"github.com/dataverket/avstem/reconcile"
)

// listPaths writes how each NIC gets to the wire: its VLAN, the way, and what
// there is to say of it.
func listPaths(result *reconcile.Result) string {
	var b strings.Builder
	for i := range result.VMs {
		for j := range result.VMs[i].Paths {
			listPath(&b, &result.VMs[i].Paths[j])
		}
	}
	return b.String()
}

func listPath(b *strings.Builder, path *reconcile.NICPath) {
	vlan := "no VLAN"
	if path.VLAN != nil {
		vlan = fmt.Sprintf("VLAN %d", *path.VLAN)
	}
	if path.Exit != "" {
		vlan += " by " + path.Exit
	}
	fmt.Fprintf(b, "%s %s: %s\n", path.MAC, vlan, reconcile.PathText(path.Hops))
	if path.Reason != "" {
		fmt.Fprintf(b, "  reason: %s\n", path.Reason)
	}
	if path.Return != "" {
		fmt.Fprintf(b, "  return: %s\n", path.Return)
	}
	if len(path.GuestVLANs) > 0 {
		fmt.Fprintf(b, "  guest may choose: %v\n", path.GuestVLANs)
	}
	if len(path.Tags) > 1 {
		fmt.Fprintf(b, "  tags: %v\n", path.Tags)
	}
	if path.Down {
		b.WriteString("  down\n")
	}
}
