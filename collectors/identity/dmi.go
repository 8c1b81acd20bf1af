package identity

import (
	"errors"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// dmiPath is where the kernel shows the SMBIOS strings
// (drivers/firmware/dmi-id.c). Serials and the UUID are readable by root only.
const dmiPath = "/sys/class/dmi/id/"

const dmiRemedy = "run avstem-agent as root, or give its service CAP_DAC_READ_SEARCH (AmbientCapabilities=)"

var errNoDMI = errors.New("no SMBIOS here (usual for micro-VMs and for Arm boards with a device tree): neither serials nor a system UUID")

// dmi reads the SMBIOS strings. One that is missing is simply not reported; only
// where there are none at all is that a problem, and one, not seven.
func (r *reader) dmi() {
	attributes := []struct {
		file  string
		field inventory.Field
		keep  func(text string) (isJunk bool)
	}{
		{"sys_vendor", "host.vendor", keepText(&r.host.Vendor)},
		{"product_name", "host.product", keepText(&r.host.Product)},
		{"product_uuid", "host.systemUUID", r.keepSystemUUID},
		{"product_serial", "host.serial", keepText(&r.host.Serial)},
		{"board_serial", "host.boardSerial", keepText(&r.host.BoardSerial)},
		{"chassis_serial", "host.chassisSerial", keepText(&r.host.ChassisSerial)},
		{"chassis_asset_tag", "host.assetTag", keepText(&r.host.AssetTag)},
	}
	found := false
	for _, a := range attributes {
		text, err := collectors.ReadText(r.root, dmiPath+a.file)
		why := collectors.WhyOf(err)
		switch {
		case err == nil:
			found = true
			if text != "" && a.keep(text) {
				r.host.Junk = append(r.host.Junk, string(a.field[len("host."):])+": "+text)
			}
		case why != inventory.WhyAbsent:
			found = true
			r.problem(a.field, dmiPath+a.file, why, err, dmiRemedy)
		}
	}
	if !found {
		r.problem("host.systemUUID", dmiPath, inventory.WhyAbsent, errNoDMI, "")
	}
}

// keepText sets a text unless it is one that vendors ship unset.
func keepText(to *string) func(string) bool {
	return func(text string) bool {
		if inventory.IsJunkSerial(text) {
			return true
		}
		*to = text
		return false
	}
}

func (r *reader) keepSystemUUID(text string) bool {
	id, err := inventory.ParseUUID(text)
	if err != nil {
		r.problem("host.systemUUID", dmiPath+"product_uuid", inventory.WhyBroken, err, "")
		return false
	}
	if inventory.IsJunkUUID(id) {
		return true
	}
	r.host.SystemUUID = id
	return false
}
