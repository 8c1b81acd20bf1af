package libvirt

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/dataverket/avstem/inventory"
)

// told are the fields of which each change raises an event that Watch passes on.
// Of NICs and disks only what is attached to a running VM does, and so they count
// as polled.
var told = []inventory.Field{
	"vm.uuid", "vm.name", "vm.persistent", "vm.state", "vm.rawState", "vm.title",
	"vm.placement", "placement.vm", "placement.tenant", "placement.project", "placement.environment",
}

// capabilities is the provenance of every field that a libvirt daemon could
// show.
var capabilities = sorted([]inventory.Capability{
	listed("vm.uuid", "virConnectListAllDomains uuid"),
	listed("vm.name", "virConnectListAllDomains name"),
	direct("vm.persistent", "virConnectListAllDomains(VIR_CONNECT_LIST_DOMAINS_PERSISTENT)", ""),
	absent("vm.nativeID", "a domain's own identity is its UUID"),
	derived("vm.state", "virDomainGetState state, reason", "mapped from rawState"),
	direct("vm.rawState", "virDomainGetState state, reason", "in virsh's words"),
	fromXML("vm.title", "title", ""),
	fromXML("vm.smbiosUUID", "hwuuid, sysinfo[smbios]/system/entry[uuid]", "only where set; else the guest sees vm.uuid"),
	fromXML("vm.generationID", "genid", "only where set"),
	fromXML("vm.vcpus", "vcpu/@current, vcpu", "what the guest was given, not what may be plugged in"),
	fromXML("vm.memory", "memory", "the configured maximum at boot"),
	derivedXML("vm.machine", "os/type/@machine", "the family of rawMachine"),
	fromXML("vm.rawMachine", "os/type/@machine", ""),
	fromXML("vm.architecture", "os/type/@arch", ""),
	derivedXML("vm.firmware", "os/@firmware, os/loader/@type", "bios where an x86 machine has no loader; absent for a loader in ROM"),
	derivedXML("vm.configDigest", "(all)", "SHA-256 without what changes on its own"),
	absent("vm.type", "this driver runs virtual machines only"),
	derived("vm.pending", definitionCall, "of a running persistent domain; read when an event or its XML tells of a change, while something is pending, and each "+strconv.Itoa(definitionTurn)+"th pass"),
	derived("pending.path", definitionCall, ""),
	derived("pending.live", domainCall, "as it runs"),
	derived("pending.defined", definitionCall, "as it is started next"),
	absent("vm.snapshots", "not read"),
	absent("snapshot.name", "not read"),
	absent("snapshot.created", "not read"),
	absent("snapshot.stateful", "not read"),
	absent("vm.asOf", "every VM is read in the pass"),
	derivedXML("vm.nics", "devices/interface", "ordered by PCI path, as the guest finds them"),
	derivedXML("vm.disks", "devices/disk", "in libvirt's order: by bus and target"),
	fromXML("vm.placement", "metadata/dv:placement", ""),
	derivedXML("vm.manager", "metadata, sysinfo/system", "by the namespace of a manager's element, or the system's manufacturer and product"),
	derivedXML("vm.image", "metadata, devices/disk/backingStore", ""),

	fromXML("placement.vm", "metadata/dv:placement/@vm", ""),
	fromXML("placement.tenant", "metadata/dv:placement/@tenant", ""),
	fromXML("placement.project", "metadata/dv:placement/@project", ""),
	fromXML("placement.environment", "metadata/dv:placement/@environment", ""),

	derivedXML("manager.name", "metadata", "openstack-nova, ovirt, kubevirt, opennebula, cloudstack, none of them verified on the real thing; libosinfo's element names an OS and no manager"),
	fromXML("manager.version", "metadata/nova:instance/nova:package/@version, one:vm/one:opennebula_version", "Nova and OpenNebula"),
	fromXML("manager.project", "metadata/nova:instance/nova:owner/nova:project/@uuid", "Nova; KubeVirt's namespace is the domain's name up to the underscore; OpenNebula's group"),
	fromXML("manager.flavor", "metadata/nova:instance/nova:flavor/@name", "Nova only"),

	fromXML("image.id", "metadata/placement/@image, nova:instance/nova:image/@uuid, nova:root/@uuid", "the placement's counts where both are there"),
	fromXML("image.version", "metadata/placement/@imageVersion", ""),
	absent("image.digest", "libvirt knows no images: see imageFile.digest of source images"),
	derivedXML("image.known", "metadata, devices/disk/backingStore", ""),
	derivedXML("image.source", "devices/disk/backingStore", "the ground of the root disk's chain; of a stopped VM from its images"),

	fromXML("nic.mac", "devices/interface/mac/@address", ""),
	fromXML("nic.model", "devices/interface/model/@type", ""),
	fromXML("nic.attachment", "devices/interface/@type, virtualport/@type", ""),
	fromXML("nic.link", "devices/interface/target/@dev", "only while the VM runs"),
	fromXML("nic.bridge", "devices/interface/source/@bridge", "of a stopped VM's libvirt network from virNetworkGetXMLDesc bridge/@name"),
	fromXML("nic.network", "devices/interface/source/@network, @portgroup", "network or network/portgroup"),
	fromXML("nic.vlan", "devices/interface/vlan/tag", "the access VLAN, or a trunk's native one (nativeMode); of a stopped VM's libvirt network from virNetworkGetXMLDesc"),
	fromXML("nic.trunks", "devices/interface/vlan[trunk]/tag", ""),
	fromXML("nic.portID", "devices/interface/virtualport/parameters/@interfaceid", ""),
	fromXML("nic.linkUp", "devices/interface/link/@state", "up where it isn't given"),
	fromXML("nic.mtu", "devices/interface/mtu/@size", "only where set"),
	fromXML("nic.address", "devices/interface/address", "a PCI bus is libvirt's controller index"),

	fromXML("disk.target", "devices/disk/target/@dev", ""),
	fromXML("disk.bus", "devices/disk/target/@bus", ""),
	fromXML("disk.device", "devices/disk/@device", ""),
	fromXML("disk.serial", "devices/disk/serial", "only where set"),
	fromXML("disk.wwn", "devices/disk/wwn", "only where set"),
	fromXML("disk.sourceType", "devices/disk/@type", ""),
	fromXML("disk.source", "devices/disk/source", ""),
	fromXML("disk.format", "devices/disk/driver/@type", ""),
	direct("disk.capacity", "virDomainGetBlockInfo capacity", sizeNote),
	direct("disk.allocation", "virDomainGetBlockInfo allocation", sizeNote),
	fromXML("disk.readOnly", "devices/disk/readonly", ""),
	fromXML("disk.shareable", "devices/disk/shareable", ""),
	fromXML("disk.backing", "devices/disk/backingStore", "of a stopped VM from its images' headers, or of its pools' volumes where those may not be read"),
	direct("disk.number", "stat(2) st_dev", layerNote),
	direct("disk.blockDevice", "stat(2) st_rdev, /sys/dev/block/*", layerNote),
	direct("disk.dataFile", "the image's qcow2 header, external data file", layerNote),
	derived("disk.fault", "stat(2), the image's header", layerNote),
	fromXML("backingFile.source", "devices/disk/backingStore/source", "or an image header's backing file"),
	fromXML("backingFile.format", "devices/disk/backingStore/format/@type", "or an image header's backing format"),
	direct("backingFile.virtualSize", "the image's header; of a raw one stat(2) st_size",
		layerNote+"; else virConnectGetAllDomainStats block.N.capacity, of a stopped VM virStorageVolGetXMLDesc capacity"),
	direct("backingFile.allocation", "stat(2) st_blocks", layerNote+"; else virStorageVolGetXMLDesc allocation"),
	direct("backingFile.number", "stat(2) st_dev", layerNote),
	direct("backingFile.blockDevice", "stat(2) st_rdev, /sys/dev/block/*", layerNote),
	direct("backingFile.dataFile", "the image's qcow2 header, external data file", layerNote),
	derived("backingFile.fault", "stat(2), the image's header", layerNote),

	direct("storagePool.name", poolsCall+" name", ""),
	direct("storagePool.uuid", poolsCall+" uuid", ""),
	direct("storagePool.state", "virStoragePoolGetInfo state", ""),
	direct("storagePool.type", poolCall+" pool/@type", ""),
	derived("storagePool.source", poolCall+" source", ""),
	direct("storagePool.target", poolCall+" target/path", ""),
	direct("storagePool.capacity", poolCall+" capacity", "as of the pool's last refresh"),
	direct("storagePool.available", poolCall+" available", "as of the pool's last refresh"),
	direct("storagePool.volumes", volumesCall, "those that were there at the pool's last refresh, which a read-only connection can't make"),
	direct("storageVolume.name", volumesCall+" name", ""),
	direct("storageVolume.path", volumeCall+" target/path", ""),
	direct("storageVolume.type", volumeCall+" volume/@type", ""),
	direct("storageVolume.format", volumeCall+" target/format/@type", "libvirt probes it when the pool is refreshed: a guest may have written it"),
	direct("storageVolume.capacity", volumeCall+" capacity", ""),
	direct("storageVolume.allocation", volumeCall+" allocation", ""),
	direct("storageVolume.backing", volumeCall+" backingStore", "the nearest layer only"),

	derived("runtime.name", "virConnectGetType", ""),
	derived("runtime.platform", "virDomainGetXMLDesc metadata", "the manager whose marks every VM carries, or of no VMs whose files the host has, else libvirt"),
	direct("runtime.version", "virConnectGetLibVersion", ""),
	direct("runtime.hypervisor", "virConnectGetType, virConnectGetVersion", "beside the pass"),
	absent("runtime.runningOnly", "it keeps VMs that are stopped"),
	absent("runtime.member", "libvirt has no clusters"),
	direct("runtime.endpoint", "the socket that was connected to", ""),
})

