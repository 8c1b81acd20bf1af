package incus

import (
	"cmp"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// capabilities is the provenance of every field that a daemon could show. What
// an instance's own description holds raises an event when it changes.
//
// What is known of running VMs was read from documents of the daemons' shape and
// not from a live VM; those of stopped VMs are real (LXD 5.0.2).
var capabilities = sorted([]inventory.Capability{
	config("vm.uuid", "volatile.uuid", "a copy gets its own; a rename, a move and a restored snapshot keep it"),
	config("vm.generationID", "volatile.uuid.generation", "changes when a snapshot is restored; not in LXD 5.0"),
	direct("vm.nativeID", "project, name", "project/name"),
	direct("vm.name", "name", ""),
	derived("vm.type", "type", "empty for virtual-machine"),
	direct("vm.title", "description", ""),
	derived("vm.state", "status_code", "mapped from rawState"),
	direct("vm.rawState", "status", ""),
	derived("vm.persistent", "ephemeral", ""),
	derived("vm.vcpus", "expanded_config limits.cpu", "pinned CPUs are counted; a VM's default of 1; none for a container without a limit"),
	derived("vm.memory", "expanded_config limits.memory", "a VM's default of 1 GiB; none for a share of the host's memory or a container without a limit"),
	derived("vm.machine", "expanded_config volatile.vm.definition", unverified+"; the family of rawMachine"),
	config("vm.rawMachine", "volatile.vm.definition", unverified+"; not in LXD"),
	direct("vm.architecture", "architecture", ""),
	derived("vm.firmware", "expanded_config security.csm", "VMs only: efi unless BIOS is asked for"),
	derived("vm.configDigest", "(all)", "SHA-256 without volatile keys"),
	derived("vm.nics", "expanded_devices", "in the order in which the guest gets them"),
	derived("vm.disks", "expanded_devices", "root first, then by path and name"),
	absent("vm.pending", "the daemon applies what it can and keeps one configuration; what waits for a restart is not told"),
	absent("pending.path", "the daemon applies what it can and keeps one configuration; what waits for a restart is not told"),
	absent("pending.live", "the daemon applies what it can and keeps one configuration; what waits for a restart is not told"),
	absent("pending.defined", "the daemon applies what it can and keeps one configuration; what waits for a restart is not told"),
	beside("vm.snapshots", "GET /1.0/instances/NAME/snapshots", ""),
	derived("vm.placement", "expanded_config user.dataverket.*", ""),
	derived("vm.manager", "expanded_config user.juju-model", ""),
	derived("vm.image", "expanded_config", ""),
	absent("vm.smbiosUUID", "the daemon gives the guest vm.uuid"),
	absent("runtime.runningOnly", "the daemon keeps instances that are stopped"),
	absent("vm.asOf", "every instance is read in the pass"),

	beside("snapshot.name", "GET /1.0/instances/NAME/snapshots name", ""),
	beside("snapshot.created", "GET /1.0/instances/NAME/snapshots created_at", ""),
	beside("snapshot.stateful", "GET /1.0/instances/NAME/snapshots stateful", unverified),

	config("placement.vm", "user.dataverket.vm", ""),
	config("placement.tenant", "user.dataverket.tenant", ""),
	config("placement.project", "user.dataverket.project", ""),
	config("placement.environment", "user.dataverket.environment", ""),

	derived("manager.name", "expanded_config user.juju-model", "juju"),
	config("manager.project", "user.juju-model", "Juju's model"),
	absent("manager.version", "Juju leaves none"),
	absent("manager.flavor", "Juju leaves none"),

	config("image.id", "user.dataverket.image", ""),
	config("image.version", "user.dataverket.imageVersion", ""),
	config("image.digest", "volatile.base_image", "the fingerprint, which the daemon keeps and no copy loses: SHA-256 of the image's files one after the other, so a split image has no file's"),
	derived("image.known", "expanded_config", ""),
	absent("image.source", "the pool's driver keeps it to itself"),

	derived("nic.mac", "expanded_devices hwaddr, volatile.DEVICE.hwaddr", ""),
	derived("nic.model", "type", "VMs only: virtio, the only one there is"),
	derived("nic.attachment", "expanded_devices nictype", "of a managed network by GET /1.0/networks/NETWORK type"),
	config("nic.link", "volatile.DEVICE.host_name", "only while it runs; shown on containers, "+unverified),
	derived("nic.bridge", "expanded_devices parent", "of a managed network the bridge that has its name"),
	devices("nic.network", "network", "the daemon's managed network"),
	devices("nic.vlan", "vlan", "or the managed network's"),
	devices("nic.trunks", "vlan.tagged", ""),
	devices("nic.mtu", "mtu", "only where set"),
	devices("nic.linkUp", "connected", "only where set: not verified on the real thing"),
	config("nic.address", "volatile.DEVICE.last_state.pci.slot.name", "of SR-IOV and physical NICs: not verified on the real thing"),
	absent("nic.portID", "the daemon names no port"),

	derived("disk.target", "expanded_devices", "the device's name"),
	derived("disk.bus", "expanded_devices io.bus", "VMs only: scsi where nobody chose"),
	derived("disk.device", "expanded_devices, GET /1.0/storage-pools/POOL/volumes/custom/NAME content_type", ""),
	derived("disk.sourceType", "expanded_devices source, pool", ""),
	derived("disk.source", "expanded_devices source, pool", "a volume as POOL/TYPE/[PROJECT_]NAME, as in its pool's directory"),
	derived("disk.capacity", "expanded_devices size, GET /1.0/storage-pools/POOL/volumes/custom/NAME config size", "else the pool's volume.size; not told where nobody set one"),
	devices("disk.readOnly", "readonly", ""),
	beside("disk.shareable", "GET /1.0/storage-pools/POOL/volumes/custom/NAME config security.shared", ""),
	absent("disk.serial", "every VM's root disk has the same one, so it tells none from another"),
	absent("disk.wwn", "the daemon gives none"),
	absent("disk.format", "volumes are raw, and the daemon says nothing of files"),
	absent("disk.allocation", "only with the state, which asks the guest's agent"),
	absent("disk.backing", "the pool's driver keeps it to itself"),
	absent("disk.dataFile", "the pool's driver keeps it to itself"),
	absent("disk.number", "not looked at: what a volume lies on is followed by its pool"),
	absent("disk.blockDevice", "not looked at: what a volume lies on is followed by its pool"),
	absent("disk.fault", "not looked at"),
	absent("backingFile.source", "the pool's driver keeps it to itself"),
	absent("backingFile.format", "the pool's driver keeps it to itself"),
	absent("backingFile.virtualSize", "the pool's driver keeps it to itself"),
	absent("backingFile.allocation", "the pool's driver keeps it to itself"),
	absent("backingFile.dataFile", "the pool's driver keeps it to itself"),
	absent("backingFile.number", "the pool's driver keeps it to itself"),
	absent("backingFile.blockDevice", "the pool's driver keeps it to itself"),
	absent("backingFile.fault", "the pool's driver keeps it to itself"),

	beside("storagePool.name", poolsCall+" name", ""),
	beside("storagePool.type", poolsCall+" driver", "lvm as logical, ceph as rbd"),
	beside("storagePool.state", poolsCall+" status", "Created as running"),
	beside("storagePool.source", poolsCall+" config source", "or the driver's key for it: not verified on other drivers than dir"),
	beside("storagePool.target", poolsCall+" config source", "of a directory"),
	beside("storagePool.capacity", poolsCall+"/POOL/resources space", ""),
	beside("storagePool.available", poolsCall+"/POOL/resources space", ""),
	beside("storagePool.volumes", volumesCall, "without images and snapshots"),
	absent("storagePool.uuid", "a pool has none"),
	beside("storageVolume.name", volumesCall+" type, name", "TYPE/[PROJECT_]NAME"),
	beside("storageVolume.type", volumesCall+" content_type", ""),
	beside("storageVolume.path", volumesCall+" type, name", "of a directory, by its driver's layout"),
	beside("storageVolume.format", volumesCall+" content_type", "of a directory"),
	beside("storageVolume.capacity", volumesCall+" config size", "only where set"),
	absent("storageVolume.allocation", "only one by one"),
	absent("storageVolume.backing", "the pool's driver keeps it to itself"),

	server10("runtime.name", "environment.server"),
	server10("runtime.platform", "environment.server"),
	server10("runtime.version", "environment.server_version"),
	server10("runtime.hypervisor", "environment.driver, driver_version"),
	server10("runtime.member", "environment.server_name"),
	server10("runtime.endpoint", "the socket that was connected to"),
})

const (
	poolsCall   = "GET /1.0/storage-pools"
	volumesCall = poolsCall + "/POOL/volumes"
)

const unverified = "not verified on a live VM"

func sorted(table []inventory.Capability) []inventory.Capability {
	slices.SortFunc(table, func(x, y inventory.Capability) int { return cmp.Compare(x.Field, y.Field) })
	return table
}

// direct is a value of the instance's own description.
func direct(f inventory.Field, from, note string) inventory.Capability {
	return inventory.Capability{Field: f, From: instanceCall + " " + from, Known: inventory.KnownDirect, Change: inventory.ChangeByEvent, Note: note}
}

func derived(f inventory.Field, from, note string) inventory.Capability {
	c := direct(f, from, note)
	c.Known = inventory.KnownDerived
	return c
}

func config(f inventory.Field, key, note string) inventory.Capability {
	return direct(f, "expanded_config "+key, note)
}

func devices(f inventory.Field, option, note string) inventory.Capability {
	return direct(f, "expanded_devices "+option, note)
}

// beside is what the daemon keeps elsewhere.
func beside(f inventory.Field, from, note string) inventory.Capability {
	return inventory.Capability{Field: f, From: from, Known: inventory.KnownDirect, Change: inventory.ChangeByEvent, Note: note}
}

func server10(f inventory.Field, from string) inventory.Capability {
	return inventory.Capability{Field: f, From: "GET /1.0 " + from, Known: inventory.KnownDirect, Change: inventory.ChangeByPoll}
}

func absent(f inventory.Field, note string) inventory.Capability {
	return inventory.Capability{Field: f, Known: inventory.KnownAbsent, Note: note}
}
