package storage

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// hardware reads what names a disk for good. The kernel's own files come first
// and udev's database fills what they leave open, since a host may run without
// udev.
func (d *device) hardware(dev *inventory.BlockDevice, record udevRecord) {
	dev.Model = d.text("blockDevice.model", "device/model")
	if vendor := d.text("blockDevice.vendor", "device/vendor"); !strings.HasPrefix(vendor, "0x") {
		dev.Vendor = vendor // virtio's is a PCI vendor number, the same for every disk
	}
	dev.WWN = d.wwn()
	// virtio; NVMe and MMC; SCSI and, through libata, ATA.
	dev.Serial = cmp.Or(d.text("blockDevice.serial", "serial"), d.text("blockDevice.serial", "device/serial"), d.vpdSerial())
	supplement(dev, record.properties)
	if inventory.IsJunkSerial(dev.Serial) {
		dev.Serial = ""
	}
}

// wwn reads the World Wide Name that the device reports: NAA or EUI-64 from
// SCSI's page 83h, NGUID or EUI-64 from NVMe, whose newer namespaces may have a
// UUID in their place. What the kernel makes up where there is none (t10.,
// nvme.) is composed of model and serial, so it is left out.
func (d *device) wwn() string {
	for _, attribute := range []string{"wwid", "device/wwid"} {
		text := strings.ToLower(d.text("blockDevice.wwn", attribute))
		switch prefix, _, _ := strings.Cut(text, "."); prefix {
		case "naa", "eui":
			return inventory.CanonicalWWN(text)
		}
	}
	// The kernel writes these two in groups (drivers/nvme/host/sysfs.c).
	for _, attribute := range []string{"nguid", "eui"} {
		digits := strings.NewReplacer("-", "", " ", "").Replace(d.text("blockDevice.wwn", attribute))
		if strings.Trim(digits, "0") != "" {
			return inventory.CanonicalWWN(digits)
		}
	}
	if text := strings.ToLower(d.text("blockDevice.wwn", "wwid")); strings.HasPrefix(text, "uuid.") {
		return text
	}
	return ""
}

// vpdSerial reads the unit serial number page.
func (d *device) vpdSerial() string {
	const attribute = "device/vpd_pg80"
	page, err := collectors.ReadFile(d.root, d.path+"/"+attribute)
	if err == nil {
		var serial string
		if serial, err = parseUnitSerial(page); err == nil {
			return serial
		}
	}
	if why := collectors.WhyOf(err); why != inventory.WhyAbsent {
		d.problem("blockDevice.serial", attribute, why, err)
	}
	return ""
}

// parseUnitSerial reads SCSI's vital product data page 80h (SPC-4 7.8.15): four
// bytes of header, the last two the length, then the serial in ASCII, padded
// with spaces on either side.
func parseUnitSerial(page []byte) (string, error) {
	const header = 4
	if len(page) < header || page[1] != 0x80 {
		return "", fmt.Errorf("page %s is not page 80h", hex.EncodeToString(page[:min(len(page), header)]))
	}
	length := int(binary.BigEndian.Uint16(page[2:]))
	if header+length > len(page) {
		return "", fmt.Errorf("page 80h is cut short: %d bytes of %d", len(page)-header, length)
	}
	return strings.ToValidUTF8(strings.Trim(string(page[header:header+length]), " \t\r\n\x00"), "\ufffd"), nil
}

// supplement takes the serial and the WWN from udev's database where the kernel
// doesn't show them.
func supplement(dev *inventory.BlockDevice, properties map[string]string) {
	if dev.WWN == "" {
		dev.WWN = inventory.CanonicalWWN(cmp.Or(properties["ID_WWN_WITH_EXTENSION"], properties["ID_WWN"]))
	}
	if dev.Serial == "" {
		dev.Serial = cmp.Or(properties["ID_SCSI_SERIAL"], properties["SCSI_IDENT_SERIAL"], properties["ID_SERIAL_SHORT"])
		if inventory.CanonicalWWN(dev.Serial) == dev.WWN {
			dev.Serial = "" // scsi_id puts the WWN into ID_SERIAL_SHORT
		}
	}
}
