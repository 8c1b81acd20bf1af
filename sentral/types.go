// Package sentral states what avstem needs from Sentral, the system of record:
// the records, their rules, and the inventory that a source of them gives. The
// sources are packages below this one (sentral/files).
//
// Its values are the intended side of every comparison. It knows nothing of
// what was observed, and nothing here locks: an Inventory is built once and then
// only read.
package sentral

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// Inventory is everything that Sentral says, at one version.
type Inventory struct {
	Sites          []Site          `json:"sites,omitempty"`
	FailureDomains []FailureDomain `json:"failureDomains,omitempty"`
	Projects       []Project       `json:"projects,omitempty"`
	Images         []Image         `json:"images,omitempty"`
	Networks       []Network       `json:"networks,omitempty"`
	Hosts          []Host          `json:"hosts,omitempty"`
	VMs            []VM            `json:"vms,omitempty"`

	// Source says where it came from, Version which state of it this is, ReadAt
	// when it was read.
	Source  string    `json:"-"`
	Version string    `json:"-"`
	ReadAt  time.Time `json:"-"`
	// Problems are the records that break the contract, wholly (they are in
	// LeftOut) or in a reference to another record (they stay).
	Problems []Problem `json:"-"`
	// LeftOut is what is known of the records that can't be used, so that a
	// running VM whose record has a spelling mistake isn't taken for unknown.
	LeftOut []LeftOut `json:"-"`
	// Incomplete says that records are missing of which nothing is known: a
	// whole file couldn't be read. Nothing is unknown to Sentral then.
	Incomplete bool `json:"-"`
	// Stale is why there is no newer inventory than this: its source can't be
	// used now. "" where it is what the source says.
	Stale string `json:"-"`
	// Places says where records stand; nil where the source has no places.
	Places *Places `json:"-"`
}

// LeftOut is as much of a record that can't be used as could be read.
type LeftOut struct {
	Type string    `json:"type"`           // site, failureDomain, project, image, network, host or vm
	ID   string    `json:"id,omitempty"`   // tenant/id of a project, id/version of an image
	Name string    `json:"name,omitempty"` // of an image, its id
	UUID uuid.UUID `json:"uuid,omitzero"`  // a VM's UUID in its runtime, a host's host ID
	// SystemUUID and Serial are a host's.
	SystemUUID uuid.UUID       `json:"systemUUID,omitzero"`
	Serial     string          `json:"serial,omitempty"`
	MACs       []inventory.MAC `json:"macs,omitempty"` // of NICs or links
}

// Problem is a record that can't be used, or not wholly.
type Problem struct {
	// Where is file:line:column for files, the record's ID elsewhere.
	Where string `json:"where"`
	// Record is what it is about, as "vm 0b7e2f6e-…" or "host hv-osl1-01".
	Record string `json:"record,omitempty"`
	// Name is the record as people call it, as "vm web-01", where that isn't Record.
	Name  string `json:"name,omitempty"`
	Key   string `json:"key,omitempty"` // the path within the record: nics[0].mac
	Error string `json:"error"`
	// Duplicate marks an ID that two records claim.
	Duplicate bool `json:"duplicate,omitempty"`
	// Reference marks what leads to nothing, or contradicts what it leads to. No
	// record is left out for that.
	Reference bool `json:"reference,omitempty"`
	// Held marks an inventory that isn't used because too much of it is gone,
	// Stale one that is used although its source can't be read for long.
	Held  bool `json:"held,omitempty"`
	Stale bool `json:"stale,omitempty"`
}

// Site is one datacenter.
type Site struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// FailureDomain is a part of a site that fails together.
type FailureDomain struct {
	ID   string `json:"id"`
	Site string `json:"site"`
	Kind string `json:"kind,omitempty"` // rack, room, power …
}

// Project belongs to a tenant and has environments.
type Project struct {
	Tenant       string   `json:"tenant"`
	ID           string   `json:"id"` // unique within the tenant
	Environments []string `json:"environments,omitempty"`
	Quota        *Quota   `json:"quota,omitempty"`
}

// Quota is what a project may use at most. Absent means unlimited.
type Quota struct {
	VCPUs   *int             `json:"vcpus,omitempty"`
	Memory  *inventory.Bytes `json:"memory,omitempty"`
	Storage *inventory.Bytes `json:"storage,omitempty"`
}

// Image is one immutable version of a base image.
type Image struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Digest  string `json:"digest,omitempty"` // sha256:HEX over the file
	Source  string `json:"source,omitempty"` // the path or volume hosts keep it at
}

