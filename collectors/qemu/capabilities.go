package qemu

import (
	"cmp"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// capabilities is the provenance of every field that QEMU could show. Where a
// monitor was named it tells how the VM is; else the command line tells how it
// was started. A monitor's events are of a VM's state and blocks; all else is
// found by a pass.
var capabilities = sorted([]inventory.Capability{
	line("vm.uuid", "-uuid, or -smbios type=1,uuid=", "query-uuid where only the monitor is seen; nil where two processes have one"),
	derived("vm.nativeID", "/proc/PID/cmdline -name, or PID and start time", "only without a UUID: nothing durable"),
	both("vm.name", "-name", "query-name"),
	event(derived("vm.state", "QMP query-status, or that the process is there", "mapped from rawState; without a monitor a paused VM counts as running, and started with -S as unknown; start is found within 2 s, end and a monitor's STOP and RESUME at once")),
	event(direct("vm.rawState", "QMP query-status, or /proc/PID/stat", "")),
	derived("vm.persistent", "/proc/PID", "never: nothing is left of a VM that stops"),
	derived("vm.asOf", "/proc/PID/stat starttime", "of a VM without a monitor: all but state and links is as it was started"),
	line("vm.smbiosUUID", "-smbios type=1,uuid=", "where it isn't vm.uuid"),
	both("vm.generationID", "-device vmgenid,guid=", "query-vm-generation-id"),
	both("vm.vcpus", "-smp", "query-cpus-fast"),
	both("vm.memory", "-m", "query-memory-size-summary"),
	derived("vm.machine", "QMP qom-get /machine type, or /proc/PID/cmdline -machine", "the family of rawMachine"),
	both("vm.rawMachine", "-machine", "qom-get /machine type"),
	derived("vm.architecture", "QMP query-target, or the program's name in /proc/PID/cmdline", ""),
	derived("vm.firmware", "/proc/PID/cmdline -drive if=pflash, -machine pflash0=, -bios", ""),
	absent("vm.title", "QEMU has none"),
	absent("vm.configDigest", "QEMU keeps no description of its own"),
	absent("vm.type", "QEMU runs virtual machines only"),
	absent("vm.pending", "a process has no definition"),
	absent("pending.path", "a process has no definition"),
	absent("pending.live", "a process has no definition"),
	absent("pending.defined", "a process has no definition"),
	absent("vm.snapshots", "not read"),
	absent("snapshot.name", "not read"),
	absent("snapshot.created", "not read"),
	absent("snapshot.stateful", "not read"),
	derived("vm.nics", "QMP qom-list, or /proc/PID/cmdline -device, -nic, -net", "in guest order where PCI addresses are known"),
	derived("vm.disks", "QMP query-block, or /proc/PID/cmdline -device, -drive, -blockdev", "in the order of the command line, then of the monitor"),
	line("vm.placement", "-smbios type=1,serial=dv:VM-ID", "Proxmox VE: the tag dv-vm-… in /etc/pve/qemu-server/VMID.conf (not verified on the real thing)"),
	derived("vm.manager", "/proc/PID/cmdline, ancestors of the process", "who runs QEMU, by its own mark; all but libvirt's not verified on the real thing"),
	derived("vm.image", "the root disk's backing chain", ""),
	line("placement.vm", "-smbios type=1,serial=dv:VM-ID", ""),
	absent("placement.tenant", "a command line has room for an ID only"),
	absent("placement.project", "a command line has room for an ID only"),
	absent("placement.environment", "a command line has room for an ID only"),
	derived("manager.name", "/proc/PID/cmdline -chardev, -readconfig, -pidfile, -smbios", ""),
	absent("manager.version", "not on a command line"),
	absent("manager.project", "not on a command line"),
	absent("manager.flavor", "not on a command line"),
	absent("image.id", "QEMU knows files, not images"),
	absent("image.version", "QEMU knows files, not images"),
	absent("image.digest", "QEMU knows files, not images"),
	derived("image.known", "the root disk's backing chain", "backing-chain"),
	derived("image.source", "the ground of the root disk's backing chain", ""),

	both("nic.mac", "-device mac=, -nic mac=", "qom-get mac"),
	both("nic.model", "-device, -nic model=", "qom-list"),
	line("nic.attachment", "-netdev, -nic", "ethernet is a tap, whatever bridge it is in"),
	direct("nic.link", "/proc/PID/cmdline ifname=, or /proc/PID/fdinfo iff", "not of QEMU in another network namespace"),
	line("nic.bridge", "-netdev bridge,br=", ""),
	absent("nic.network", "QEMU has no networks of its own"),
	absent("nic.vlan", "QEMU knows none: the host's links do"),
	absent("nic.trunks", "QEMU knows none: the host's links do"),
	absent("nic.portID", "QEMU knows none"),
	absent("nic.linkUp", "no query tells it"),
	absent("nic.mtu", "not read"),
	both("nic.address", "-device bus=,addr=", "qom-get addr, parent_bus"),

	both("disk.target", "-device id=, -drive id=", "query-block qdev, device"),
	derived("disk.bus", "the device's model", ""),
	derived("disk.device", "the device's model, -drive media=", ""),
	both("disk.serial", "-device serial=", "qom-get serial"),
	both("disk.wwn", "-device wwn=", "qom-get wwn"),
	both("disk.sourceType", "-drive, -blockdev", "query-block"),
	both("disk.source", "-drive, -blockdev", "query-block"),
	both("disk.format", "-drive, -blockdev", "query-block"),
	direct("disk.capacity", "QMP query-block virtual-size, or the image's header", ""),
	direct("disk.allocation", "QMP query-block actual-size, or the image's file", ""),
	both("disk.readOnly", "-drive readonly=, -blockdev read-only=", "query-block"),
	line("disk.shareable", "-device share-rw=", ""),
	direct("disk.number", "stat(2) st_dev of /proc/PID/root", layerNote),
	direct("disk.blockDevice", "stat(2) st_rdev, /sys/dev/block/*", layerNote),
	direct("disk.dataFile", "an image's header", layerNote),
	direct("disk.fault", "an image's header", layerNote),
	direct("disk.backing", "QMP query-block backing-image, or images' headers", ""),
	direct("backingFile.source", "QMP query-block backing-image, or images' headers", ""),
	direct("backingFile.format", "QMP query-block backing-image, or images' headers", ""),
	direct("backingFile.virtualSize", "QMP query-block backing-image, or images' headers", ""),
	direct("backingFile.allocation", "QMP query-block backing-image, or images' files", ""),
	direct("backingFile.number", "stat(2) st_dev of /proc/PID/root", layerNote),
	direct("backingFile.blockDevice", "stat(2) st_rdev, /sys/dev/block/*", layerNote),
	direct("backingFile.dataFile", "an image's header", layerNote),
	direct("backingFile.fault", "an image's header", layerNote),

	derived("runtime.name", "this collector", ""),
	derived("runtime.platform", "/proc/PID/cmdline", "the manager of every VM, or of whose traces the host has, else qemu"),
	direct("runtime.version", "QMP greeting", "where all monitors tell the same"),
	derived("runtime.endpoint", "/proc", ""),
	derived("runtime.runningOnly", "this collector", "QEMU leaves nothing of a VM that stops"),
	absent("runtime.hypervisor", "QEMU is the hypervisor"),
	absent("runtime.member", "QEMU has no clusters"),
})

const layerNote = "of local images; takes the right to see QEMU's root, as its own user or root"

func sorted(table []inventory.Capability) []inventory.Capability {
	slices.SortFunc(table, func(x, y inventory.Capability) int { return cmp.Compare(x.Field, y.Field) })
	return table
}

func direct(f inventory.Field, from, note string) inventory.Capability {
	return inventory.Capability{Field: f, From: from, Known: inventory.KnownDirect, Change: inventory.ChangeByPoll, Note: note}
}

func derived(f inventory.Field, from, note string) inventory.Capability {
	return inventory.Capability{Field: f, From: from, Known: inventory.KnownDerived, Change: inventory.ChangeByPoll, Note: note}
}

// line is on the command line only.
func line(f inventory.Field, option, note string) inventory.Capability {
	return direct(f, "/proc/PID/cmdline "+option, note)
}

// both is a monitor's where one was named.
func both(f inventory.Field, option, query string) inventory.Capability {
	return direct(f, "QMP "+query+", or /proc/PID/cmdline "+option, "")
}

func event(c inventory.Capability) inventory.Capability {
	c.Change = inventory.ChangeByEvent
	return c
}

func absent(f inventory.Field, note string) inventory.Capability {
	return inventory.Capability{Field: f, Known: inventory.KnownAbsent, Note: note}
}
