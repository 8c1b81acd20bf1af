package storage

import "github.com/dataverket/avstem/inventory"

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
		direct("blockDevice.dmName", block+"dm/name", ""),
		direct("blockDevice.dmUUID", block+"dm/uuid", ""),
		derived("blockDevice.kind", block+"{dm,md,partition,device/type}", "and the kernel's name, for loop and zram"),
		direct("blockDevice.members", block+"slaves", ""),
		direct("blockDevice.model", block+"device/model", ""),
		direct("blockDevice.name", sysBlock, "without ram*, unused loop, nbd and zram devices, and hidden paths"),
		direct("blockDevice.parent", block+"*/partition", ""),
		direct("blockDevice.readOnly", block+"ro", ""),
		direct("blockDevice.removable", block+"removable", "whole disks"),
		direct("blockDevice.rotational", block+"queue/rotational", "whole disks; virtual ones often claim to be"),
		direct("blockDevice.serial", block+"{serial,device/serial,device/vpd_pg80}", "else udev's ID_SCSI_SERIAL or ID_SERIAL_SHORT"),
		derived("blockDevice.size", block+"size", "sectors of 512 bytes there"),
		direct("blockDevice.vendor", block+"device/vendor", "SCSI; libata says ATA"),
		derived("blockDevice.wwn", block+"{wwid,nguid,eui,device/wwid}", "else udev's ID_WWN_WITH_EXTENSION or ID_WWN"),
		direct("fileSystem.available", "statfs(2) f_bavail", "not under a moved root"),
		derived("fileSystem.blockDevice", "/sys/dev/block/*", "by the number"),
		direct("fileSystem.device", mountinfo, ""),
		derived("fileSystem.mount", mountinfo, "one mount of each file system"),
		direct("fileSystem.number", mountinfo, "of a btrfs subvolume another than its files have"),
		derived("fileSystem.readOnly", mountinfo+" super options", "of the file system, whatever the mount is"),
		direct("fileSystem.size", "statfs(2) f_blocks", "not under a moved root, and not of ZFS"),
		direct("fileSystem.type", mountinfo, ""),
	}
}
