package server

import "github.com/dataverket/avstem/sentral"

// ahead is how far a record is looked for behind the one before it.
const ahead = 32

// unchangedVMs gives a function that is asked of each record of a VM, in their
// inventory's order, whether it says what it did in the inventory before. Of one that
// was moved far it says no, which costs time and nothing else.
func unchangedVMs(before *sentral.Inventory) func(*sentral.VM) bool {
	if before == nil {
		before = &sentral.Inventory{}
	}
	at := 0
	return func(vm *sentral.VM) bool {
		for i := at; i < min(at+ahead, len(before.VMs)); i++ {
			if before.VMs[i].ID == vm.ID {
				at = i + 1
				return before.VMs[i].Equal(vm)
			}
		}
		return false
	}
}
