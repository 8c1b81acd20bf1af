package storage

import (
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// mapped reads what a device of the device mapper is.
func (d *device) mapped(dev *inventory.BlockDevice) {
	dev.DMName = d.text("blockDevice.dmName", "dm/name")
	dev.DMUUID = d.text("blockDevice.dmUUID", "dm/uuid")
	layered(dev)
	if dev.Layer == "lvm" && len(dev.Members) == 1 && d.isThinPool(dev.Members[0]) {
		dev.Layer = "lvm-thin"
	}
	if d.text("", "dm/suspended") == "1" {
		d.fail("", "dm/suspended", "it is suspended: whoever reads or writes waits", "resume it with dmsetup resume, or see what left it so")
	}
}

// isThinPool says whether a logical volume's one member is a pool: only by that
// can a thin volume be told from others.
func (d *device) isThinPool(member string) bool {
	pool := &device{root: d.root, path: sysBlock + "/" + member}
	return strings.HasSuffix(pool.text("", "dm/uuid"), "-tpool")
}

// layered says what the device mapper's name and UUID tell of a device. By
// agreement of the tools that make them, a UUID begins with a word for the tool.
// Neither ever holds anything of a key.
func layered(dev *inventory.BlockDevice) {
	word, rest, _ := strings.Cut(dev.DMUUID, "-")
	switch {
	case word == "LVM":
		dev.Layer, dev.VolumeGroup, dev.LogicalVolume = logicalVolume(dev.DMName, rest)
	case word == "mpath":
		dev.Layer = "mpath"
	case strings.HasPrefix(word, "part") && strings.HasPrefix(rest, "mpath-"): // kpartx
		dev.Layer = "mpath-part"
	case word == "CRYPT":
		kind, _, _ := strings.Cut(strings.ToLower(rest), "-")
		switch kind {
		case "verity", "integrity": // cryptsetup's too, and don't encrypt
			dev.Layer = kind
		default:
			dev.Layer, dev.Encryption = "crypt", kind
		}
	default:
		dev.Layer = "dm"
	}
}

// idLength is that of LVM's two identifiers in a UUID, the group's and the
// volume's, before the layer's name.
const idLength = 32 + 32

// logicalVolume reads what LVM calls a device, VG-LV or VG-LV-LAYER with the
// names' own dashes doubled, and the layer that its UUID ends with.
func logicalVolume(name, ids string) (layer, vg, lv string) {
	parts := splitDashes(name)
	if len(parts) < 2 {
		return "lvm", "", ""
	}
	vg, lv = parts[0], parts[1]
	suffix := strings.TrimPrefix(ids[min(len(ids), idLength):], "-")
	switch {
	case suffix == "pool" || suffix == "tpool":
		return "lvm-thin-pool", vg, lv
	case suffix != "" || isReserved(lv):
		return "lvm-internal", vg, lv
	}
	return "lvm", vg, lv
}

// splitDashes splits at single dashes and makes one of each double one.
func splitDashes(name string) []string {
	var parts []string
	var part strings.Builder
	for i := 0; i < len(name); i++ {
		switch {
		case name[i] != '-':
			part.WriteByte(name[i])
		case i+1 < len(name) && name[i+1] == '-':
			part.WriteByte('-')
			i++
		default:
			parts = append(parts, part.String())
			part.Reset()
		}
	}
	return append(parts, part.String())
}

// reserved are what LVM puts into the names of volumes that are parts of others
// and allows in no volume of a person's (lvm(8), VALID NAMES).
var reserved = []string{"_cdata", "_cmeta", "_corig", "_cvol", "_wcorig", "_iorig", "_imeta", "_mimage", "_mlog", "_rimage", "_rmeta",
	"_tdata", "_tmeta", "_vdata", "_vorigin", "_pmspare"}

func isReserved(lv string) bool {
	for _, word := range reserved {
		if strings.Contains(lv, word) {
			return true
		}
	}
	return false
}
