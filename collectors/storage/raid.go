package storage

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/dataverket/avstem/inventory"
)

// raid reads how well an array of the md driver is (Documentation/admin-guide/md.rst).
func (d *device) raid(dev *inventory.BlockDevice) {
	dev.Layer = "md"
	dev.RAIDLevel = d.text("blockDevice.raidLevel", "md/level")
	switch state := d.text("blockDevice.raidState", "md/array_state"); state {
	case "clean", "active", "write-pending", "active-idle": // by turns, with every write
		dev.RAIDState = "active"
	default:
		dev.RAIDState = state
	}
	dev.RAIDDegraded = d.number("blockDevice.raidDegraded", "md/degraded")
	if action := d.text("blockDevice.raidAction", "md/sync_action"); action != "idle" {
		dev.RAIDAction = action
	}
}

// number reads an attribute that counts.
func (d *device) number(field inventory.Field, attribute string) *int {
	text := d.text(field, attribute)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		d.problem(field, attribute, inventory.WhyBroken, fmt.Errorf("%q is not a number", text))
		return nil
	}
	number := int(n)
	return &number
}

// reachable reads what the kernel says of the way to a disk: of SCSI its device,
// of NVMe its controller.
func (d *device) reachable(dev *inventory.BlockDevice) {
	dev.PathState = d.text("blockDevice.pathState", "device/state")
	switch dev.PathState {
	case "", "running", "live":
		return
	}
	d.fail("blockDevice.pathState", "device/state", "the kernel calls it "+dev.PathState, "see the kernel's log, and the disk, its cable and its controller")
}

// fail records that the device itself doesn't work.
func (d *device) fail(field inventory.Field, attribute, what, remedy string) {
	d.problem(field, attribute, inventory.WhyBroken, errors.New(what))
	d.problems[len(d.problems)-1].Remedy = remedy
}
