package storage

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	devByID  = "/dev/disk/by-id"
	udevData = "/run/udev/data"
)

// udevRecord is what udev keeps of one device: its properties, and the names
// below /dev that it claims, which another device with a higher priority may
// have.
type udevRecord struct {
	properties map[string]string
	links      []string
}

// parseUdev reads a record of udev's database: its lines that begin with "E:"
// and "S:" (systemd, src/libsystemd/sd-device).
func parseUdev(data []byte) udevRecord {
	record := udevRecord{properties: map[string]string{}}
	for line := range strings.Lines(string(data)) {
		kind, rest, _ := strings.Cut(strings.TrimRight(line, "\n"), ":")
		rest = strings.ToValidUTF8(rest, "\ufffd")
		switch key, value, ok := strings.Cut(rest, "="); {
		case kind == "S" && rest != "":
			record.links = append(record.links, rest)
		case kind == "E" && ok:
			record.properties[key] = strings.TrimSpace(value)
		}
	}
	return record
}

// below gives the claimed names in one directory below /dev.
func (r udevRecord) below(directory string) []string {
	var names []string
	for _, link := range r.links {
		if name, found := strings.CutPrefix(link, directory+"/"); found {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// udev reads what udev knows of the device: nothing where it doesn't run or
// hasn't seen the device.
func (d *device) udev() udevRecord {
	number := d.text("", "dev")
	if number == "" {
		return udevRecord{}
	}
	data, err := collectors.ReadFile(d.root, udevData+"/b"+number)
	if err != nil {
		return udevRecord{}
	}
	return parseUdev(data)
}

// named gives the device what udev tells of it.
func named(dev *inventory.BlockDevice, record udevRecord, byID map[string][]string) {
	switch names, linked := byID[filepath.Base(dev.Name)]; {
	case linked:
		dev.ByID = names
	case byID == nil: // there is no such directory where the agent runs
		dev.ByID = record.below("disk/by-id")
	}
	dev.Content, dev.Label = record.properties["ID_FS_TYPE"], record.properties["ID_FS_LABEL"]
	if volumes := record.below("zvol"); len(volumes) > 0 && dev.Kind == "disk" {
		dev.Image = "zfs:" + volumes[0]
	}
}

// linksByID reads /dev/disk/by-id: for each device, by the last part of its
// name, the names that lead to it.
func (c *Collector) linksByID() map[string][]string {
	names, err := collectors.ReadNames(c.Root, devByID)
	if err != nil {
		return nil
	}
	links := map[string][]string{}
	for _, name := range names {
		target, err := os.Readlink(filepath.Join("/", c.Root, devByID, name))
		if err == nil {
			device := filepath.Base(target)
			links[device] = append(links[device], strings.ToValidUTF8(name, "\ufffd"))
		}
	}
	return links
}
