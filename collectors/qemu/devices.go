package qemu

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// nicDrivers are the device models that are NICs, by the beginning of their name.
var nicDrivers = []string{
	"virtio-net", "e1000", "igb", "rtl8139", "vmxnet3", "ne2k_", "pcnet", "i8255", "i82562", "i82801", "tulip", "usb-net", "spapr-vlan",
	"sungem", "sunhme", "rocker", "dp83932", "lan9118", "smc91c111", "xen-net-device", "cadence_gem", "imx.enet", "fsl_etsec",
}

func isNIC(driver string) bool {
	return slices.ContainsFunc(nicDrivers, func(known string) bool { return strings.HasPrefix(driver, known) })
}

// diskDrivers are the device models that hold a drive, by the beginning of their
// name, with bus and kind.
var diskDrivers = []struct{ prefix, bus, device string }{
	{"virtio-blk", "virtio", "disk"}, {"vhost-user-blk", "virtio", "disk"},
	{"scsi-hd", "scsi", "disk"}, {"scsi-disk", "scsi", "disk"}, {"scsi-block", "scsi", "lun"}, {"scsi-generic", "scsi", "lun"}, {"scsi-cd", "scsi", "cdrom"},
	{"ide-hd", "ide", "disk"}, {"ide-drive", "ide", "disk"}, {"ide-cd", "ide", "cdrom"},
	{"nvme", "nvme", "disk"}, {"usb-storage", "usb", "disk"}, {"floppy", "fdc", "floppy"}, {"sd-card", "sd", "disk"}, {"xen-disk", "xen", "disk"},
}

// diskKind gives a device model's bus and kind, and false where it is no disk.
// IDE disks of a q35 hang on its AHCI, and so do those of a controller that says
// so in its name.
func diskKind(driver, bus, machine string) (canonicalBus, device string, found bool) {
	for _, known := range diskDrivers {
		if !strings.HasPrefix(driver, known.prefix) {
			continue
		}
		canonicalBus = known.bus
		ahci := strings.Contains(bus, "ahci") || strings.Contains(bus, "sata")
		if known.bus == "ide" && (ahci || family(machine) == "q35") {
			canonicalBus = "sata"
		}
		return canonicalBus, known.device, true
	}
	return "", "", false
}

// place is where a device is on PCI: on which bus, and at which slot and
// function.
type place struct {
	bus      string
	slot, fn uint
}

// address writes it as libvirt's collector does: buses are libvirt's controller
// index ("pci.1"), where it named them.
func (p place) address() string {
	bus := p.bus
	for _, prefix := range []string{"pcie.", "pci."} {
		if n, err := strconv.ParseUint(strings.TrimPrefix(bus, prefix), 10, 8); strings.HasPrefix(bus, prefix) && err == nil {
			bus = fmt.Sprintf("%02x", n)
		}
	}
	return fmt.Sprintf("pci:0000:%s:%02x.%x", bus, p.slot, p.fn)
}

// parsePlace reads bus= and addr= (SLOT or SLOT.FUNCTION, hexadecimal).
func parsePlace(p params) (place, bool) {
	slot, fn, _ := strings.Cut(p["addr"], ".")
	s, err := strconv.ParseUint(strings.TrimPrefix(slot, "0x"), 16, 5)
	if err != nil {
		return place{}, false
	}
	f, err := strconv.ParseUint(cmp.Or(strings.TrimPrefix(fn, "0x"), "0"), 16, 3)
	return place{bus: p["bus"], slot: uint(s), fn: uint(f)}, err == nil
}

// bridges are the places of what carries PCI buses, by the name of the bus.
type bridges map[string]place

// path is the way from the root to a device, which is the order in which a guest
// that walks its buses finds it.
func (b bridges) path(p place) []uint {
	path := []uint{p.fn, p.slot}
	for range maxNodes {
		up, found := b[p.bus]
		if !found {
			break
		}
		p = up
		path = append(path, p.fn, p.slot)
	}
	slices.Reverse(path)
	return path
}

// placed is a device with its place, where that is known.
type placed[T any] struct {
	device T
	at     place
	known  bool
}

// inGuestOrder sorts devices as the guest finds them. Where the place of one
// isn't known, the order of creation is all there is.
func inGuestOrder[T any](all []placed[T], b bridges) []T {
	if !slices.ContainsFunc(all, func(p placed[T]) bool { return !p.known }) {
		slices.SortStableFunc(all, func(x, y placed[T]) int { return slices.Compare(b.path(x.at), b.path(y.at)) })
	}
	var sorted []T
	for _, p := range all {
		sorted = append(sorted, p.device)
	}
	return sorted
}
