package netbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
)

// Mapping says what NetBox has where. The zero value is not useful: see
// [DefaultMapping].
type Mapping struct {
	// Fields are the names of custom fields, by what they are for.
	Fields Fields `yaml:"fields"`
	// HostRoles are the slugs of the roles that make a device a hypervisor host;
	// with none, every device in a cluster is one.
	HostRoles []string `yaml:"hostRoles"`
	// Platforms maps the slug of a cluster's type to a platform, such as
	// kvm: libvirt; one that isn't here is taken as it is.
	Platforms map[string]string `yaml:"platforms"`
	// FailureDomain is rack, location or none: which of a device's is its failure
	// domain.
	FailureDomain string `yaml:"failureDomain"`
	// States maps a virtual machine's status to running, stopped, absent, or
	// unjudged: nothing is said of such a VM, and it is not unknown either.
	States map[string]string `yaml:"states"`
	// Tenant, Project and Environment are of what names none.
	Defaults Defaults `yaml:"defaults"`
	// MemoryUnit and DiskUnit are what NetBox's MB are: MB (1000²) or MiB (1024²).
	MemoryUnit string `yaml:"memoryUnit"`
	DiskUnit   string `yaml:"diskUnit"`
}

// Fields are custom fields. One that is "" isn't read.
type Fields struct {
	// Of devices.
	HostID     string `yaml:"hostID"`
	SystemUUID string `yaml:"systemUUID"`
	// Of virtual machines.
	VMID         string `yaml:"vmID"`
	RuntimeID    string `yaml:"runtimeID"`
	Project      string `yaml:"project"` // of VLANs too
	Environment  string `yaml:"environment"`
	AntiAffinity string `yaml:"antiAffinity"`
	Machine      string `yaml:"machine"`
	Image        string `yaml:"image"`
	ImageVersion string `yaml:"imageVersion"`
	// Of VLANs: the network that the VLAN is one site's part of.
	Network string `yaml:"network"`
	// Of virtual disks.
	DiskSerial string `yaml:"diskSerial"`
	DiskWWN    string `yaml:"diskWWN"`
}

// Defaults are of what names none.
type Defaults struct {
	Tenant      string `yaml:"tenant"`
	Project     string `yaml:"project"`
	Environment string `yaml:"environment"`
}

// unjudged is the state of a VM that nothing is said of.
const unjudged = "unjudged"

// DefaultMapping has names that such fields could have.
func DefaultMapping() Mapping {
	return Mapping{
		Fields: Fields{
			HostID: "host_id", SystemUUID: "system_uuid", VMID: "vm_id", RuntimeID: "runtime_uuid", Project: "project", Environment: "environment",
			AntiAffinity: "anti_affinity", Machine: "machine", Image: "image", ImageVersion: "image_version", Network: "network",
			DiskSerial: "serial", DiskWWN: "wwn",
		},
		FailureDomain: "rack",
		States: map[string]string{
			"active": "running", "failed": "running", "offline": "stopped",
			"planned": unjudged, "staged": unjudged, "decommissioning": unjudged, "paused": unjudged,
		},
		Defaults:   Defaults{Project: "default", Environment: "default"},
		MemoryUnit: "MiB", DiskUnit: "MB",
	}
}

// ParseMapping reads a mapping in YAML. What it doesn't give is as by default.
func ParseMapping(text []byte) (Mapping, error) {
	m := DefaultMapping()
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return m, fmt.Errorf("read NetBox mapping: %w", err)
	}
	if err := m.Check(); err != nil {
		return m, err
	}
	return m, nil
}

// Check says what in a mapping can't be.
func (m *Mapping) Check() error {
	for _, status := range slices.Sorted(maps.Keys(m.States)) {
		switch state := m.States[status]; sentral.VMState(state) {
		case sentral.VMRunning, sentral.VMStopped, sentral.VMAbsent, unjudged:
		default:
			return fmt.Errorf("read NetBox mapping: states.%s: %q is no state: want running, stopped, absent or %s", status, state, unjudged)
		}
	}
	switch m.FailureDomain {
	case "rack", "location", "none":
	default:
		return fmt.Errorf("read NetBox mapping: failureDomain %q: want rack, location or none", m.FailureDomain)
	}
	for _, unit := range []string{m.MemoryUnit, m.DiskUnit} {
		if unit != "MB" && unit != "MiB" {
			return fmt.Errorf("read NetBox mapping: unit %q: want MB or MiB", unit)
		}
	}
	for _, role := range m.HostRoles {
		if role == "" || strings.ContainsAny(role, "&= ") {
			return fmt.Errorf("read NetBox mapping: %q is no role's slug", role)
		}
	}
	return nil
}
