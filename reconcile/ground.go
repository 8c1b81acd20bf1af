package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// grounds finds what the sources on one host lie on. What was found of one file
// system or device serves every disk on it.
type grounds struct {
	unseen   string // why nothing is known of the host's storage
	devices  map[string]*inventory.BlockDevice
	byFile   map[string]*inventory.BlockDevice // by names below /dev that udev and LVM make
	byNumber map[string]*inventory.FileSystem
	mounts   []*inventory.FileSystem           // the longest first
	pools    map[string]*inventory.StoragePool // by runtime/name: two runtimes' may have one name
	known    map[string]*Ground
	// zpools are the devices that are parts of ZFS pools, by the pools' names.
	zpools map[string][]string
}

// groundsOf makes the host's when they are first asked for.
func (h *hostView) groundsOf(in *Input) *grounds {
	if h.grounds == nil {
		h.grounds = h.newGrounds(in)
	}
	return h.grounds
}

func (h *hostView) newGrounds(in *Input) *grounds {
	g := &grounds{known: map[string]*Ground{}, pools: map[string]*inventory.StoragePool{}}
	var storage *source
	for _, doc := range h.docs {
		all := doc.parts()
		if len(all.BlockDevices) > 0 || len(all.FileSystems) > 0 {
			storage = doc
		}
		for i := range all.StoragePools {
			g.pools[doc.Source+"/"+all.StoragePools[i].Name] = &all.StoragePools[i]
		}
	}
	switch {
	case storage == nil:
		g.unseen = "nothing is known of the storage of " + h.key()
		return g
	case !h.fresh(storage, in):
		g.unseen = h.why(storage)
		return g
	}
	g.devices, g.byFile = map[string]*inventory.BlockDevice{}, map[string]*inventory.BlockDevice{}
	g.zpools = map[string][]string{}
	all := storage.parts()
	for i := range all.BlockDevices {
		d := &all.BlockDevices[i]
		g.devices[d.Name] = d
		if d.DMName != "" {
			g.byFile["mapper/"+d.DMName] = d
		}
		if d.VolumeGroup != "" {
			g.byFile[d.VolumeGroup+"/"+d.LogicalVolume] = d
		}
		if d.Content == "zfs_member" && d.Label != "" {
			g.zpools[d.Label] = append(g.zpools[d.Label], d.Name)
		}
		for _, id := range d.ByID {
			g.byFile["disk/by-id/"+id] = d
		}
	}
	g.byNumber = map[string]*inventory.FileSystem{}
	for i := range all.FileSystems {
		fs := &all.FileSystems[i]
		g.mounts = append(g.mounts, fs)
		if fs.Number != "" {
			g.byNumber[fs.Number] = fs
		}
	}
	slices.SortStableFunc(g.mounts, func(a, b *inventory.FileSystem) int { return len(b.Mount) - len(a.Mount) })
	return g
}

// of is what a layer lies on. It is shared, and not to be changed.
func (g *grounds) of(at where) *Ground {
	ground, found := g.known[g.keyOf(at)]
	if !found {
		d := &descent{grounds: g}
		d.from(at, 0)
		ground = &d.Ground
		g.known[g.keyOf(at)] = ground
	}
	return ground
}

// keyOf is one for all layers that lie on the same: none of its forms looks like
// another.
func (g *grounds) keyOf(at where) string {
	switch _, away := remote(at.source); {
	case away:
	case at.isVolume():
		return at.runtime + "/" + at.source
	case g.unseen != "":
		return ""
	case at.blockDevice != "" || g.byNumber[at.number] != nil:
		return cmp.Or(at.blockDevice, at.number)
	case at.number == "" && !strings.HasPrefix(at.source, "/dev/"):
		if fs := g.mountOf(at.source); fs != nil {
			return fs.Mount
		}
	}
	return at.source
}

// deviceAt is the device that a path below /dev leads to, where that is known.
func (g *grounds) deviceAt(path string) *inventory.BlockDevice {
	name, found := strings.CutPrefix(path, "/dev/")
	switch {
	case !found:
		return nil
	case g.devices[name] != nil:
		return g.devices[name]
	}
	return g.byFile[name]
}

// mountOf is the file system that a path's name leads to.
func (g *grounds) mountOf(path string) *inventory.FileSystem {
	for _, fs := range g.mounts {
		if path == fs.Mount || strings.HasPrefix(path, strings.TrimSuffix(fs.Mount, "/")+"/") {
			return fs
		}
	}
	return nil
}

// descent is one way down.
type descent struct {
	*grounds
	Ground
}

// maxDescent bounds how often a way may go through a file again: a loop device
// shows a file, which may be on a loop device. maxHops bounds what ways that part
// come to together.
const (
	maxDescent = 8
	maxHops    = 1000
)

func (w *descent) hop(kind, name, note string) {
	w.Hops = append(w.Hops, Hop{Kind: kind, Name: name, Note: note})
}

