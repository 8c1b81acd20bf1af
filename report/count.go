package report

import (
	"github.com/dataverket/avstem/reconcile"
)

// Count takes the numbers of a page from a result: the hosts and VMs that either
// side has, and the VMs that agree in everything, which are those that were
// matched, were seen well enough to be judged, and differ in no field that could
// be compared, nor in being there at all.
func (o *Options) Count(result *reconcile.Result) {
	found := map[string]bool{}
	for i := range result.Findings {
		if f := &result.Findings[i]; f.Subject.Type == "vm" {
			found[f.Subject.ID] = true
		}
	}
	hosts, vms, agreeing := len(result.Hosts), 0, 0
	for i := range result.VMs {
		vm := &result.VMs[i]
		if !vm.IsContainer() {
			vms++
		}
		if vm.Intended != nil && vm.Observed != nil && len(vm.Uncovered) == 0 && !found[vm.Intended.ID] {
			agreeing++
		}
	}
	o.Hosts, o.VMs, o.Agreeing = &hosts, &vms, &agreeing
}
