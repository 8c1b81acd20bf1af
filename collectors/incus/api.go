package incus

import (
	"encoding/json"
	"fmt"
	"time"
)

// server is what we read of GET /1.0.
type server struct {
	Auth        string `json:"auth"`
	Environment struct {
		Server        string `json:"server"` // incus or lxd
		Version       string `json:"server_version"`
		Name          string `json:"server_name"`
		Clustered     bool   `json:"server_clustered"`
		Driver        string `json:"driver"`         // "lxc", or "lxc | qemu" once VMs work
		DriverVersion string `json:"driver_version"` // in the same order
	} `json:"environment"`
}

// instance is what we read of an instance (doc/rest-api.yaml, Instance).
type instance struct {
	Name            string            `json:"name"`
	Project         string            `json:"project"`
	Location        string            `json:"location"`
	Type            string            `json:"type"` // container or virtual-machine
	Status          string            `json:"status"`
	StatusCode      int               `json:"status_code"`
	Description     string            `json:"description"`
	Architecture    string            `json:"architecture"`
	Ephemeral       bool              `json:"ephemeral"`
	Profiles        []string          `json:"profiles"`
	ExpandedConfig  map[string]string `json:"expanded_config"`
	ExpandedDevices map[string]device `json:"expanded_devices"`

	err error // of decoding: what is above may be incomplete
}

// device is one device's options.
type device map[string]string

const (
	typeVM         = "virtual-machine"
	defaultProject = "default"
)

// decodeInstance decodes one instance of a list. Of one that can't be decoded
// whole, the names are kept that tell which it is.
func decodeInstance(raw json.RawMessage) instance {
	var i instance
	if err := json.Unmarshal(raw, &i); err != nil {
		i = instance{err: err}
		for name, field := range map[string]*string{"name": &i.Name, "project": &i.Project, "location": &i.Location, "type": &i.Type} {
			*field = stringOf(raw, name)
		}
	}
	if i.err == nil && i.ExpandedConfig == nil {
		// The daemon's way to say in a list that it failed to look: a name, a place
		// and the status Error. An instance that it looked at has a configuration,
		// empty or not.
		i.err = fmt.Errorf("the daemon lists it without a configuration (status %s)", i.Status)
	}
	if i.Project == "" {
		i.Project = defaultProject
	}
	return i
}

// stringOf is one string of an object, whatever the rest of it holds.
func stringOf(raw json.RawMessage, name string) string {
	var object map[string]json.RawMessage
	var value string
	if json.Unmarshal(raw, &object) != nil || json.Unmarshal(object[name], &value) != nil {
		return ""
	}
	return value
}

// nativeID is how the daemon names the instance.
func (i *instance) nativeID() string { return i.Project + "/" + i.Name }

func (i *instance) isVM() bool { return i.Type == typeVM }

// snapshot is what we read of a snapshot.
type snapshot struct {
	Name     string    `json:"name"`
	Created  time.Time `json:"created_at"`
	Stateful bool      `json:"stateful"`
}

// custom is the type of volumes that are no instance's own.
const custom = "custom"

// volume is what we read of a storage volume.
type volume struct {
	Name        string            `json:"name"`
	Type        string            `json:"type"` // custom, or what it is the root of: container, virtual-machine, image
	Project     string            `json:"project"`
	ContentType string            `json:"content_type"` // block, filesystem or iso
	Config      map[string]string `json:"config"`
}

// pool is what we read of a storage pool.
type pool struct {
	Name   string            `json:"name"`
	Driver string            `json:"driver"` // dir, btrfs, lvm, zfs, ceph …
	Status string            `json:"status"`
	Config map[string]string `json:"config"`
}

// network is what we read of a managed network.
type network struct {
	Type   string            `json:"type"` // bridge, ovn, macvlan, sriov, physical
	Config map[string]string `json:"config"`
}
