package inventory

import (
	"time"

	"github.com/google/uuid"
)

// Runtime is the software that runs VMs on a host.
type Runtime struct {
	Name     string `json:"name"`     // libvirt-qemu, qemu, incus …
	Platform string `json:"platform"` // what an operator would choose: libvirt, openstack …
	Version  string `json:"version,omitempty"`
	// Hypervisor is what the runtime drives, with its version: "QEMU 7.2.22".
	Hypervisor string `json:"hypervisor,omitempty"`
	// Endpoint is the socket or address that it was read from.
	Endpoint string `json:"endpoint,omitempty"`
	// Member is the host's name in the runtime's cluster, where it is in one. The
	// VMs of other members are theirs to report.
	Member string `json:"member,omitempty"`
	// RunningOnly says that nothing is left of a VM that stops: one that isn't in
	// the document may be stopped, and may be another runtime's.
	RunningOnly bool `json:"runningOnly,omitempty"`
}

// State is a VM's state in our words.
type State string

// The states of a VM. Raw words of runtimes map onto these; one that doesn't is
// StateUnknown, and is never compared.
const (
	StateRunning State = "running" // executing, or blocked on a resource
	StatePaused  State = "paused"  // in memory, not executing
	StateStopped State = "stopped"
	StateCrashed State = "crashed"
	StateUnknown State = "unknown"
)

// Active says whether the VM holds memory on its host, so that a second copy of
// it elsewhere would be two of one.
func (s State) Active() bool { return s == StateRunning || s == StatePaused }

// TypeContainer is the [VM.Type] of a container.
const TypeContainer = "container"

// VM is a virtual machine, running or not, or what else its runtime keeps beside
// its virtual machines.
type VM struct {
	// UUID is the runtime's own durable identity; NativeID is how the runtime
	// names it where that isn't a UUID (Incus: project/name).
	UUID     uuid.UUID `json:"uuid,omitzero"`
	NativeID string    `json:"nativeID,omitempty"`
	Name     string    `json:"name,omitempty"`
	// Type is empty for a virtual machine, and [TypeContainer] for a container:
	// Sentral has no records of those, so they are shown and never judged.
	Type string `json:"type,omitempty"`
	// SMBIOSUUID is what the guest sees, where the runtime tells it.
	SMBIOSUUID uuid.UUID `json:"smbiosUUID,omitzero"`
	// GenerationID changes when a VM is restored or cloned (ACPI vmgenid).
	GenerationID uuid.UUID `json:"generationID,omitzero"`
	Title        string    `json:"title,omitempty"`

	State    State  `json:"state,omitempty"`
	RawState string `json:"rawState,omitempty"`
	// Persistent is false for a VM that is gone once it stops.
	Persistent *bool `json:"persistent,omitempty"`

	VCPUs   *int   `json:"vcpus,omitempty"`   // given to the guest at boot
	Memory  *Bytes `json:"memory,omitempty"`  // the configured maximum, not the balloon
	Machine string `json:"machine,omitempty"` // canonical, see CanonicalMachine
	// RawMachine is the versioned machine type.
	RawMachine   string `json:"rawMachine,omitempty"`
	Architecture string `json:"architecture,omitempty"`
	Firmware     string `json:"firmware,omitempty"` // bios or efi

	Placement *Placement `json:"placement,omitempty"`
	// Manager is the software that drives the runtime for this VM, where it
	// left its metadata.
	Manager *Manager `json:"manager,omitempty"`
	Image   *Image   `json:"image,omitempty"`

	NICs  []NIC  `json:"nics,omitempty"`  // in guest order
	Disks []Disk `json:"disks,omitempty"` // in guest order

	// Snapshots are those that the runtime keeps of it, oldest first.
	Snapshots []Snapshot `json:"snapshots,omitempty"`

	// Pending are the changes that wait for the VM's next start: what the
	// definition that it is started from has otherwise than what runs.
	Pending []Pending `json:"pending,omitempty"`

	// ConfigDigest is SHA-256 over the runtime's own description of the VM, so
	// that a change in what the model doesn't hold can still be seen.
	ConfigDigest string `json:"configDigest,omitempty"`
	// AsOf is when this VM was read, where that is not the observation's time.
	AsOf *time.Time `json:"asOf,omitempty"`
}

// IsContainer says whether it shares the host's kernel.
func (vm *VM) IsContainer() bool { return vm.Type == TypeContainer }

// Pending is one thing that a VM's definition has otherwise than what runs. Both
// values are canonical; "" is none.
type Pending struct {
	// Path is vcpus, memory (in bytes), machine, firmware, boot, placement, image,
	// nics[MAC] or disks[TARGET], or a part of one: nics[MAC].vlan.
	Path    string `json:"path"`
	Live    string `json:"live,omitempty"`
	Defined string `json:"defined,omitempty"`
}

// Snapshot is a state of a VM that it can be set back to.
type Snapshot struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created,omitzero"`
	// Stateful says that it holds the memory as well as the disks.
	Stateful bool `json:"stateful,omitempty"`
}

