package incus

import (
	"cmp"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// filesystem is what a disk device is that shows the guest a directory, and no
// disk: it has no order among the disks, no size and many users.
const filesystem = "filesystem"

// readDisks reads the disks, root first. What a volume is (block or file system,
// its size) is told by the volume.
func (r *reading) readDisks() {
	for _, d := range r.source.devices("disk") {
		disk := inventory.Disk{Target: d.name, Device: "disk", ReadOnly: isTrue(d.device["readonly"])}
		r.readSource(&disk, d)
		if size := d.device["size"]; size != "" && disk.Device == "disk" {
			if n, err := parseSize(size); err != nil {
				r.fault("disk.capacity", d.name+" size", err)
			} else {
				disk.Capacity = &n
			}
		}
		if r.source.isVM() && disk.Device == "disk" {
			disk.Bus = inventory.CanonicalBus(cmp.Or(d.device["io.bus"], r.source.ExpandedConfig["volatile."+d.name+".io.bus"], "virtio-scsi"))
		}
		r.vm.Disks = append(r.vm.Disks, disk)
	}
}

// readSource reads what is behind a disk (doc/reference/devices_disk.md).
func (r *reading) readSource(disk *inventory.Disk, d namedDevice) {
	source, pool := d.device["source"], d.device["pool"]
	scheme, rest, hasScheme := strings.Cut(source, ":")
	switch {
	case d.device["path"] == "/":
		disk.SourceType, disk.Source = "volume", pool+"/"+r.source.Type+"/"+qualified(r.source.Project, r.source.Name)
	case pool != "":
		disk.SourceType, disk.Source = "volume", pool+"/"+custom+"/"+source
	case scheme == "ceph" && hasScheme:
		disk.SourceType, disk.Source = "network", "rbd:"+rest
	case scheme == "cephfs" && hasScheme, strings.HasPrefix(scheme, "tmpfs") && hasScheme:
		disk.Device, disk.Source = filesystem, source
	case hasScheme && !strings.HasPrefix(source, "/"): // cloud-init:config, agent:config
		disk.Device, disk.Source, disk.ReadOnly = "cdrom", source, true
	case strings.HasPrefix(source, "/dev/"):
		disk.SourceType, disk.Source = "block", source
	case r.source.isVM() && d.device["path"] == "":
		disk.SourceType, disk.Source = "file", source
		if strings.HasSuffix(source, ".iso") {
			disk.Device, disk.ReadOnly = "cdrom", true
		}
	default:
		disk.Device, disk.Source = filesystem, source
	}
}

// qualified is a volume's name in its pool: that of another project than the
// default one is preceded by the project's.
func qualified(project, name string) string {
	if project == "" || project == defaultProject {
		return name
	}
	return project + "_" + name
}

// onVolume fills in what a custom volume decides for a disk.
func (r *reading) onVolume(disk *inventory.Disk, pool string, v *volume) {
	disk.Source = pool + "/" + custom + "/" + qualified(v.Project, v.Name)
	disk.Shareable = isTrue(v.Config["security.shared"])
	switch v.ContentType {
	case "iso":
		disk.Device, disk.ReadOnly = "cdrom", true
	case "filesystem":
		disk.Device, disk.Bus = filesystem, ""
	}
	if size := v.Config["size"]; size != "" && disk.Device == "disk" {
		n, err := parseSize(size)
		if err != nil {
			r.fault("disk.capacity", disk.Source+" size", err)
			return
		}
		disk.Capacity = &n
	}
}