func (w *descent) from(at where, depth int) {
	switch name, away := remote(at.source); {
	case away:
		w.away(name, depth)
	case strings.HasPrefix(at.source, "json:"):
		w.Reason = "it is described in JSON, which is not followed"
	case depth > maxDescent || len(w.Hops) > maxHops:
		w.Reason = "it leads through too many files"
	case at.isVolume():
		w.volume(at, depth)
	case w.unseen != "":
		w.Reason = w.unseen
	case at.blockDevice != "":
		w.device(at.blockDevice, depth)
	case w.byNumber[at.number] != nil:
		w.fileSystem(w.byNumber[at.number], depth)
	case at.number != "": // of another overlay, or a subvolume that isn't mounted
		w.Reason = fmt.Sprintf("%s is on a file system with the number %s, which is not among the host's", at.source, at.number)
	default:
		w.path(at.source, depth)
	}
}

// volume follows a volume of one of the runtime's pools, "pool/volume".
func (w *descent) volume(at where, depth int) {
	poolName, name, _ := strings.Cut(at.source, "/")
	pool := w.pools[at.runtime+"/"+poolName]
	if pool == nil {
		w.Reason = "nothing is known of storage pool " + poolName
		return
	}
	w.hop("pool", poolName, pool.Type)
	path := ""
	if i := slices.IndexFunc(pool.Volumes, func(v inventory.StorageVolume) bool { return v.Name == name }); i >= 0 {
		path = pool.Volumes[i].Path
	}
	system := map[string]string{"rbd": "Ceph", "zfs": "ZFS", "gluster": "Gluster", "sheepdog": "Sheepdog", "iscsi-direct": "iSCSI"}[pool.Type]
	switch {
	case strings.HasPrefix(path, "/"):
		w.from(where{source: path}, depth+1)
	case system != "" && path != "":
		w.away(system+" "+path, depth)
	case system != "": // the volume's name there is the runtime's affair
		w.hop("volume", name, "")
		w.away(system+" "+pool.Source, depth)
	case pool.State != "running":
		w.Reason = fmt.Sprintf("pool %s is %s", poolName, orElse(pool.State, "not known"))
	default:
		w.Reason = fmt.Sprintf("pool %s shows no path of volume %s", poolName, name)
	}
}

// zfs begins what is said of a volume or data set of ZFS.
const zfs = "ZFS "

// away ends on another machine, or in a pool of disks. Those of a ZFS pool are
// the ones that bear its name, where udev looked.
func (w *descent) away(name string, depth int) {
	dataset, isZFS := strings.CutPrefix(name, zfs)
	pool, _, _ := strings.Cut(dataset, "/")
	members := w.zpools[pool]
	if !isZFS || len(members) == 0 || depth > maxDescent {
		w.Remote = name
		return
	}
	w.hop("ZFS", dataset, "")
	w.device(pool, depth+1, members...)
}

// path follows the name of a path, which says less than its number would:
// symbolic links and bind mounts lead elsewhere.
func (w *descent) path(path string, depth int) {
	w.Derived = true
	if name, found := strings.CutPrefix(path, "/dev/"); found {
		w.deviceFile(name, depth)
		return
	}
	if fs := w.mountOf(path); fs != nil {
		w.fileSystem(fs, depth)
		return
	}
	w.Reason = "no file system that is known holds " + path
}

// deviceFile follows the name of a device below /dev.
func (w *descent) deviceFile(name string, depth int) {
	directory, rest, _ := strings.Cut(name, "/")
	d := w.deviceAt("/dev/" + name)
	switch {
	case d != nil:
		w.device(d.Name, depth)
	case directory == "zvol":
		w.away(zfs+rest, depth)
	case directory == "rbd":
		w.Remote = "Ceph " + rest
	default:
		w.Reason = "no block device is known as /dev/" + name
	}
}

// served are the file systems that another machine has, and what people call
// them.
var served = map[string]string{"nfs": "NFS", "nfs4": "NFS", "cifs": "SMB", "smb3": "SMB", "ceph": "CephFS", "fuse.ceph": "CephFS",
	"fuse.glusterfs": "Gluster", "9p": "9p", "virtiofs": "virtiofs", "lustre": "Lustre", "beegfs": "BeeGFS", "gpfs": "GPFS", "afs": "AFS", "fuse.sshfs": "SSH"}

func (w *descent) fileSystem(fs *inventory.FileSystem, depth int) {
	w.hop("file system", fs.Mount, fs.Type)
	switch name, away := served[fs.Type]; {
	case away:
		w.Remote = name + " " + fs.Device
	case fs.Type == "zfs":
		w.away(zfs+orElse(fs.Dataset, fs.Device), depth)
	case len(fs.Members) > 0:
		w.device(fs.Mount, depth, fs.Members...)
	case fs.BlockDevice != "" && w.devices[fs.BlockDevice] != nil:
		w.device(fs.BlockDevice, depth)
	case strings.HasPrefix(fs.Device, "/dev/"):
		w.deviceFile(strings.TrimPrefix(fs.Device, "/dev/"), depth)
		if fs.Type == "btrfs" || fs.Type == "bcachefs" {
			w.Reason = orElse(w.Reason, fs.Type+" may spread over more devices than the one it was mounted by")
		}
	default:
		w.Reason = fmt.Sprintf("what file system %s is on is not known (%s)", fs.Mount, fs.Device)
	}
}

