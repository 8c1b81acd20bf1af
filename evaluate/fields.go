package evaluate

import "github.com/dataverket/avstem/inventory"

// per is which things a field is counted over.
type per int

const (
	eachVM per = iota
	eachNIC
	eachActiveNIC // of a VM that runs: a stopped one has no link on the host
	eachDisk      // that holds data
	eachLayer     // of the backing chains
)

// asked is a field that is counted.
type asked struct {
	field  inventory.Field
	per    per
	needed bool // reconciling needs it: it is part of the headline
}

// askedFields are the fields that are counted, in the order in which they are
// shown. What is needed follows from what reconciling matches on and compares
// (reconcile's own table of fields); the rest helps whoever debugs.
//
// Plain flags (disk.readOnly) are left out, since one that is false and one that
// was not reported look the same, and so are fields that most VMs rightly lack.
var askedFields = []asked{
	{"vm.uuid", eachVM, true},
	{"vm.name", eachVM, true},
	{"vm.state", eachVM, true},
	{"vm.vcpus", eachVM, true},
	{"vm.memory", eachVM, true},
	{"vm.machine", eachVM, true},
	{"placement.vm", eachVM, true},
	{"placement.tenant", eachVM, true},
	{"placement.project", eachVM, true},
	{"placement.environment", eachVM, true},
	{"image.id", eachVM, true},
	{"image.version", eachVM, true},
	{"image.source", eachVM, true},
	{"nic.mac", eachNIC, true},
	{"nic.model", eachNIC, true},
	{"nic.attachment", eachNIC, true},
	{"nic.link", eachActiveNIC, true},
	{"disk.serial", eachDisk, true},
	{"disk.target", eachDisk, true},
	{"disk.source", eachDisk, true},
	{"disk.format", eachDisk, true},
	{"disk.capacity", eachDisk, true},

	{"vm.nativeID", eachVM, false},
	{"vm.smbiosUUID", eachVM, false},
	{"vm.generationID", eachVM, false},
	{"vm.persistent", eachVM, false},
	{"vm.rawState", eachVM, false},
	{"vm.rawMachine", eachVM, false},
	{"vm.architecture", eachVM, false},
	{"vm.firmware", eachVM, false},
	{"vm.configDigest", eachVM, false},
	{"vm.manager", eachVM, false},
	{"nic.address", eachNIC, false},
	{"nic.linkUp", eachNIC, false},
	{"nic.bridge", eachNIC, false},
	{"nic.vlan", eachNIC, false},
	{"nic.portID", eachNIC, false},
	{"nic.mtu", eachNIC, false},
	{"disk.bus", eachDisk, false},
	{"disk.sourceType", eachDisk, false},
	{"disk.allocation", eachDisk, false},
	{"disk.wwn", eachDisk, false},
	{"backingFile.format", eachLayer, false},
}

// counted is how many things a field is counted over, of one VM.
func (p per) counted(vm *inventory.VM) int {
	switch p {
	case eachVM:
		return 1
	case eachNIC:
		return len(vm.NICs)
	case eachActiveNIC:
		if !vm.State.Active() {
			return 0
		}
		return len(vm.NICs)
	case eachDisk, eachLayer:
		n := 0
		for i := range vm.Disks {
			switch {
			case !vm.Disks[i].IsStorage():
			case p == eachDisk:
				n++
			default:
				n += len(vm.Disks[i].Backing)
			}
		}
		return n
	}
	return 0
}
