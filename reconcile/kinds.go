package reconcile

import (
	"time"
)

// The kinds of findings. docs/findings.md has an entry for each.
const (
	CapacityAffinity   Kind = "capacity.affinity"
	CapacityOvercommit Kind = "capacity.overcommit"
	CapacityQuota      Kind = "capacity.quota"
	VMMissing          Kind = "vm.missing"
	VMUnknown          Kind = "vm.unknown"
	VMLingering        Kind = "vm.lingering"
	VMMisplaced        Kind = "vm.misplaced"
	VMDuplicate        Kind = "vm.duplicate"
	VMState            Kind = "vm.state"
	VMVCPUs            Kind = "vm.vcpus"
	VMMemory           Kind = "vm.memory"
	VMPlacement        Kind = "vm.placement"
	VMImage            Kind = "vm.image"
	VMMachine          Kind = "vm.machine"
	VMConfig           Kind = "vm.config"
	VMTransient        Kind = "vm.transient"
	VMType             Kind = "vm.type"
	IdentityWeak       Kind = "identity.weak"
	IdentityAmbiguous  Kind = "identity.ambiguous"
	IdentityChanged    Kind = "identity.changed"
	IdentityCloned     Kind = "identity.cloned"
	IdentityConflict   Kind = "identity.conflict"
	NICMissing         Kind = "nic.missing"
	NICUnknown         Kind = "nic.unknown"
	NICNetwork         Kind = "nic.network"
	NICVLAN            Kind = "nic.vlan"
	NICOrder           Kind = "nic.order"
	NICModel           Kind = "nic.model"
	NICLink            Kind = "nic.link"
	NICMAC             Kind = "nic.mac"
	DiskMissing        Kind = "disk.missing"
	DiskUnknown        Kind = "disk.unknown"
	DiskSize           Kind = "disk.size"
	DiskSource         Kind = "disk.source"
	DiskBacking        Kind = "disk.backing"
	DiskOrphan         Kind = "disk.orphan"
	DiskFormat         Kind = "disk.format"
	DiskSerial         Kind = "disk.serial"
	DiskImage          Kind = "disk.image"
	DiskOrder          Kind = "disk.order"
	DiskShared         Kind = "disk.shared"
	HostChanged        Kind = "host.changed"
	HostMissing        Kind = "host.missing"
	HostUnknown        Kind = "host.unknown"
	HostEmptied        Kind = "host.emptied"
	HostStale          Kind = "host.stale"
	HostRuntime        Kind = "host.runtime"
	HostSite           Kind = "host.site"
	HostLink           Kind = "host.link"
	HostDisk           Kind = "host.disk"
	NetworkIsolation   Kind = "network.isolation"
	NetworkMTU         Kind = "network.mtu"
	NetworkUplink      Kind = "network.uplink"
	ScopeContradiction Kind = "scope.contradiction"
	ScopeUnresolved    Kind = "scope.unresolved"
	SiteEmptied        Kind = "site.emptied"
	ObserveClock       Kind = "observe.clock"
	ObserveGap         Kind = "observe.gap"
	ObserveBlind       Kind = "observe.blind"
	ObserveConflict    Kind = "observe.conflict"
	ObserveRefused     Kind = "observe.refused"
	ObservePartial     Kind = "observe.partial"
	InventoryInvalid   Kind = "inventory.invalid"
	InventoryDuplicate Kind = "inventory.duplicate"
	InventoryHeld      Kind = "inventory.held"
	InventoryStale     Kind = "inventory.stale"
	ObserveSilence     Kind = "observe.silence"
	PolicyExpired      Kind = "policy.expired"
	PolicyInvalid      Kind = "policy.invalid"
	PolicyUnmatched    Kind = "policy.unmatched"
	VMTask             Kind = "vm.task"
)

// KindInfo is what holds for every finding of a kind unless policy says
// otherwise.
type KindInfo struct {
	Kind     Kind
	Severity Severity
	// Grace is how long a finding stays pending: as long as what it is about
	// does by itself in ordinary operation (a reboot, a migration, a restart of
	// libvirtd).
	Grace time.Duration
	Means string // in one line
}

