package storage

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// sysBlock is where the kernel lists whole block devices; a partition is a
// directory within its disk's (Documentation/ABI/stable/sysfs-block).
const sysBlock = "/sys/block"

// sectorSize is the unit of sysfs's size, whatever the device's own sectors are.
const sectorSize = 512

func (c *Collector) blockDevices(ctx context.Context, b *collectors.Builder) error {
	names, err := collectors.ReadNames(c.Root, sysBlock)
	if err != nil {
		return err
	}
	paths, byID := nvmePaths(names), c.linksByID()
	questions := make([]*question[report], len(names))
	for i, name := range names {
		questions[i] = c.devices.ask(name, func() (report, error) { return c.readDevice(name, paths[name], byID), nil })
	}
	for i, name := range names {
		found, err := questions[i].await(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // it was listed, so it must not look absent
			found = report{devices: []inventory.BlockDevice{{Name: deviceName(name), Kind: kindByName(name)}}, problems: []inventory.Problem{unanswered(name, err)}}
		}
		for _, dev := range found.devices {
			b.BlockDevice(dev)
		}
		for _, p := range found.problems {
			b.Problem(p)
		}
	}
	return nil
}

// report is what was read of a whole device and its partitions.
type report struct {
	devices  []inventory.BlockDevice
	problems []inventory.Problem
}

func (c *Collector) readDevice(name string, paths []string, byID map[string][]string) (r report) {
	d := &device{root: c.Root, path: sysBlock + "/" + name}
	if d.isUnused(name) {
		return r
	}
	record := d.udev()
	dev := d.whole(name, record)
	if strings.HasPrefix(name, "nvme") {
		d.namespace(&dev, paths)
	}
	dev.Image = c.rbdImage(name)
	named(&dev, record, byID)
	r.devices = append(r.devices, dev)
	for _, part := range d.names("blockDevice.parent", "") {
		p := &device{root: c.Root, path: d.path + "/" + part}
		if p.has("partition") {
			dev := p.partition(part, name)
			named(&dev, p.udev(), byID)
			r.devices = append(r.devices, dev)
			d.problems = append(d.problems, p.problems...)
		}
	}
	r.problems = d.problems
	return r
}

func unanswered(name string, err error) inventory.Problem {
	p := inventory.Problem{Entity: "blockDevice:" + deviceName(name), Call: "read " + sysBlock + "/" + name, Why: collectors.WhyOf(err), Error: err.Error()}
	if timedOut(err) {
		p.Why, p.Remedy = inventory.WhyTimedOut, "see in the kernel's log what the device's driver waits for; the agent asks again as soon as it answers"
	}
	return p
}

// device reads one block device's directory. An attribute that isn't there is
// not reported and no problem: which there are depends on the driver.
type device struct {
	root, path string
	problems   []inventory.Problem
}

// isUnused says whether the name stands for no device: RAM disks, what the
// drivers of loop, nbd and zram make in advance, the single paths that NVMe
// multipathing hides behind a device of its own, and a device that was taken
// out since it was listed.
func (d *device) isUnused(name string) bool {
	if !d.has("size") {
		return true
	}
	switch kind := strings.TrimRight(name, "0123456789"); kind {
	case "ram":
		return true
	case "loop", "nbd", "zram":
		return d.text("", "size") == "0"
	}
	return d.text("", "hidden") == "1"
}

func (d *device) whole(name string, record udevRecord) inventory.BlockDevice {
	dev := d.common(name)
	dev.Kind = d.kind(name)
	dev.Rotational = d.flag("blockDevice.rotational", "queue/rotational")
	dev.Removable = d.flag("blockDevice.removable", "removable")
	dev.BackingFile = d.text("blockDevice.backingFile", "loop/backing_file")
	dev.Members = d.others("blockDevice.members", "slaves")
	switch dev.Kind {
	case "dm":
		d.mapped(&dev)
	case "md":
		d.raid(&dev)
	case "disk", "rom":
		d.hardware(&dev, record)
		d.reachable(&dev)
	}
	return dev
}

func (d *device) partition(name, disk string) inventory.BlockDevice {
	dev := d.common(name)
	dev.Kind, dev.Parent = "part", deviceName(disk)
	return dev
}

func (d *device) common(name string) inventory.BlockDevice {
	dev := inventory.BlockDevice{Name: deviceName(name)}
	if text := d.text("blockDevice.size", "size"); text != "" {
		sectors, err := strconv.ParseUint(text, 10, 55) // 2^64 bytes are 2^55 sectors
		if err != nil {
			d.problem("blockDevice.size", "size", inventory.WhyBroken, fmt.Errorf("%q is not a number of sectors", text))
		} else {
			size := inventory.Bytes(sectors * sectorSize)
			dev.Size = &size
		}
	}
	dev.ReadOnly = d.flag("blockDevice.readOnly", "ro")
	dev.Holders = d.others("blockDevice.holders", "holders")
	return dev
}

// kind tells what the device is by what the kernel shows of it; loop and zram
// devices only have their names to be known by.
func (d *device) kind(name string) string {
	const scsiROM = "5" // SPC-4 table 141, peripheral device type
	switch kind := kindByName(name); {
	case d.has("dm"):
		return "dm"
	case d.has("md"):
		return "md"
	case kind == "loop" || kind == "zram" || kind == "rom":
		return kind
	case d.text("", "device/type") == scsiROM:
		return "rom"
	}
	return "disk"
}

// kindByName is what the name lets one believe.
func kindByName(name string) string {
	switch kind := strings.TrimRight(name, "0123456789"); kind {
	case "dm-":
		return "dm"
	case "sr":
		return "rom"
	case "md", "loop", "zram":
		return kind
	}
	return "disk"
}

// others names the devices that a directory has links to.
func (d *device) others(field inventory.Field, directory string) []string {
	names := d.names(field, directory)
	for i, name := range names {
		names[i] = deviceName(name)
	}
	return names
}

// deviceName gives the name under /dev: sysfs writes its slashes as exclamation
// marks (cciss!c0d0).
func deviceName(name string) string { return strings.ReplaceAll(name, "!", "/") }

func (d *device) has(attribute string) bool {
	_, err := os.Stat(filepath.Join("/", d.root, d.path, attribute))
	return err == nil
}

func (d *device) names(field inventory.Field, directory string) []string {
	names, err := collectors.ReadNames(d.root, filepath.Join(d.path, directory))
	if why := collectors.WhyOf(err); err != nil && why != inventory.WhyAbsent {
		d.problem(field, directory, why, err)
	}
	return names
}

// text reads an attribute. Without a field, whatever hides it is no problem.
func (d *device) text(field inventory.Field, attribute string) string {
	text, err := collectors.ReadText(d.root, d.path+"/"+attribute)
	if why := collectors.WhyOf(err); err != nil && field != "" && why != inventory.WhyAbsent {
		d.problem(field, attribute, why, err)
	}
	return text
}

func (d *device) flag(field inventory.Field, attribute string) *bool {
	switch text := d.text(field, attribute); text {
	case "0", "1":
		is := text == "1"
		return &is
	}
	return nil
}

func (d *device) problem(field inventory.Field, attribute string, why inventory.Why, err error) {
	p := inventory.Problem{
		Entity: "blockDevice:" + deviceName(filepath.Base(d.path)), Field: field,
		Call: d.path + "/" + attribute, Why: why, Error: err.Error(),
	}
	if why == inventory.WhyRefused {
		p.Remedy = "let the agent read " + p.Call
	}
	d.problems = append(d.problems, p)
}
