package qemu

import (
	"io/fs"
	"path/filepath"
	"strings"

	"errors"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// readProxmox reads the tag by which Proxmox VE's VM names itself. Its tags of
// tenant, project and environment are for a collector of its own, since the rest of
// this source has no place for them. The configuration is for root and www-data
// only.
func (c *Collector) readProxmox(r *reading) {
	id := r.process.inv.id
	if id == "" || filepath.Base(id) != id {
		return
	}
	path := "/etc/pve/qemu-server/" + id + ".conf"
	data, err := collectors.ReadFile(c.Root, path)
	if errors.Is(err, fs.ErrNotExist) {
		return // it was moved to another node, or this is no more than its QEMU
	}
	if err != nil {
		r.list = append(r.list, problem("", "vm.placement", path, err, "run the agent as root, or in the group www-data"))
		return
	}
	if id := parseTags(string(data)); id != "" {
		r.vm.Placement = &inventory.Placement{VM: id}
	}
}

// parseTags reads the VM's ID in Sentral (the tag dv-vm-ID) in its configuration,
// before the first of its snapshots.
func parseTags(config string) string {
	for line := range strings.Lines(config) {
		if strings.HasPrefix(line, "[") {
			break
		}
		list, found := strings.CutPrefix(line, "tags:")
		if !found {
			continue
		}
		for _, tag := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(";, \t\r\n", r) }) {
			if id, found := strings.CutPrefix(tag, "dv-vm-"); found {
				return id
			}
		}
	}
	return ""
}