// kinds is grouped by what the kinds are about.
var kinds = []KindInfo{
	{CapacityAffinity, Medium, time.Minute, "VMs that must fail apart are in one place that fails together"},
	{CapacityOvercommit, Medium, time.Minute, "a host has promised its VMs more than it has"},
	{CapacityQuota, Medium, time.Minute, "a project has more than its quota"},
	{DiskBacking, High, 30 * time.Second, "a disk's backing chain is broken"},
	{DiskFormat, Low, 0, "a disk has another format than Sentral says"},
	{DiskImage, High, 0, "a disk's backing chain does not end in the intended image"},
	{DiskMissing, High, 15 * time.Second, "Sentral has a disk that the VM has not"},
	{DiskOrder, Medium, 0, "the VM's disks are in another order than Sentral says"},
	{DiskOrphan, Low, 10 * time.Minute, "a volume is there that no VM uses"},
	{DiskSerial, Low, 0, "a disk has another serial than Sentral says"},
	{DiskShared, Critical, 0, "one disk is attached to two VMs that both may write to it"},
	{DiskSize, Medium, 15 * time.Second, "a disk's size is not the intended one"},
	{DiskSource, Medium, 0, "a disk's file or volume is not the intended one"},
	{DiskUnknown, Medium, 15 * time.Second, "the VM has a disk that Sentral has not"},
	{HostChanged, Medium, 0, "a host's hardware is not what Sentral says, under the same identity"},
	{HostDisk, Medium, 0, "a host's physical disk is not as Sentral says"},
	{HostEmptied, Critical, 15 * time.Second, "many VMs that Sentral has on a host are nowhere at once"},
	{HostLink, High, 15 * time.Second, "a host's link is not as Sentral says"},
	{HostMissing, High, time.Minute, "Sentral has an active host that never reported"},
	{HostRuntime, Medium, time.Minute, "a host runs another runtime than Sentral says"},
	{HostSite, Medium, 0, "a host reports from another site than Sentral says"},
	{HostStale, High, 0, "a host has stopped speaking"},
	{HostUnknown, Medium, 15 * time.Second, "a host reports that Sentral has not"},
	{IdentityAmbiguous, High, 15 * time.Second, "several things could be the same one, and nothing settles which"},
	{IdentityChanged, High, 0, "something kept its NICs, disks or hardware and changed its durable identity"},
	{IdentityCloned, High, 15 * time.Second, "one identity was copied: two things claim to be the same one"},
	{IdentityConflict, High, 0, "two marks of identity name different VMs"},
	{IdentityWeak, Low, 0, "the only thing that ties both sides is a mark that can be copied or reused"},
	{InventoryDuplicate, High, 0, "two inventory records claim what only one of them can have: an ID, a MAC, a VLAN"},
	{InventoryHeld, High, 0, "so much of the inventory is gone at once that the one before is used until somebody confirms it"},
	{InventoryStale, High, time.Hour, "the inventory's source can't be read for long, and what it said last is used"},
	{InventoryInvalid, Medium, 0, "an inventory record breaks the contract"},
	{NetworkIsolation, Critical, 0, "a NIC is on a VLAN that belongs to another tenant or project"},
	{NetworkMTU, Medium, 15 * time.Second, "a link on a NIC's path is too narrow for the frames that the guest may send"},
	{NetworkUplink, High, 15 * time.Second, "a NIC's VLAN is not carried between it and the wire"},
	{NICLink, Low, 15 * time.Second, "a NIC's virtual cable is unplugged"},
	{NICMAC, High, 15 * time.Second, "two NICs of one VLAN or unknown VLANs have one MAC"},
	{NICMissing, High, 15 * time.Second, "Sentral has a NIC that the VM has not"},
	{NICModel, Low, 0, "a NIC's model is not the intended one"},
	{NICNetwork, High, 0, "a NIC is on another network than Sentral says"},
	{NICOrder, Medium, 0, "the VM's NICs are in another order than Sentral says"},
	{NICUnknown, Medium, 15 * time.Second, "the VM has a NIC that Sentral has not"},
	{NICVLAN, High, 0, "a NIC is on another VLAN than Sentral says"},
	{ObserveBlind, High, 15 * time.Second, "a source on a host can't be seen at all"},
	{ObserveClock, Medium, time.Minute, "a host's clock is off"},
	{ObserveGap, Medium, 30 * time.Second, "a host has a document that has not arrived"},
	{ObserveConflict, Medium, time.Minute, "two sources on a host disagree about one VM"},
	{ObserveRefused, High, 0, "a host's document was refused"},
	{ObservePartial, Medium, 15 * time.Second, "a source on a host can be seen in part"},
	{ObserveSilence, Critical, 0, "many hosts of a site or platform are silent at once"},
	{PolicyExpired, Medium, 0, "a suppression is past its date"},
	{PolicyInvalid, Medium, 0, "the policy file can't be used, and the one before is"},
	{PolicyUnmatched, Low, time.Hour, "a suppression speaks of nothing that is found"},
	{ScopeContradiction, High, 0, "the words on whose a VM is contradict each other"},
	{ScopeUnresolved, Medium, 15 * time.Second, "something belongs to a tenant, project or environment that Sentral has not"},
	{SiteEmptied, Critical, 15 * time.Second, "many VMs that Sentral has in a site or platform are nowhere at once, on several hosts"},
	{VMDuplicate, Critical, 15 * time.Second, "one VM is active in two places"},
	{VMImage, Medium, 0, "a VM is labelled with another image than Sentral says"},
	{VMLingering, High, 15 * time.Second, "a VM is there that Sentral says must not be"},
	{VMMachine, Low, 0, "a VM's machine type is not the intended one"},
	{VMMemory, Medium, 0, "a VM's memory is not the intended one"},
	{VMMisplaced, Medium, 30 * time.Second, "a VM is on another host, in another failure domain or site than Sentral says"},
	{VMMissing, High, 15 * time.Second, "Sentral has a VM that is nowhere it could be"},
	{VMPlacement, Medium, 0, "a VM's placement metadata is absent or names another owner"},
	{VMState, High, 15 * time.Second, "a VM does not run that should, or the other way round"},
	{VMTask, High, 15 * time.Second, "Maskin says that a task succeeded, and the runtime shows otherwise"},
	{VMConfig, Medium, time.Minute, "a VM runs otherwise than it is defined, and changes when it is started again"},
	{VMTransient, Medium, time.Minute, "a VM is gone for good once it stops: its runtime keeps no definition of it"},
	{VMType, High, 0, "what bears a VM's identity is a container"},
	{VMUnknown, Medium, 15 * time.Second, "a VM is there that Sentral has not"},
	{VMVCPUs, Medium, 0, "a VM's vCPUs are not as many as intended"},
}

// Kinds lists every kind.
func Kinds() []KindInfo { return append([]KindInfo(nil), kinds...) }

// Info returns what holds for the kind. An unknown kind has no grace and is
// medium.
func (k Kind) Info() KindInfo {
	for _, info := range kinds {
		if info.Kind == k {
			return info
		}
	}
	return KindInfo{Kind: k, Severity: Medium}
}
