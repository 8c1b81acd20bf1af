package inventory

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Schema is the observation document's version. Readers ignore fields that
// they don't know and refuse another major version.
const Schema = "avstem.observation/v1"

// Outcome is how a collector's pass ended.
type Outcome string

// The outcomes of a pass.
const (
	OutcomeComplete Outcome = "complete" // everything was enumerated
	OutcomePartial  Outcome = "partial"  // some of it was
	OutcomeFailed   Outcome = "failed"   // nothing can be said
	OutcomeAbsent   Outcome = "absent"   // the source isn't on this host
)

// Observation is what one collector saw of one host in one pass. It replaces
// the one before it from the same host and source as a whole.
type Observation struct {
	Schema string    `json:"schema"`
	Host   uuid.UUID `json:"host"`
	Site   string    `json:"site,omitempty"`
	Source string    `json:"source"`
	// Epoch goes up by one each time the agent starts, Gen with each document
	// of the source. Order is (Epoch, Gen) and never a clock.
	Epoch      uint64        `json:"epoch"`
	Gen        uint64        `json:"gen"`
	ObservedAt time.Time     `json:"observedAt"`
	Took       time.Duration `json:"tookNanos"`
	BootID     string        `json:"bootID,omitempty"`
	Outcome    Outcome       `json:"outcome"`
	// Complete says that every entity of the source was enumerated. An entity
	// that could not be read is still in the document, with a problem of its
	// own, so it never looks absent and never hides its neighbours.
	Complete bool      `json:"complete"`
	Problems []Problem `json:"problems,omitempty"`
	// Capabilities says of each field the collector can know where it comes
	// from: a value's provenance is its field's entry here and ObservedAt.
	Capabilities []Capability `json:"capabilities,omitempty"`
	Digest       string       `json:"digest"`
	Body
}

// Body is the observed state.
type Body struct {
	Identity     *Host         `json:"identity,omitempty"`
	Links        []Link        `json:"links,omitempty"`
	OVSBridges   []OVSBridge   `json:"ovsBridges,omitempty"`
	BlockDevices []BlockDevice `json:"blockDevices,omitempty"`
	FileSystems  []FileSystem  `json:"fileSystems,omitempty"`
	Runtime      *Runtime      `json:"runtime,omitempty"`
	VMs          []VM          `json:"vms,omitempty"`
	StoragePools []StoragePool `json:"storagePools,omitempty"`
	ImageFiles   []ImageFile   `json:"imageFiles,omitempty"`
}

// Why is why something could not be read.
type Why string

// The reasons for a problem.
const (
	WhyAbsent   Why = "absent"  // it isn't there
	WhyRefused  Why = "refused" // we may not read it
	WhyTimedOut Why = "timed-out"
	WhyBroken   Why = "broken" // it answered what can't be understood
)

// Problem is something that a pass could not read.
type Problem struct {
	// Entity is what it is about, as "vm:UUID", "link:eth0", "host:", or "" for
	// the whole source. Field is empty where the whole entity is meant.
	Entity string `json:"entity,omitempty"`
	Field  Field  `json:"field,omitempty"`
	Call   string `json:"call"` // the API call or file
	Why    Why    `json:"why"`
	Error  string `json:"error"`
	Remedy string `json:"remedy,omitempty"` // what a person can do about it
}

// VMEntity is how a problem names a VM.
func VMEntity(id uuid.UUID) string { return "vm:" + id.String() }

// Key is what identifies a VM within one runtime on one host.
func (vm *VM) Key() string {
	if vm.UUID != uuid.Nil {
		return vm.UUID.String()
	}
	return vm.NativeID
}

// Entity is how a problem names the VM, whatever identifies it.
func (vm *VM) Entity() string { return "vm:" + vm.Key() }

// How a field's value is known.
const (
	KnownDirect  = "direct"
	KnownDerived = "derived"
	KnownAbsent  = "absent" // the source doesn't have it
)

// How a change of a field is noticed.
const (
	ChangeByEvent = "event"
	ChangeByPoll  = "poll"
)

// Capability says where a collector has a field from.
type Capability struct {
	Field  Field  `json:"field"`
	From   string `json:"from,omitempty"` // API call and element, or file
	Known  string `json:"known"`
	Change string `json:"change,omitempty"`
	Note   string `json:"note,omitempty"`
}

