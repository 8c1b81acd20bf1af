package history

import (
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Concerns says whether a record can matter to what hosts with these marks show:
// VMs by a mark that the record has too, all that is no VM always. The hosts are
// Sentral's keys: a VM that belongs on one of them is missing there if it isn't
// seen.
func (m Marks) Concerns(record any, hosts map[string]bool) bool {
	vm, is := record.(*sentral.VM)
	if !is {
		return true
	}
	if vm.Host != "" && hosts[vm.Host] || m.any(vm.ID, vm.RuntimeID.String(), vm.Name) {
		return true
	}
	for i := range vm.NICs {
		if vm.NICs[i].MAC != (inventory.MAC{}) && m.any(vm.NICs[i].MAC.String()) {
			return true
		}
	}
	for i := range vm.Disks {
		if m.any(vm.Disks[i].Serial, vm.Disks[i].WWN, vm.Disks[i].Source) {
			return true
		}
	}
	return false
}
