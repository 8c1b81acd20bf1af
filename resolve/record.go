package resolve

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

var (
	// What reconcile proposes for a NIC on another network, in its words.
	setNetwork = regexp.MustCompile(`^set the NIC's network to (\S+)$`)
	setVLAN    = regexp.MustCompile(`^set the VLAN of network (\S+) in (\S+) to (\d+)`)
)

// edit says what to write into the record; nil where that takes a person to decide.
func (c *onCase) edit(do string) *Edit {
	switch {
	case c.intended() != nil:
		return c.editVM(do)
	case c.vm == nil && c.host != nil && c.host.Intended != nil:
		return c.editHost()
	}
	return nil
}

func (c *onCase) editHost() *Edit {
	if c.f.Kind != "identity.weak" || c.host.Observed == nil {
		return nil
	}
	return &Edit{Type: "host", ID: c.host.Intended.ID, Key: "hostID", YAML: "hostID: " + c.host.Observed.ID.String()}
}

func (c *onCase) editVM(do string) *Edit {
	vm, seen := c.intended(), c.observed()
	set := func(key, yaml string) *Edit { return &Edit{Type: "vm", ID: vm.ID, Key: key, YAML: yaml} }
	switch c.f.Kind {
	case "vm.missing":
		return set("state", "state: absent")
	case "vm.lingering":
		return set("state", "state: running")
	case "nic.missing":
		if _, at, _ := c.nic(); at >= 0 {
			return set(fmt.Sprintf("nics[%d]", at), "")
		}
	case "disk.missing":
		if _, at, _ := c.disk(); at >= 0 {
			return set(fmt.Sprintf("disks[%d]", at), "")
		}
	case "nic.vlan", "nic.network":
		return c.editNetwork(do)
	}
	if seen == nil {
		return nil
	}
	switch c.f.Kind {
	case "vm.state":
		switch seen.State {
		case inventory.StateRunning:
			return set("state", "state: running")
		case inventory.StateStopped:
			return set("state", "state: stopped")
		}
	case "vm.vcpus":
		if seen.VCPUs != nil {
			return set("vcpus", "vcpus: "+strconv.Itoa(*seen.VCPUs))
		}
	case "vm.memory":
		if seen.Memory != nil {
			return set("memory", "memory: "+size(*seen.Memory))
		}
	case "vm.misplaced":
		return set("host", "host: "+scalar(seen.Host))
	case "vm.machine":
		return set("machine", "machine: "+scalar(seen.Machine))
	case "identity.changed", "identity.weak":
		if seen.UUID != uuid.Nil && seen.UUID != vm.UUID() {
			return set("runtimeID", "runtimeID: "+seen.UUID.String())
		}
	case "vm.placement":
		if part, is := strings.CutPrefix(c.f.Field, "placement."); is && seen.Placement != nil {
			value := map[string]string{"tenant": seen.Placement.Tenant, "project": seen.Placement.Project, "environment": seen.Placement.Environment}[part]
			if value != "" {
				return set(part, part+": "+scalar(value))
			}
		}
	case "nic.order":
		return c.editOrder()
	case "disk.size":
		if _, at, have := c.disk(); at >= 0 && have != nil && have.Capacity != nil {
			return set(fmt.Sprintf("disks[%d].size", at), "size: "+size(*have.Capacity))
		}
	case "disk.unknown":
		if _, _, have := c.disk(); have != nil {
			return set("disks", "  - "+diskRecord(have))
		}
	}
	return nil
}

// editNetwork moves the NIC to another network, or the network to another VLAN.
func (c *onCase) editNetwork(do string) *Edit {
	if m := setNetwork.FindStringSubmatch(do); m != nil {
		if _, at, _ := c.nic(); at >= 0 {
			return &Edit{Type: "vm", ID: c.intended().ID, Key: fmt.Sprintf("nics[%d].network", at), YAML: "network: " + scalar(m[1])}
		}
	}
	if m := setVLAN.FindStringSubmatch(do); m != nil {
		return &Edit{Type: "network", ID: m[1], Key: "vlans." + m[2], YAML: scalar(m[2]) + ": " + m[3]}
	}
	return nil
}

// editOrder writes the record's NICs in the order that the guest sees.
func (c *onCase) editOrder() *Edit {
	vm, seen := c.intended(), c.observed()
	place := map[inventory.MAC]int{}
	for i := range seen.NICs {
		place[seen.NICs[i].MAC] = i
	}
	ordered := make([]*sentral.NIC, len(seen.NICs))
	for i := range vm.NICs {
		at, is := place[vm.NICs[i].MAC]
		if !is {
			return nil // what isn't there has no place
		}
		ordered[at] = &vm.NICs[i]
	}
	lines := []string{"nics:"}
	for _, nic := range ordered {
		if nic == nil {
			continue
		}
		fields := "mac: " + scalar(nic.MAC.String()) + ", network: " + scalar(nic.Network)
		if nic.Model != "" {
			fields += ", model: " + scalar(nic.Model)
		}
		lines = append(lines, "  - {"+fields+"}")
	}
	return &Edit{Type: "vm", ID: vm.ID, Key: "nics", YAML: strings.Join(lines, "\n")}
}

// diskRecord is a disk as a record has it.
func diskRecord(d *inventory.Disk) string {
	var fields []string
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, key+": "+value)
		}
	}
	if d.Target != "" {
		add("name", scalar(d.Target))
	}
	if d.Capacity != nil {
		add("size", size(*d.Capacity))
	}
	if d.Serial != "" {
		add("serial", scalar(d.Serial))
	}
	if d.WWN != "" {
		add("wwn", scalar(d.WWN))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// size writes a size as inventory files do, without rounding.
func size(b inventory.Bytes) string {
	text := strings.ReplaceAll(b.String(), " ", "")
	if back, err := inventory.ParseBytes(text); err != nil || back != b {
		return strconv.FormatUint(uint64(b), 10)
	}
	return text
}

// plain are the scalars that YAML can't take for anything but text, in a list
// within braces either.
var plain = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// scalar writes a text as YAML.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "true", "false", "yes", "no", "on", "off", "null", "y", "n":
		return strconv.Quote(s)
	}
	if plain.MatchString(s) {
		return s
	}
	return strconv.Quote(s)
}
