package qemu

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// disk is a disk with what told of it.
type disk struct {
	inventory.Disk
	backend   string // the drive or node that the device was given
	bootindex int    // 0 for none
}

// disks lists the disks that the VM was started with, in the order of the
// command line.
func (inv *invocation) disks() []disk {
	nodes := newGraph(inv.blockdevs)
	drives := map[string]params{}
	for _, p := range inv.drives {
		drives[p["id"]] = p
	}
	var disks []disk
	for _, p := range inv.drives {
		if d, attached := inv.drive(p); attached {
			disks = append(disks, d)
		}
	}
	for _, p := range inv.devices {
		bus, device, found := diskKind(p["driver"], p["bus"], inv.machine)
		if !found {
			continue
		}
		d := disk{backend: p["drive"]}
		d.Bus, d.Device, d.Target = bus, device, p["id"]
		d.Serial, d.WWN = p["serial"], wwn(p["wwn"])
		d.Shareable = p.on("share-rw")
		// QEMU counts from 0, and the lowest starts first.
		if n, err := strconv.Atoi(p["bootindex"]); err == nil && n >= 0 {
			d.bootindex = n + 1
		}
		switch drive, byDrive := drives[d.backend]; {
		case d.backend == "":
			if p["driver"] == "nvme" || device == "disk" {
				continue // a controller, or one whose data is told by its namespaces
			}
		case byDrive:
			d.Target = firstOf(d.Target, d.backend)
			d.takeDrive(drive)
		default:
			d.set(nodes.image(nodes[d.backend]))
			d.ReadOnly = nodes[d.backend].on("read-only")
		}
		disks = append(disks, d)
	}
	return disks
}

// drive reads a -drive that makes its own device, as all do but those that are
// given to one (if=none) and firmware.
func (inv *invocation) drive(p params) (disk, bool) {
	d := disk{backend: p["id"]}
	d.Target, d.Device = p["id"], "disk"
	switch p["if"] {
	case "none", "pflash", "mtd":
		return disk{}, false
	case "floppy":
		d.Bus, d.Device = "fdc", "floppy"
	case "", "ide":
		d.Bus = "ide"
		if family(inv.machine) == "q35" {
			d.Bus = "sata"
		}
	default:
		d.Bus = inventory.CanonicalBus(p["if"])
	}
	d.takeDrive(p)
	return d, true
}

// takeDrive reads a -drive's image.
func (d *disk) takeDrive(p params) {
	if p["media"] == "cdrom" {
		d.Device = "cdrom"
	}
	im := namedImage(p["file"])
	if inner := p.below("file"); len(inner) > 0 {
		im = graph{}.image(inner)
	}
	im.format = firstOf(p["format"], p["driver"], im.format)
	d.set(im)
	d.ReadOnly = d.ReadOnly || p.on("readonly") || p.on("read-only")
	d.Serial = firstOf(d.Serial, p["serial"])
}

func (d *disk) set(im image) {
	d.SourceType, d.Source, d.Format, d.Backing = im.sourceType, im.source, im.format, im.backing
	if d.Source == "" { // an empty drive has no format
		d.Format = ""
	}
}

// wwn writes a WWN as the inventory has it, of the number that QEMU takes.
func wwn(text string) string {
	n, err := strconv.ParseUint(text, 0, 64)
	if err != nil || n == 0 {
		return ""
	}
	return inventory.CanonicalWWN(hex16(n))
}

func hex16(n uint64) string {
	text := strconv.FormatUint(n, 16)
	return strings.Repeat("0", max(16-len(text), 0)) + text
}

// rootDisk is the index of the disk that the VM starts from: of those that hold
// data, the one with the lowest bootindex, or else the first. It is -1 where
// none is.
func rootDisk(disks []disk) int {
	root := -1
	for i := range disks {
		if !disks[i].IsStorage() {
			continue
		}
		if root < 0 || cmp.Or(cmp.Compare(bootOrder(disks[i]), bootOrder(disks[root])), i-root) < 0 {
			root = i
		}
	}
	return root
}

func bootOrder(d disk) int {
	if d.bootindex == 0 {
		return 1 << 30
	}
	return d.bootindex
}

// defaultSerial says whether QEMU made the serial up, as it does for IDE.
func defaultSerial(serial string) bool {
	digits, found := strings.CutPrefix(serial, "QM")
	return found && len(digits) == 5 && !slices.ContainsFunc([]byte(digits), func(c byte) bool { return c < '0' || c > '9' })
}
