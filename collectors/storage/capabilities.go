package storage

import "github.com/dataverket/avstem/inventory"

// notReal is in the notes of capabilities that no test shows on a real object.
const notReal = "not verified on the real thing"

// capabilities lists the fields in the order of their names, with the file each
// is read from.
func capabilities() []inventory.Capability {
	direct := func(field inventory.Field, from, note string) inventory.Capability {
		return inventory.Capability{Field: field, From: from, Known: inventory.KnownDirect, Change: inventory.ChangeByPoll, Note: note}
	}
	derived := func(field inventory.Field, from, note string) inventory.Capability {
		c := direct(field, from, note)
		c.Known = inventory.KnownDerived
		return c
	}
	const block = sysBlock + "/*/"

	return []inventory.Capability{
		direct("blockDevice.backingFile", block+"loop/backing_file", ""),
		direct("blockDevice.byID", devByID, "else the names that udev's database says the device claims"),
		direct("blockDevice.content", udevData+" ID_FS_TYPE", "as it was when udev last looked"),
		direct("blockDevice.dmName", block+"dm/name", ""),
		direct("blockDevice.dmUUID", block+"dm/uuid", ""),
		derived("blockDevice.encryption", block+"dm/uuid", "its second word; nothing of keys is read"),
		direct("blockDevice.holders", block+"holders", "and a partition's"),
		direct("blockDevice.image", sysRBD+", udev's zvol/ links", notReal+": trees by the kernel's and ZFS's documentation"),
		derived("blockDevice.kind", block+"{dm,md,partition,device/type}", "and the kernel's name, for loop and zram"),
		direct("blockDevice.label", udevData+" ID_FS_LABEL", "as it was when udev last looked"),
		derived("blockDevice.layer", block+"{dm/uuid,md}", "and of a thin volume what it is made of"),
		derived("blockDevice.logicalVolume", block+"dm/{name,uuid}", ""),
		direct("blockDevice.members", block+"slaves", ""),
		direct("blockDevice.model", block+"device/model", ""),
		direct("blockDevice.name", sysBlock, "without ram*, unused loop, nbd and zram devices, and hidden paths"),
		direct("blockDevice.namespaceID", block+"nsid", "NVMe"),
		direct("blockDevice.parent", block+"*/partition", ""),
		direct("blockDevice.pathState", block+"device/state", "SCSI's device, NVMe's controller"),
		direct("blockDevice.paths", sysBlock, "NVMe's hidden paths; "+notReal+": a tree by the kernel's documentation"),
		direct("blockDevice.raidAction", block+"md/sync_action", "absent while idle"),
		direct("blockDevice.raidDegraded", block+"md/degraded", ""),
		direct("blockDevice.raidLevel", block+"md/level", ""),
		derived("blockDevice.raidState", block+"md/array_state", "what changes with every write is active"),
		direct("blockDevice.readOnly", block+"ro", ""),
		direct("blockDevice.removable", block+"removable", "whole disks"),
		direct("blockDevice.rotational", block+"queue/rotational", "whole disks; virtual ones often claim to be"),
		direct("blockDevice.serial", block+"{serial,device/serial,device/vpd_pg80}", "else udev's ID_SCSI_SERIAL or ID_SERIAL_SHORT"),
		derived("blockDevice.size", block+"size", "sectors of 512 bytes there"),
		direct("blockDevice.vendor", block+"device/vendor", "SCSI; libata says ATA"),
		derived("blockDevice.volumeGroup", block+"dm/{name,uuid}", ""),
		derived("blockDevice.wwn", block+"{wwid,nguid,eui,device/wwid}", "else udev's ID_WWN_WITH_EXTENSION or ID_WWN"),
		direct("devicePath.access", block+"ana_state", notReal),
		derived("devicePath.controller", block+"device", notReal),
		direct("devicePath.name", sysBlock, notReal),
		direct("devicePath.state", block+"device/state", notReal),
		direct("fileSystem.available", "statfs(2) f_bavail", "not under a moved root"),
		derived("fileSystem.blockDevice", "/sys/dev/block/*", "by the number"),
		direct("fileSystem.dataset", mountinfo, "btrfs's subvolume; ZFS's data set, "+notReal),
		direct("fileSystem.device", mountinfo, ""),
		direct("fileSystem.members", sysBtrfs+"/*/devices", ""),
		derived("fileSystem.mount", mountinfo, "one mount of each file system, or btrfs subvolume"),
		direct("fileSystem.number", mountinfo, "of a btrfs subvolume stat(2) st_dev, where it can be asked"),
		direct("fileSystem.poolState", procZFS+"/*/state", notReal+": a tree by OpenZFS's documentation"),
		derived("fileSystem.readOnly", mountinfo+" super options", "of the file system, whatever the mount is"),
		direct("fileSystem.size", "statfs(2) f_blocks", "not under a moved root, and not of ZFS"),
		direct("fileSystem.type", mountinfo, ""),
		derived("fileSystem.used", "statfs(2) f_blocks, f_bfree", "not under a moved root"),
	}
}
