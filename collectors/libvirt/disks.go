package libvirt

import (
	"cmp"
	"net"

	"libvirt.org/go/libvirtxml"

	"github.com/dataverket/avstem/collectors/internal/diskimage"
	"github.com/dataverket/avstem/inventory"
)

// readDisks reads the disks in XML order: libvirt sorts them by bus and target
// when it parses a domain, and places them in the guest in that order. Only one
// that was plugged in before another's turn is elsewhere in the guest, which
// numbers each bus by itself anyway.
func readDisks(doc *domainDoc) []inventory.Disk {
	var disks []inventory.Disk
	for i := range doc.Devices.Disks {
		disks = append(disks, readDisk(&doc.Devices.Disks[i]))
	}
	return disks
}

func readDisk(d *libvirtxml.DomainDisk) inventory.Disk {
	disk := inventory.Disk{
		Device:    d.Device,
		Serial:    d.Serial,
		WWN:       inventory.CanonicalWWN(d.WWN),
		ReadOnly:  d.ReadOnly != nil,
		Shareable: d.Shareable != nil,
	}
	if disk.Device == "" {
		disk.Device = "disk" // libvirt's default
	}
	if d.Target != nil {
		disk.Target, disk.Bus = d.Target.Dev, inventory.CanonicalBus(d.Target.Bus)
	}
	disk.SourceType, disk.Source = source(d.Source)
	if d.Driver != nil && disk.Source != "" { // an empty drive has no format
		disk.Format = d.Driver.Type
	}
	for store := d.BackingStore; store != nil && len(disk.Backing) < diskimage.MaxChain; store = store.BackingStore {
		_, name := source(store.Source)
		if name == "" { // <backingStore/> ends the chain
			break
		}
		file := inventory.BackingFile{Source: name}
		if store.Format != nil {
			file.Format = store.Format.Type
		}
		disk.Backing = append(disk.Backing, file)
	}
	return disk
}

// source gives the type and name of a disk's source, both empty for a drive
// without a medium.
func source(s *libvirtxml.DomainDiskSource) (kind, name string) {
	switch {
	case s == nil:
	case s.File != nil:
		kind, name = "file", s.File.File
	case s.Block != nil:
		kind, name = "block", s.Block.Dev
	case s.Network != nil:
		kind = "network"
		if s.Network.Protocol != "" {
			name = s.Network.Protocol + ":" + cmp.Or(s.Network.Name, server(s.Network.Hosts))
		}
		if s.Network.Snapshot != nil {
			name += "@" + s.Network.Snapshot.Name
		}
	case s.Volume != nil:
		kind = "volume"
		if s.Volume.Volume != "" {
			name = s.Volume.Pool + "/" + s.Volume.Volume
		}
	case s.Dir != nil:
		kind, name = "dir", s.Dir.Dir
	case s.NVME != nil && s.NVME.PCI != nil:
		kind = "nvme"
		name = deviceAddress(&libvirtxml.DomainAddress{PCI: s.NVME.PCI.Address})
	case s.VHostUser != nil:
		kind = "vhostuser"
		if s.VHostUser.UNIX != nil {
			name = s.VHostUser.UNIX.Path
		}
	case s.VHostVDPA != nil:
		kind, name = "vhostvdpa", s.VHostVDPA.Dev
	}
	if name == "" {
		return "", ""
	}
	return kind, name
}

// server is where a source is that has no name there, as NBD's may have none.
func server(hosts []libvirtxml.DomainDiskSourceHost) string {
	if len(hosts) == 0 {
		return ""
	}
	if hosts[0].Socket != "" {
		return hosts[0].Socket
	}
	return net.JoinHostPort(hosts[0].Name, hosts[0].Port)
}

// rootDisk is the index of the disk that the VM starts from: of those that hold
// data, the first in <boot order=…>, or else the first. It is -1 where none is.
func rootDisk(docs []libvirtxml.DomainDisk, disks []inventory.Disk) int {
	root, order := -1, uint(0)
	for i := range disks {
		if !disks[i].IsStorage() {
			continue
		}
		var own uint
		if docs[i].Boot != nil {
			own = docs[i].Boot.Order
		}
		if root < 0 || own > 0 && (order == 0 || own < order) {
			root, order = i, own
		}
	}
	return root
}

// setImageSource names the ground of the root disk's backing chain.
func setImageSource(vm *inventory.VM, root int) {
	if root < 0 || len(vm.Disks[root].Backing) == 0 {
		return
	}
	chain := vm.Disks[root].Backing
	image := inventory.Image{}
	if vm.Image != nil {
		image = *vm.Image
	}
	image.Source, image.Known = chain[len(chain)-1].Source, inventory.ImageByChain
	vm.Image = &image
}
