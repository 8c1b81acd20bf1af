package reconcile

import (
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// DiskPath is a VM's disk followed to the ground: each layer of its backing
// chain, and what that lies on.
type DiskPath struct {
	Disk string `json:"disk"` // as comparisons name it
	// Layers begin with the disk's own image and end with the ground of its chain.
	Layers []DiskLayer `json:"layers"`
}

// DiskLayer is one layer of a disk with where it is. Layers on one file system
// share what that lies on.
type DiskLayer struct {
	Source string  `json:"source"`
	Format string  `json:"format,omitempty"`
	Ground *Ground `json:"ground"`
}

// Ground is what a file or block device lies on, down to what one can touch or
// what another machine has.
type Ground struct {
	// Hops lead down: file system, logical volume, volume group, md, multipath,
	// crypt, partition, loop, disk.
	Hops  []Hop          `json:"hops,omitempty"`
	Disks []PhysicalDisk `json:"disks,omitempty"`
	// Remote is what the last hop is on another machine: "NFS server:/export",
	// "Ceph pool/image". A pool of disks that the kernel doesn't show (ZFS) is
	// named here too.
	Remote string `json:"remote,omitempty"`
	// Reason is why it could not be followed to the end, or what the ground
	// leaves open.
	Reason string `json:"reason,omitempty"`
	// Derived says that a path's name was followed: the collector could not say
	// which file system or device the path really leads to.
	Derived bool `json:"derived,omitempty"`
}

// Reached says whether the end of the way is known.
func (g *Ground) Reached() bool { return g.Remote != "" || len(g.Disks) > 0 }

// PhysicalDisk is a disk of the host with its durable identity.
type PhysicalDisk struct {
	// Devices are the kernel's names: more than one where several paths lead to it.
	Devices []string `json:"devices"`
	Serial  string   `json:"serial,omitempty"`
	WWN     string   `json:"wwn,omitempty"`
	Model   string   `json:"model,omitempty"`
}

// same says whether both are one disk by several paths: only what names a disk
// for good says that.
func (d *PhysicalDisk) same(b *inventory.BlockDevice) bool {
	return d.WWN != "" && d.WWN == b.WWN || d.WWN == "" && b.WWN == "" && d.Serial != "" && d.Serial == b.Serial && d.Model == b.Model
}

// diskPaths follows a VM's disks that hold data.
func (at *place) diskPaths(in *Input) []DiskPath {
	disks := storage(at.vm)
	if len(disks) == 0 {
		return nil
	}
	grounds := at.host.groundsOf(in)
	paths := make([]DiskPath, 0, len(disks))
	for i := range disks {
		d := &disks[i]
		if d.Source == "" {
			continue
		}
		layers := make([]DiskLayer, 1, 1+len(d.Backing))
		layers[0] = DiskLayer{d.Source, d.Format, grounds.of(at.whereIs(d.Source, d.Number, d.BlockDevice, d.DataFile))}
		for j := range d.Backing {
			b := &d.Backing[j]
			layers = append(layers, DiskLayer{b.Source, b.Format, grounds.of(at.whereIs(b.Source, b.Number, b.BlockDevice, b.DataFile))})
		}
		paths = append(paths, DiskPath{Disk: diskName(d, i), Layers: layers})
	}
	return paths
}

// where is what is known of the place of a layer: a collector that could look has
// the number of its file system, or the device that it is.
type where struct {
	runtime             string // whose pools a volume is in
	source              string
	number, blockDevice string
}

func (at *place) whereIs(source, number, blockDevice, dataFile string) where {
	if dataFile != "" {
		return where{source: dataFile} // which it didn't look at
	}
	return where{at.doc.Source, source, number, blockDevice}
}

// isVolume says whether the source is a volume of the runtime's, "pool/volume".
func (w where) isVolume() bool {
	return w.blockDevice == "" && w.number == "" && w.source != "" && w.source[0] != '/'
}

// remotes are the sources that are on other machines, by the prefix that QEMU and
// libvirt write, and what people call them.
var remotes = []struct{ prefix, name string }{
	{"rbd:", "Ceph"}, {"zfs:", "ZFS"}, {"nbd:", "NBD"}, {"nbd+", "NBD"}, {"iscsi:", "iSCSI"}, {"iscsi+", "iSCSI"}, {"gluster:", "Gluster"}, {"gluster+", "Gluster"},
	{"http:", "HTTP"}, {"https:", "HTTPS"}, {"ssh:", "SSH"}, {"sheepdog:", "Sheepdog"}, {"nfs:", "NFS"}, {"ftp:", "FTP"}, {"ftps:", "FTPS"}, {"tftp:", "TFTP"},
}

// remote names a source that is not on this host.
func remote(source string) (string, bool) {
	for _, r := range remotes {
		if rest, found := strings.CutPrefix(source, r.prefix); found {
			if i := strings.Index(rest, "//"); i >= 0 {
				rest = rest[i+2:]
			}
			return r.name + " " + rest, true
		}
	}
	return "", false
}