// Supersedes says whether o is newer than other by (epoch, gen).
func (o *Observation) Supersedes(other *Observation) bool {
	return cmp.Or(cmp.Compare(o.Epoch, other.Epoch), cmp.Compare(o.Gen, other.Gen)) > 0
}

// Capability returns the entry for a field, and false where the collector has none.
func (o *Observation) Capability(f Field) (Capability, bool) {
	i := slices.IndexFunc(o.Capabilities, func(c Capability) bool { return c.Field == f })
	if i < 0 {
		return Capability{}, false
	}
	return o.Capabilities[i], true
}

// ProblemOf returns the first problem that hides a field of an entity: one on
// that field, on the entity as a whole, or on that field everywhere.
func (o *Observation) ProblemOf(entity string, f Field) (Problem, bool) {
	for _, p := range o.Problems {
		if (p.Entity == entity || p.Entity == "") && (p.Field == f || p.Field == "") && (p.Entity != "" || p.Field != "") {
			return p, true
		}
	}
	return Problem{}, false
}

// Canonicalize sorts everything whose order means nothing. NICs and disks keep
// theirs.
func (b *Body) Canonicalize() {
	byName := func(x, y string) int { return cmp.Compare(x, y) }
	if b.Identity != nil {
		slices.SortFunc(b.Identity.MACs, func(x, y MAC) int { return slices.Compare(x[:], y[:]) })
		slices.Sort(b.Identity.Junk)
	}
	slices.SortFunc(b.Links, func(x, y Link) int { return byName(x.Name, y.Name) })
	for i := range b.Links {
		slices.Sort(b.Links[i].AltNames)
		slices.Sort(b.Links[i].Addresses)
		slices.SortFunc(b.Links[i].PortVLANs, func(x, y PortVLAN) int { return cmp.Compare(x.ID, y.ID) })
		slices.SortFunc(b.Links[i].VFs, func(x, y VirtualFunction) int { return cmp.Compare(x.Index, y.Index) })
		for _, n := range b.Links[i].Neighbours {
			slices.Sort(n.VLANs)
		}
		slices.SortFunc(b.Links[i].Neighbours, compareNeighbours)
	}
	slices.SortFunc(b.OVSBridges, func(x, y OVSBridge) int { return byName(x.Name, y.Name) })
	for i := range b.OVSBridges {
		ports := b.OVSBridges[i].Ports
		slices.SortFunc(ports, func(x, y OVSPort) int { return byName(x.Name, y.Name) })
		for j := range ports {
			slices.Sort(ports[j].Trunks)
			slices.SortFunc(ports[j].Interfaces, func(x, y OVSInterface) int { return byName(x.Name, y.Name) })
		}
	}
	slices.SortFunc(b.BlockDevices, func(x, y BlockDevice) int { return byName(x.Name, y.Name) })
	for i := range b.BlockDevices {
		d := &b.BlockDevices[i]
		slices.Sort(d.ByID)
		slices.Sort(d.Members)
		slices.Sort(d.Holders)
		slices.SortFunc(d.Paths, func(x, y DevicePath) int { return byName(x.Name, y.Name) })
	}
	slices.SortFunc(b.FileSystems, func(x, y FileSystem) int { return byName(x.Mount, y.Mount) })
	for i := range b.FileSystems {
		slices.Sort(b.FileSystems[i].Members)
	}
	slices.SortFunc(b.VMs, func(x, y VM) int {
		return cmp.Or(slices.Compare(x.UUID[:], y.UUID[:]), byName(x.NativeID, y.NativeID), byName(x.Name, y.Name))
	})
	for i := range b.VMs {
		for j := range b.VMs[i].NICs {
			slices.Sort(b.VMs[i].NICs[j].Trunks)
		}
		slices.SortFunc(b.VMs[i].Pending, func(x, y Pending) int { return byName(x.Path, y.Path) })
		slices.SortStableFunc(b.VMs[i].Snapshots, func(x, y Snapshot) int {
			return cmp.Or(x.Created.Compare(y.Created), byName(x.Name, y.Name))
		})
	}
	slices.SortFunc(b.StoragePools, func(x, y StoragePool) int { return byName(x.Name, y.Name) })
	for i := range b.StoragePools {
		slices.SortFunc(b.StoragePools[i].Volumes, func(x, y StorageVolume) int { return byName(x.Name, y.Name) })
	}
	slices.SortFunc(b.ImageFiles, func(x, y ImageFile) int { return byName(x.Path, y.Path) })
}

