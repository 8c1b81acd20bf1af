package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dataverket/avstem/collectors/internal/diskimage"
	"github.com/dataverket/avstem/inventory"
)

// currentNICs are the NICs that a monitor shows, in guest order. How each meets
// the host is on the command line only, by the name of what it hangs on.
func (a *answers) currentNICs(r *reading, started []nic) []nic {
	var all []placed[nic]
	for _, q := range a.nics {
		n := nic{netdev: q.netdev}
		n.Model = inventory.CanonicalNICModel(q.driver)
		mac, err := inventory.ParseMAC(q.mac)
		if err != nil {
			r.add("nic.mac", fmt.Errorf("read a NIC's MAC: %w", err), "")
		}
		n.MAC = mac
		i := slices.IndexFunc(started, func(s nic) bool { return s.netdev != "" && s.netdev == q.netdev })
		if i < 0 {
			i = slices.IndexFunc(started, func(s nic) bool { return s.MAC == mac && s.MAC != inventory.MAC{} })
		}
		switch {
		case i >= 0:
			n.Attachment, n.Link, n.Bridge, n.tap, n.fds, n.Address = started[i].Attachment, started[i].Link, started[i].Bridge, started[i].tap, started[i].fds, started[i].Address
		case r.process == nil || r.process.inv.netdev(q.netdev) == nil:
			n.tap = q.netdev != "" // plugged in since: a tap that is left over is its
		default:
			n.attach(r.process.inv.netdev(q.netdev))
		}
		if n.Address == "" && q.known {
			at := q.at
			at.bus = filepath.Base(at.bus)
			n.Address = at.address()
		}
		all = append(all, placed[nic]{n, q.at, q.known})
	}
	return inGuestOrder(all, a.bridges)
}

// currentDisks are the disks that a monitor shows: those of the command line in
// its order, then what was plugged in since.
func (a *answers) currentDisks(r *reading, started []disk) []disk {
	type ranked struct {
		disk
		rank int
	}
	var all []ranked
	for _, b := range a.blocks {
		bus, device, found := diskKind(b.driver, b.bus, a.machine)
		if !found {
			continue
		}
		d := disk{backend: b.Device}
		d.Bus, d.Device, d.Target = bus, device, b.target()
		if !defaultSerial(b.serial) {
			d.Serial = b.serial
		}
		if b.wwn != 0 {
			d.WWN = inventory.CanonicalWWN(hex16(b.wwn))
		}
		if b.Inserted != nil {
			d.takeImage(&b.Inserted.Image, r.files)
			d.ReadOnly = b.Inserted.ReadOnly
			if d.backend == "" {
				d.backend = b.Inserted.NodeName
			}
		}
		rank := slices.IndexFunc(started, func(s disk) bool {
			return (s.Target != "" && s.Target == d.Target) || (s.backend != "" && s.backend == d.backend) || (s.Source != "" && s.Source == d.Source)
		})
		if rank >= 0 {
			d.bootindex, d.Shareable = started[rank].bootindex, started[rank].Shareable
		} else {
			rank = len(started)
		}
		all = append(all, ranked{d, rank})
	}
	slices.SortStableFunc(all, func(x, y ranked) int { return x.rank - y.rank })
	var disks []disk
	for _, d := range all {
		disks = append(disks, d.disk)
	}
	return disks
}

// target is what people call the disk: the device's ID, or the drive's.
func (b *block) target() string {
	if id, found := strings.CutPrefix(b.QDev, deviceRoots[0]+"/"); found {
		return id
	}
	return b.Device
}

