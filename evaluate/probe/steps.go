package probe

import (
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// Tenant is what the probe writes into a VM's placement metadata.
const Tenant = "avstem-probe"

// effect is what a step should come to in what the collector shows. A step
// without one shows in events alone.
type effect func(vm *VM, about *About) func(*inventory.VM) bool

var effects = map[string]effect{
	"create": func(*VM, *About) func(*inventory.VM) bool { return there },
	"start":  func(*VM, *About) func(*inventory.VM) bool { return running },
	"stop": func(_ *VM, about *About) func(*inventory.VM) bool {
		if about.Transient {
			return gone
		}
		return func(vm *inventory.VM) bool { return vm != nil && vm.State == inventory.StateStopped }
	},
	"restart-daemon": func(*VM, *About) func(*inventory.VM) bool { return running },
	"attach-disk":    func(t *VM, _ *About) func(*inventory.VM) bool { return hasDisk(t.ExtraSerial, true) },
	"detach-disk":    func(t *VM, _ *About) func(*inventory.VM) bool { return hasDisk(t.ExtraSerial, false) },
	"attach-nic":     func(t *VM, _ *About) func(*inventory.VM) bool { return hasNIC(t.ExtraMAC, true) },
	"detach-nic":     func(t *VM, _ *About) func(*inventory.VM) bool { return hasNIC(t.ExtraMAC, false) },
	"set-metadata": func(*VM, *About) func(*inventory.VM) bool {
		return func(vm *inventory.VM) bool { return vm != nil && vm.Placement != nil && vm.Placement.Tenant == Tenant }
	},
	"rename": func(t *VM, _ *About) func(*inventory.VM) bool {
		return func(vm *inventory.VM) bool { return vm != nil && vm.Name == t.Name }
	},
	"clone":  func(*VM, *About) func(*inventory.VM) bool { return there },
	"delete": func(*VM, *About) func(*inventory.VM) bool { return gone },
}

func there(vm *inventory.VM) bool   { return vm != nil }
func gone(vm *inventory.VM) bool    { return vm == nil }
func running(vm *inventory.VM) bool { return vm != nil && vm.State == inventory.StateRunning }

func hasDisk(serial string, wanted bool) func(*inventory.VM) bool {
	return func(vm *inventory.VM) bool {
		return vm != nil && wanted == slices.ContainsFunc(vm.Disks, func(d inventory.Disk) bool { return d.Serial == serial || d.Target == serial })
	}
}

func hasNIC(mac inventory.MAC, wanted bool) func(*inventory.VM) bool {
	return func(vm *inventory.VM) bool {
		return vm != nil && wanted == slices.ContainsFunc(vm.NICs, func(n inventory.NIC) bool { return n.MAC == mac })
	}
}

// needsRunning are the steps that are tried on a VM that runs.
var needsRunning = []string{"reboot", "restart-daemon", "attach-disk", "detach-disk", "attach-nic", "detach-nic", "set-metadata"}

// needsStopped are those that are tried on one that doesn't.
var needsStopped = []string{"rename", "snapshot", "clone", "delete"}