func compareNeighbours(x, y Neighbour) int {
	return cmp.Or(cmp.Compare(x.ChassisID, y.ChassisID), cmp.Compare(x.PortID, y.PortID),
		cmp.Compare(x.SystemName, y.SystemName), cmp.Compare(x.PortDescription, y.PortDescription), slices.Compare(x.VLANs, y.VLANs))
}

// Seal puts the document into canonical order and sets its digest: SHA-256 over
// everything that says what was seen, which leaves out when it was seen, the
// order it was enumerated in, the wording of errors, and measures that change
// all the time ([Disk.Allocation] and that of layers, [FileSystem.Used],
// [FileSystem.Available], the size of a server's file system, and those of pools and
// volumes). The same state always gives the same digest.
func (o *Observation) Seal() error {
	o.Body.Canonicalize()
	slices.SortFunc(o.Problems, func(x, y Problem) int {
		return cmp.Or(strings.Compare(x.Entity, y.Entity), strings.Compare(string(x.Field), string(y.Field)),
			strings.Compare(x.Call, y.Call), strings.Compare(string(x.Why), string(y.Why)), strings.Compare(x.Error, y.Error))
	})
	slices.SortFunc(o.Capabilities, func(x, y Capability) int { return strings.Compare(string(x.Field), string(y.Field)) })
	digest, err := o.digest()
	o.Digest = digest
	return err
}

func (o *Observation) digest() (string, error) {
	stable := struct {
		Host         uuid.UUID
		Source       string
		BootID       string
		Outcome      Outcome
		Complete     bool
		Problems     []Problem
		Capabilities []Capability
		Body         Body
	}{o.Host, o.Source, o.BootID, o.Outcome, o.Complete, slices.Clone(o.Problems), o.Capabilities, o.Body}
	for i := range stable.Problems {
		stable.Problems[i].Error, stable.Problems[i].Remedy = "", ""
	}
	stable.Body.FileSystems = slices.Clone(o.FileSystems)
	for i := range stable.Body.FileSystems {
		fs := &stable.Body.FileSystems[i]
		fs.Used, fs.Available = nil, nil
		if fs.BlockDevice == "" && len(fs.Members) == 0 { // a server's: of ZFS it is what is used and what the pool has free
			fs.Size = nil
		}
	}
	stable.Body.VMs = slices.Clone(o.VMs)
	for i := range stable.Body.VMs {
		vm := &stable.Body.VMs[i]
		vm.AsOf = nil
		vm.Disks = slices.Clone(vm.Disks)
		for j := range vm.Disks {
			d := &vm.Disks[j]
			d.Allocation, d.Backing = nil, slices.Clone(d.Backing)
			for k := range d.Backing {
				d.Backing[k].Allocation = nil // grows while a layer is merged into it
			}
		}
	}
	stable.Body.StoragePools = slices.Clone(o.StoragePools)
	for i := range stable.Body.StoragePools {
		pool := &stable.Body.StoragePools[i]
		pool.Available = nil
		pool.Volumes = slices.Clone(pool.Volumes)
		for j := range pool.Volumes {
			pool.Volumes[j].Allocation = nil
		}
	}
	text, err := json.Marshal(stable)
	if err != nil {
		return "", fmt.Errorf("digest observation of %s: %w", o.Source, err)
	}
	// encoding/json writes bytes that are no UTF-8 as an escape, and what a
	// reader makes of that, U+FFFD, as itself: both must give one digest.
	hash := sha256.Sum256(bytes.ReplaceAll(text, []byte(`\ufffd`), []byte("\ufffd")))
	return "sha256:" + hex.EncodeToString(hash[:]), nil
}

// CheckSchema refuses a document of another major version or of another kind.
func CheckSchema(schema string) error {
	name, version, found := strings.Cut(schema, "/v")
	if !found || name != "avstem.observation" {
		return fmt.Errorf("schema %q is not avstem.observation/v1", schema)
	}
	if major, _, _ := strings.Cut(version, "."); major != "1" {
		return fmt.Errorf("schema %q is newer than this avstem understands (%s): upgrade avstem", schema, Schema)
	}
	return nil
}
