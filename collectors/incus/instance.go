package incus

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// reading is what a pass read of one instance.
type reading struct {
	vm       inventory.VM
	problems []inventory.Problem
	source   *instance
	// unidentified says that the instance has an identity, and that we couldn't
	// read it and don't remember it.
	unidentified bool
	gone         bool // it ceased to be between the list and its snapshots
}

// fault files what an instance's own description says that can't be understood.
func (r *reading) fault(field inventory.Field, key string, err error) {
	r.problems = append(r.problems, inventory.Problem{Entity: r.vm.Entity(), Field: field, Call: instanceCall + " " + key,
		Why: inventory.WhyBroken, Error: err.Error(), Remedy: remedyReport})
}

const (
	instanceCall = "GET /1.0/instances"
	remedyReport = "compare with the instance's expanded configuration (config show --expanded), and report it if that is right: this is a form that avstem doesn't know"
)

// What a VM gets where nobody set a limit (internal/server/instance/drivers/qemudefault).
const (
	defaultVCPUs  = 1
	defaultMemory = inventory.GiB
)

// describe reads what an instance's own description says. What the daemon keeps
// elsewhere (volumes, networks, snapshots) is added by a [surroundings].
func describe(i *instance) reading {
	config := i.ExpandedConfig
	r := reading{source: i, vm: inventory.VM{NativeID: i.nativeID(), Name: i.Name, Title: i.Description, Architecture: i.Architecture}}
	vm := &r.vm
	if !i.isVM() {
		vm.Type = cmp.Or(i.Type, inventory.TypeContainer)
	}
	// Faults below name the VM by its UUID, so it comes first.
	id, err := readUUID(config["volatile.uuid"])
	vm.UUID = id
	if err != nil {
		r.fault("vm.uuid", "volatile.uuid", err)
	}
	if vm.GenerationID, err = readUUID(config["volatile.uuid.generation"]); err != nil {
		r.fault("vm.generationID", "volatile.uuid.generation", err)
	}
	vm.State, vm.RawState = mapState(i.StatusCode, i.Status)
	persistent := !i.Ephemeral
	vm.Persistent = &persistent
	r.readLimits(config)
	if i.isVM() {
		vm.RawMachine = config["volatile.vm.definition"]
		vm.Machine = inventory.CanonicalMachine(vm.RawMachine)
		vm.Firmware = firmware(i)
	}
	r.readMetadata(config)
	r.readNICs()
	r.readDisks()
	vm.ConfigDigest = digest(i)
	return r
}

func readUUID(s string) (uuid.UUID, error) {
	if s == "" {
		return uuid.Nil, nil
	}
	return inventory.ParseUUID(s)
}

// readLimits reads vCPUs and memory. A container without a limit has what the
// host has, which is nothing of its own; a share of the host's memory ("50%") is
// no size.
func (r *reading) readLimits(config map[string]string) {
	vm, isVM := &r.vm, r.source.isVM()
	switch limit := config["limits.cpu"]; {
	case limit != "":
		if n, err := parseCPUs(limit); err != nil {
			r.fault("vm.vcpus", "limits.cpu", err)
		} else if n > 0 {
			vm.VCPUs = &n
		}
	case isVM:
		n := defaultVCPUs
		vm.VCPUs = &n
	}
	switch limit := config["limits.memory"]; {
	case strings.HasSuffix(limit, "%"):
	case limit != "":
		if size, err := parseSize(limit); err != nil {
			r.fault("vm.memory", "limits.memory", err)
		} else {
			vm.Memory = &size
		}
	case isVM:
		size := defaultMemory
		vm.Memory = &size
	}
}

// firmware is what the daemon starts a VM with: EFI, unless the compatibility
// module for BIOS is asked for. Other architectures than these have others.
func firmware(i *instance) string {
	switch {
	case isTrue(i.ExpandedConfig["security.csm"]):
		return "bios"
	case i.Architecture == "x86_64" || i.Architecture == "aarch64":
		return "efi"
	}
	return ""
}

// readMetadata reads whose instance this is, and what manages it (Juju marks
// what it makes with its model's and controller's UUIDs).
func (r *reading) readMetadata(config map[string]string) {
	const ours = "user.dataverket."
	p := inventory.Placement{VM: config[ours+"vm"], Tenant: config[ours+"tenant"],
		Project: config[ours+"project"], Environment: config[ours+"environment"]}
	if p != (inventory.Placement{}) {
		r.vm.Placement = &p
	}
	image := inventory.Image{ID: config[ours+"image"], Version: config[ours+"imageVersion"]}
	if image != (inventory.Image{}) {
		image.Known = inventory.ImageByLabel
	}
	if fingerprint := config["volatile.base_image"]; fingerprint != "" { // SHA-256 of the image's files
		image.Digest, image.Known = "sha256:"+fingerprint, inventory.ImageByFingerprint
	}
	if image != (inventory.Image{}) {
		r.vm.Image = &image
	}
	if model := config["user.juju-model"]; model != "" {
		r.vm.Manager = &inventory.Manager{Name: "juju", Project: model}
	}
}

// digest is SHA-256 over the instance's configuration without what the daemon
// writes itself, the volatile keys.
func digest(i *instance) string {
	config := map[string]string{}
	for key, value := range i.ExpandedConfig {
		if !strings.HasPrefix(key, "volatile.") {
			config[key] = value
		}
	}
	text, err := json.Marshal([]any{i.Type, i.Architecture, i.Description, i.Ephemeral, i.Profiles, config, i.ExpandedDevices})
	if err != nil {
		panic(err) // strings only
	}
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// namedDevice is a device with its name.
type namedDevice struct {
	name string
	device
}

// devices are those of a type in the order in which the daemon gives them to the
// guest (internal/server/device/config/devices_sort.go): nested NICs last, the
// root disk first and then disks by path, and by name.
func (i *instance) devices(kind string) []namedDevice {
	var list []namedDevice
	for name, d := range i.ExpandedDevices {
		if d["type"] == kind {
			list = append(list, namedDevice{name, d})
		}
	}
	root := func(d namedDevice) int {
		if d.device["path"] == "/" {
			return 0
		}
		return 1
	}
	slices.SortFunc(list, func(a, b namedDevice) int {
		order := 0
		switch kind {
		case "nic":
			order = cmp.Compare(len(a.device["nested"]), len(b.device["nested"]))
			if a.device["nested"] != "" && b.device["nested"] != "" {
				order = 0
			}
		case "disk":
			order = cmp.Or(cmp.Compare(root(a), root(b)), cmp.Compare(a.device["path"], b.device["path"]))
		}
		return cmp.Or(order, cmp.Compare(a.name, b.name))
	})
	return list
}