// takeImage reads an image and its backing chain as QEMU has them open.
func (d *disk) takeImage(i *blockImage, f *files) {
	im := namedImage(i.Filename)
	if im.sourceType == "file" || im.sourceType == "block" {
		im.source = f.whole(im.source)
	}
	im.format = i.Format
	if _, protocol := protocols[im.format]; protocol {
		im.format = "raw" // what a node without a format is
	}
	d.set(im)
	d.Capacity, d.Allocation = bytesOf(&i.Virtual), bytesOf(i.Actual)
	for below := i.Backing; below != nil && len(d.Backing) < diskimage.MaxChain; below = below.Backing {
		layer := namedImage(below.Filename)
		d.Backing = append(d.Backing, inventory.BackingFile{Source: f.whole(layer.source), Format: below.Format,
			VirtualSize: bytesOf(&below.Virtual), Allocation: bytesOf(below.Actual)})
	}
}

func bytesOf(n *uint64) *inventory.Bytes {
	if n == nil {
		return nil
	}
	size := inventory.Bytes(*n)
	return &size
}

// readDisks reads what images say of themselves, and what the root disk was made
// from. Images are read as QEMU sees them, below its own root.
func (c *Collector) readDisks(r *reading, disks []disk, told bool) {
	for i := range disks {
		d := &disks[i].Disk
		if r.process != nil && d.IsStorage() && (d.SourceType == "file" || d.SourceType == "block") && filepath.IsAbs(d.Source) {
			c.readImage(r, d, told)
			d.Source = c.elsewhere(r.process.pid, d.Source) + d.Source
		}
		r.vm.Disks = append(r.vm.Disks, *d)
	}
	if root := rootDisk(disks); root >= 0 && len(disks[root].Backing) > 0 {
		chain := disks[root].Backing
		r.vm.Image = &inventory.Image{Source: chain[len(chain)-1].Source, Known: inventory.ImageByChain}
	}
}

// elsewhere names the mount namespace that a path of a process is of, as
// /proc/PID/ns/mnt does ("mnt:[4026532281]"), where the host has nothing or another
// file by that path: two containers may each have a /disk.img. It is empty where
// the file is the host's, as with libvirt's namespaces, or it can't be told. The
// host is what its first process sees: our own mounts may be others.
func (c *Collector) elsewhere(pid int, path string) string {
	below := func(pid int, name string) string { return filepath.Join("/", c.Root, procFile(pid, name)) }
	seen, err := os.Stat(filepath.Join(below(pid, "root"), path))
	if err != nil {
		return ""
	}
	hosts, err := os.Stat(filepath.Join(below(1, "root"), path))
	if err == nil && os.SameFile(seen, hosts) || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	namespace, err := os.Readlink(below(pid, "ns/mnt"))
	if err != nil {
		return ""
	}
	return namespace
}

// readImage reads a disk's chain of images. Of one that a monitor told, it adds
// only where the layers lie.
func (c *Collector) readImage(r *reading, d *inventory.Disk, told bool) {
	chain, err := diskimage.ReadChain(filepath.Join("/", c.Root, procFile(r.process.pid, "root")), d.Source, d.Format)
	layers := diskimage.Layers(chain)
	if len(chain) > 0 {
		d.Number, d.BlockDevice, d.DataFile, d.Fault = chain[0].Number, chain[0].BlockDevice, chain[0].DataFile, chain[0].Fault
	}
	if told {
		for i := range d.Backing {
			if i < len(layers) && layers[i].Source == d.Backing[i].Source {
				own := &d.Backing[i]
				own.Number, own.BlockDevice, own.DataFile, own.Fault = layers[i].Number, layers[i].BlockDevice, layers[i].DataFile, layers[i].Fault
			}
		}
		return
	}
	if len(chain) > 0 {
		d.Capacity, d.Allocation = chain[0].VirtualSize, chain[0].Allocation
	}
	if len(layers) > 0 || err == nil {
		d.Backing = layers
	}
	// Another manager's VM has a source of its own, which tells its disks.
	if err != nil && r.runBy == "" && !gone(err) {
		field := inventory.Field("disk.backing")
		if d.Format == "raw" { // which has nothing below it
			field = "disk.capacity"
		}
		r.list = append(r.list, problem("", field, "read an image", err, refusal))
	}
}