// device goes down from a block device, or from the devices that something
// spreads over, level by level.
func (w *descent) device(name string, depth int, spread ...string) {
	level, seen := spread, map[string]bool{}
	if len(level) == 0 {
		level = []string{name}
	}
	group := ""
	for len(level) > 0 {
		var next []string
		first := true
		for _, name := range level {
			d := w.devices[name]
			if seen[name] {
				continue
			}
			seen[name] = true
			if d == nil {
				w.Reason = orElse(w.Reason, name+" is not among the host's block devices")
				continue
			}
			vg := d.VolumeGroup
			if group != "" && vg != group { // below the last of the group's volumes
				w.hop("volume group", group, "")
				group = ""
			}
			group = orElse(vg, group)
			hop := deviceHop(d)
			hop.Beside = !first
			w.Hops, first = append(w.Hops, hop), false
			next = append(next, w.below(d, depth)...)
		}
		level = next
	}
	if group != "" {
		w.hop("volume group", group, "")
	}
	if !w.Reached() {
		w.Reason = orElse(w.Reason, "what "+name+" is made of is not known")
	}
}

// below notes what a device is where it is a disk, and else names what it is
// made of.
func (w *descent) below(d *inventory.BlockDevice, depth int) []string {
	switch name, away := remote(d.Image); {
	case away:
		w.away(name, depth)
	case d.Kind == "part" && d.Parent != "":
		return []string{d.Parent}
	case len(d.Members) > 0:
		return d.Members
	case d.Kind == "loop":
		switch {
		case d.BackingFile != "":
			w.Derived = true
			w.from(where{source: d.BackingFile}, depth+1)
		default:
			w.Reason = orElse(w.Reason, "which file "+d.Name+" shows is not known")
		}
	case d.Kind == "disk" && strings.HasPrefix(d.Name, "rbd"):
		w.Remote = "Ceph, by " + d.Name
	case d.Kind == "disk" && strings.HasPrefix(d.Name, "zd"):
		w.Remote = "ZFS, by " + d.Name
	case d.Kind == "disk" && strings.HasPrefix(d.Name, "nbd"):
		w.Remote = "NBD, by " + d.Name
	case d.Kind == "disk":
		for i := range w.Disks {
			if w.Disks[i].same(d) {
				w.Disks[i].Devices = append(w.Disks[i].Devices, d.Name)
				return nil
			}
		}
		w.Disks = append(w.Disks, PhysicalDisk{Devices: []string{d.Name}, Serial: d.Serial, WWN: d.WWN, Model: d.Model})
	}
	return nil
}

func deviceHop(d *inventory.BlockDevice) Hop {
	hop := Hop{Kind: d.Kind, Name: d.Name}
	switch prefix, _, _ := strings.Cut(d.DMUUID, "-"); {
	case d.Kind == "part":
		hop.Kind = "partition"
	case d.Kind == "md":
		hop.Kind, hop.Note = "RAID", raidWords(d)
	case d.Kind == "disk":
		hop.Note = diskIdentity(d)
	case d.Kind != "dm":
	case prefix == "LVM":
		hop.Kind, hop.Name = "logical volume", cmp.Or(strings.Trim(d.VolumeGroup+"/"+d.LogicalVolume, "/"), d.DMName)
	case prefix == "mpath":
		hop.Kind, hop.Name = "multipath", d.DMName
	case strings.HasPrefix(prefix, "part"):
		hop.Kind, hop.Name = "partition", d.DMName
	case prefix == "CRYPT":
		hop.Kind, hop.Name = "crypt", d.DMName
	default:
		hop.Kind, hop.Name = "device mapper", orElse(d.DMName, d.Name)
	}
	return hop
}

// diskIdentity names a disk for good, and says what ails the way to it.
func diskIdentity(d *inventory.BlockDevice) string {
	var words []string
	for _, word := range []struct{ name, value string }{{"", d.Model}, {"serial ", d.Serial}, {"WWN ", d.WWN}, {"", d.PathState}} {
		if word.value != "" && word.value != "running" {
			words = append(words, word.name+word.value)
		}
	}
	return strings.Join(words, ", ")
}

func raidWords(d *inventory.BlockDevice) string {
	words := d.RAIDLevel
	if d.RAIDDegraded != nil && *d.RAIDDegraded > 0 {
		words = strings.TrimSpace(words + " degraded")
	}
	return words
}