// Placement is what the runtime says about whose VM this is (CONTRACTS.md §2).
type Placement struct {
	VM          string `json:"vm,omitempty"` // Sentral's ID of the VM
	Tenant      string `json:"tenant,omitempty"`
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// Manager is other software that manages a VM, as its metadata says.
type Manager struct {
	Name    string `json:"name"` // openstack-nova, ovirt, kubevirt, libosinfo …
	Version string `json:"version,omitempty"`
	// Project and Flavor are the manager's own words for them.
	Project string `json:"project,omitempty"`
	Flavor  string `json:"flavor,omitempty"`
}

// Platform is what an operator would call the whole that the manager and its
// runtime make, and "" without a manager.
func (m *Manager) Platform() string {
	switch {
	case m == nil:
		return ""
	case m.Name == "openstack-nova":
		return "openstack"
	}
	return m.Name
}

// Image is the base image that a VM was made from.
type Image struct {
	ID      string `json:"id,omitempty"`
	Version string `json:"version,omitempty"`
	// Source is the file or volume at the ground of the root disk's backing
	// chain. It outweighs a label: metadata is copied, a backing file is read.
	Source string `json:"source,omitempty"`
	// Digest is the image's own, as "sha256:…", where the runtime knows its
	// images by it. That of a file is in [Body.ImageFiles].
	Digest string `json:"digest,omitempty"`
	// Known says what all of this rests on, the strongest that there is.
	Known ImageKnown `json:"known,omitempty"`
}

// ImageKnown is how an image's identity is known.
type ImageKnown string

// How an image is known, strongest first. The first two were read from what the
// VM runs on; the others are words that were written beside it.
const (
	ImageByFingerprint ImageKnown = "fingerprint"   // the runtime's images are named by their digest
	ImageByChain       ImageKnown = "backing-chain" // the root disk's chain ends in it
	ImageByManager     ImageKnown = "manager"       // the manager's metadata says so
	ImageByLabel       ImageKnown = "label"         // the placement metadata says so
)

// NIC is a VM's network interface.
type NIC struct {
	MAC   MAC    `json:"mac,omitzero"`
	Model string `json:"model,omitempty"`
	// Attachment is how it meets the host: bridge, ovs, network, direct
	// (macvtap), hostdev (SR-IOV), ethernet, user, vhostuser.
	Attachment string `json:"attachment,omitempty"`
	// Link is the host's link for it (a tap, usually); only while it runs.
	Link    string `json:"link,omitempty"`
	Bridge  string `json:"bridge,omitempty"`
	Network string `json:"network,omitempty"` // the runtime's own named network
	// VLAN is the access VLAN that the runtime's configuration asks for; what
	// the NIC is really on is worked out from the host's links.
	VLAN   *VLAN  `json:"vlan,omitempty"`
	Trunks []VLAN `json:"trunks,omitempty"`
	// PortID is Open vSwitch's iface-id.
	PortID string `json:"portID,omitempty"`
	// LinkUp is the virtual cable.
	LinkUp *bool `json:"linkUp,omitempty"`
	MTU    *int  `json:"mtu,omitempty"`
	// Address is the device's place in the guest, such as "pci:0000:01:00.0".
	Address string `json:"address,omitempty"`
}

// Disk is a VM's block device.
type Disk struct {
	Target string `json:"target,omitempty"` // vda, sda …
	Bus    string `json:"bus,omitempty"`    // canonical, see CanonicalBus
	Device string `json:"device,omitempty"` // disk, cdrom, floppy, lun, filesystem (a directory of the host's)
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	// SourceType is file, block, volume, network …; Source the path, volume
	// (pool/name) or network address (rbd:pool/image).
	SourceType string `json:"sourceType,omitempty"`
	Source     string `json:"source,omitempty"`
	Format     string `json:"format,omitempty"`
	// Capacity is what the guest sees. Allocation is what it takes on the host:
	// it changes with every write, so it is no part of the digest.
	Capacity   *Bytes `json:"capacity,omitempty"`
	Allocation *Bytes `json:"allocation,omitempty"`
	ReadOnly   bool   `json:"readOnly,omitempty"`
	Shareable  bool   `json:"shareable,omitempty"`
	// Number is the device number (major:minor) of the file system that Source lies
	// on; where Source is a block device, BlockDevice is the kernel's name of it.
	Number      string `json:"number,omitempty"`
	BlockDevice string `json:"blockDevice,omitempty"`
	// DataFile holds the data of a qcow2 image that keeps none itself.
	DataFile string `json:"dataFile,omitempty"`
	// Fault is why Source can't be read as what it is said to be: it is missing,
	// or no such image. It is empty where nobody was allowed to look.
	Fault string `json:"fault,omitempty"`
	// Backing is the chain below Source, nearest first.
	Backing []BackingFile `json:"backing,omitempty"`
}

// BackingFile is one layer of a disk's backing chain. Its fields are as a disk's.
type BackingFile struct {
	Source string `json:"source"`
	Format string `json:"format,omitempty"`
	// VirtualSize is what whoever reads the layer sees. Allocation is what it
	// takes on the host; other than a disk's own, nothing writes to it.
	VirtualSize *Bytes `json:"virtualSize,omitempty"`
	Allocation  *Bytes `json:"allocation,omitempty"`
	Number      string `json:"number,omitempty"`
	BlockDevice string `json:"blockDevice,omitempty"`
	DataFile    string `json:"dataFile,omitempty"`
	Fault       string `json:"fault,omitempty"`
}

// IsStorage says whether the device holds the VM's data: CD-ROM and floppy
// drives don't, and Sentral has no record of them.
func (d *Disk) IsStorage() bool { return d.Device == "" || d.Device == "disk" || d.Device == "lun" }