const sizeNote = "beside the pass; disks that hold data only; a stopped VM's volume by virStorageVolGetInfo"

const layerNote = "beside the pass; files and devices of this host, where the agent may open them"

func sorted(table []inventory.Capability) []inventory.Capability {
	slices.SortFunc(table, func(x, y inventory.Capability) int { return cmp.Compare(x.Field, y.Field) })
	return table
}

func capability(f inventory.Field, from, known, note string) inventory.Capability {
	change := inventory.ChangeByPoll
	if slices.Contains(told, f) {
		change = inventory.ChangeByEvent
	}
	return inventory.Capability{Field: f, From: from, Known: known, Change: change, Note: note}
}

func direct(f inventory.Field, from, note string) inventory.Capability {
	return capability(f, from, inventory.KnownDirect, note)
}

func derived(f inventory.Field, from, note string) inventory.Capability {
	return capability(f, from, inventory.KnownDerived, note)
}

// listed is known even of a VM that can't be read.
func listed(f inventory.Field, from string) inventory.Capability {
	return capability(f, from, inventory.KnownDirect, "known of a VM that can't be read, too")
}

func fromXML(f inventory.Field, path, note string) inventory.Capability {
	return capability(f, domainCall+" "+path, inventory.KnownDirect, note)
}

func derivedXML(f inventory.Field, path, note string) inventory.Capability {
	return capability(f, domainCall+" "+path, inventory.KnownDerived, note)
}

func absent(f inventory.Field, note string) inventory.Capability {
	return inventory.Capability{Field: f, Known: inventory.KnownAbsent, Note: note}
}