// Network is a tenant's network with its VLAN in each site.
type Network struct {
	ID      string                    `json:"id"`
	Tenant  string                    `json:"tenant"`
	Project string                    `json:"project"`
	VLANs   map[string]inventory.VLAN `json:"vlans,omitempty"` // by site
	// Shared says that networks of other tenants may have its VLANs too.
	Shared bool `json:"shared,omitempty"`
}

// HostState is what Sentral wants a host to be.
type HostState string

// The states of a host. Only an active one is expected to report.
const (
	HostPlanned     HostState = "planned"
	HostActive      HostState = "active"
	HostMaintenance HostState = "maintenance"
	HostRetired     HostState = "retired"
)

// Host is a hypervisor host.
type Host struct {
	ID            string     `json:"id"`              // Sentral's own key
	HostID        uuid.UUID  `json:"hostID,omitzero"` // the agent's, once enrolled
	Name          string     `json:"name,omitempty"`
	Site          string     `json:"site"`
	FailureDomain string     `json:"failureDomain,omitempty"`
	Platform      string     `json:"platform,omitempty"`
	State         HostState  `json:"state,omitempty"` // absent means active
	Serial        string     `json:"serial,omitempty"`
	SystemUUID    uuid.UUID  `json:"systemUUID,omitzero"`
	Capacity      *Quota     `json:"capacity,omitempty"`
	Links         []HostLink `json:"links,omitempty"`
	Disks         []HostDisk `json:"disks,omitempty"`
}

// HostLink is a link that a host should have.
type HostLink struct {
	Name  string           `json:"name"`
	MAC   inventory.MAC    `json:"mac,omitzero"`
	VLANs []inventory.VLAN `json:"vlans,omitempty"`
}

// HostDisk is a physical disk that a host should have.
type HostDisk struct {
	Serial string           `json:"serial,omitempty"`
	WWN    string           `json:"wwn,omitempty"`
	Size   *inventory.Bytes `json:"size,omitempty"`
}

// VMState is what Sentral wants a VM to be.
type VMState string

// The intended states of a VM.
const (
	VMRunning VMState = "running"
	VMStopped VMState = "stopped"
	VMAbsent  VMState = "absent" // it must not be anywhere
)

// VM is a virtual machine as Sentral wants it.
type VM struct {
	ID            string           `json:"id"`                 // Sentral's own; a UUID is also the runtime's unless RuntimeID says otherwise
	RuntimeID     uuid.UUID        `json:"runtimeID,omitzero"` // the runtime's own UUID where it isn't the ID
	Name          string           `json:"name"`
	Tenant        string           `json:"tenant"`
	Project       string           `json:"project"`
	Environment   string           `json:"environment"`
	Site          string           `json:"site"`
	FailureDomain string           `json:"failureDomain,omitempty"`
	Host          string           `json:"host,omitempty"` // a Host.ID; absent means anywhere in the site
	AntiAffinity  string           `json:"antiAffinity,omitempty"`
	State         VMState          `json:"state,omitempty"` // absent means running
	VCPUs         *int             `json:"vcpus,omitempty"`
	Memory        *inventory.Bytes `json:"memory,omitempty"`
	Machine       string           `json:"machine,omitempty"` // compared only where it is set
	Image         *ImageRef        `json:"image,omitempty"`
	NICs          []NIC            `json:"nics,omitempty"`  // in guest order
	Disks         []Disk           `json:"disks,omitempty"` // in guest order
}

// UUID is the UUID that the VM's runtime should know it by; zero where Sentral
// has none.
func (vm *VM) UUID() uuid.UUID {
	if vm.RuntimeID != uuid.Nil {
		return vm.RuntimeID
	}
	id, err := uuid.Parse(vm.ID)
	if err != nil {
		return uuid.Nil
	}
	return id
}

// ImageRef names one version of an image.
type ImageRef struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"`
}

// NIC is a VM's network interface as Sentral wants it.
type NIC struct {
	MAC     inventory.MAC `json:"mac,omitzero"`
	Network string        `json:"network"`         // a Network.ID
	Model   string        `json:"model,omitempty"` // compared only where it is set
}

// Disk is a VM's disk as Sentral wants it.
type Disk struct {
	Name   string           `json:"name,omitempty"`
	Size   *inventory.Bytes `json:"size,omitempty"`
	Serial string           `json:"serial,omitempty"`
	WWN    string           `json:"wwn,omitempty"`
	Format string           `json:"format,omitempty"` // compared only where it is set
	Source string           `json:"source,omitempty"` // compared only where it is set
	Shared bool             `json:"shared,omitempty"` // meant to be on several VMs
}
