package identity

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
	const dmi, rootOnly = "/sys/class/dmi/id/", "only root may read it"
	return []inventory.Capability{
		direct("host.architecture", "/proc/sys/kernel/arch", "uname(2) before Linux 6.1"),
		direct("host.assetTag", dmi+"chassis_asset_tag", ""),
		direct("host.boardSerial", dmi+"board_serial", rootOnly),
		direct("host.chassisSerial", dmi+"chassis_serial", rootOnly),
		direct("host.cpuModel", "/proc/cpuinfo model name", "Arm's kernel doesn't tell it"),
		derived("host.cpus", "/sys/devices/system/cpu/online", "counted"),
		derived("host.endorsementKey", tpmPath+" TPM2_NV_Read or TPM2_ReadPublic", "SHA-256 of the public key; a TPM 1.2 isn't asked"),
		direct("host.hostname", "/proc/sys/kernel/hostname", ""),
		derived("host.junk", dmi+"*", "values that firmware ships unset, left out of their fields"),
		direct("host.kernel", "/proc/sys/kernel/osrelease", ""),
		derived("host.machineID", "/etc/machine-id", "hashed for avstem as machine-id(5) asks"),
		direct("host.macs", "/sys/class/net/*/address, /proc/net/bonding/*", "physical NICs but USB's; a virtual function is none"),
		derived("host.memory", "/proc/meminfo MemTotal", "KiB there; without what firmware and kernel reserve"),
		direct("host.os", "/etc/os-release PRETTY_NAME", "/usr/lib/os-release where that isn't"),
		direct("host.product", dmi+"product_name", ""),
		direct("host.serial", dmi+"product_serial", rootOnly),
		direct("host.systemUUID", dmi+"product_uuid", rootOnly),
		direct("host.vendor", dmi+"sys_vendor", ""),
	}
}
