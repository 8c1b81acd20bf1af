package reconcile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// storageBody is a host's storage of most kinds.
func storageBody() inventory.Body {
	disk := func(name, serial string) inventory.BlockDevice {
		return inventory.BlockDevice{Name: name, Kind: "disk", Serial: serial, WWN: "wwn-" + serial, Model: "M"}
	}
	part := func(name, parent string) inventory.BlockDevice {
		return inventory.BlockDevice{Name: name, Kind: "part", Parent: parent}
	}
	dm := func(name, dmName, uuid string, members ...string) inventory.BlockDevice {
		return inventory.BlockDevice{Name: name, Kind: "dm", DMName: dmName, DMUUID: uuid, Members: members}
	}
	lv := func(name, volume, uuid string, members ...string) inventory.BlockDevice {
		d := dm(name, "vg--x-"+strings.ReplaceAll(volume, "-", "--"), uuid, members...)
		d.VolumeGroup, d.LogicalVolume = "vg-x", volume
		return d
	}
	return inventory.Body{
		BlockDevices: []inventory.BlockDevice{
			disk("sda", "A"), part("sda1", "sda"), part("sda2", "sda"), disk("sdb", "B"), part("sdb2", "sdb"),
			{Name: "sda9", Kind: "part", Parent: "sda", Content: "zfs_member", Label: "pool"}, {Name: "sdb9", Kind: "part", Parent: "sdb", Content: "zfs_member", Label: "pool"},
			{Name: "md127", Kind: "md", Members: []string{"sda2", "sdb2"}},
			lv("dm-0", "root-lv", "LVM-abc", "md127"),
			lv("dm-1", "tpool_tdata", "LVM-t-tdata", "md127"), lv("dm-2", "tpool_tmeta", "LVM-t-tmeta", "md127"),
			lv("dm-3", "tpool", "LVM-t-tpool", "dm-1", "dm-2"), lv("dm-4", "web", "LVM-w", "dm-3"),
			disk("sdc", "L"), disk("sdd", "L"), dm("dm-5", "mpatha", "mpath-3600", "sdc", "sdd"), dm("dm-6", "mpatha-part1", "part1-mpath-3600", "dm-5"),
			dm("dm-7", "secret", "CRYPT-LUKS2-x", "dm-6"),
			{Name: "loop0", Kind: "loop", BackingFile: "/srv/loop.img"}, {Name: "loop1", Kind: "loop", BackingFile: "/loops/self.img"},
			{Name: "rbd0", Kind: "disk"}, {Name: "zd16", Kind: "disk"},
			{Name: "rbd1", Kind: "disk", Image: "rbd:vms/web"}, {Name: "zd32", Kind: "disk", Image: "zfs:tank/web"},
			{Name: "md1", Kind: "md", RAIDLevel: "raid1", RAIDDegraded: new(1), Members: []string{"sde"}, ByID: []string{"md-name-x"}},
			{Name: "sde", Kind: "disk", Serial: "E", PathState: "offline"},
			lv("dm-8", "lost", "LVM-l", "sdz"), dm("dm-9", "a", "", "dm-10"), dm("dm-10", "b", "", "dm-9"),
		},
		FileSystems: []inventory.FileSystem{
			{Mount: "/", Type: "ext4", Device: "/dev/root", Number: "252:0", BlockDevice: "dm-0"},
			{Mount: "/srv", Type: "xfs", Device: "/dev/mapper/secret", Number: "252:7", BlockDevice: "dm-7"},
			{Mount: "/loops", Type: "ext4", Device: "/dev/loop1", Number: "7:1", BlockDevice: "loop1"},
			{Mount: "/nfs", Type: "nfs4", Device: "filer:/export/vm", Number: "0:40"},
			{Mount: "/nfs/deeper", Type: "ceph", Device: "10.0.0.1:6789:/", Number: "0:41"},
			{Mount: "/tank", Type: "zfs", Device: "tank/vms", Number: "0:42"},
			{Mount: "/btr", Type: "btrfs", Device: "/dev/sda1", Number: "0:43"},
			{Mount: "/spread", Type: "btrfs", Device: "/dev/sdb2", Number: "0:44", Members: []string{"sda1", "sdb2"}},
			{Mount: "/pool", Type: "zfs", Device: "pool/vms", Dataset: "pool/vms", Number: "0:45"},
			{Mount: "/odd", Type: "ext4", Device: "/dev/root", Number: "252:99"},
		},
		StoragePools: []inventory.StoragePool{
			{Name: "local", Type: "dir", State: "running", Target: "/srv", Volumes: []inventory.StorageVolume{{Name: "v", Path: "/srv/v"}}},
			{Name: "ceph", Type: "rbd", State: "running", Source: "vms", Volumes: []inventory.StorageVolume{{Name: "web", Path: "vms/web"}}}, {Name: "tank", Type: "zfs", Source: "tank/vms"},
			{Name: "lvm", Type: "logical", State: "running", Volumes: []inventory.StorageVolume{{Name: "web", Path: "/dev/vg-x/web"}}},
			{Name: "off", Type: "dir", State: "inactive"},
			// Another runtime's of the same name.
		},
	}
}

func TestDiskPaths(t *testing.T) {
	const srv = "file system /srv (xfs) → crypt secret → partition mpatha-part1 → multipath mpatha → disk sdc (M, serial L, WWN wwn-L) + disk sdd (M, serial L, WWN wwn-L)"
	const raid = "RAID md127 → partition sda2 + partition sdb2 → disk sda (M, serial A, WWN wwn-A) + disk sdb (M, serial B, WWN wwn-B)"
	for name, c := range map[string]struct {
		disk                inventory.Disk
		hops, disks, ending string // ending: remote, or reason
		derived             bool
	}{
		"file":         {inventory.Disk{Source: "/x/linked", Number: "252:7"}, srv, "sdc,sdd:L", "", false},
		"file on root": {inventory.Disk{Source: "/var/f", Number: "252:0"}, "file system / (ext4) → logical volume vg-x/root-lv → volume group vg-x → " + raid, "sda:A sdb:B", "", false},
		"thin volume": {inventory.Disk{Source: "/dev/vg-x/web", BlockDevice: "dm-4"}, "logical volume vg-x/web → logical volume vg-x/tpool → logical volume vg-x/tpool_tdata + logical volume vg-x/tpool_tmeta → volume group vg-x → " +
			raid, "sda:A sdb:B", "", false},
		"file by its path":     {inventory.Disk{Source: "/srv/f"}, srv, "sdc,sdd:L", "", true},
		"LV by its path":       {inventory.Disk{Source: "/dev/vg-x/root-lv"}, "logical volume vg-x/root-lv → volume group vg-x → " + raid, "sda:A sdb:B", "", true},
		"dm by its path":       {inventory.Disk{Source: "/dev/mapper/mpatha"}, "multipath mpatha → disk sdc (M, serial L, WWN wwn-L) + disk sdd (M, serial L, WWN wwn-L)", "sdc,sdd:L", "", true},
		"disk by its path":     {inventory.Disk{Source: "/dev/sda1"}, "partition sda1 → disk sda (M, serial A, WWN wwn-A)", "sda:A", "", true},
		"not /srvx":            {inventory.Disk{Source: "/srvx/f"}, "file system / (ext4) → logical volume vg-x/root-lv → volume group vg-x → " + raid, "sda:A sdb:B", "", true},
		"loop":                 {inventory.Disk{Source: "/dev/loop0", BlockDevice: "loop0"}, "loop loop0 → " + srv, "sdc,sdd:L", "", true},
		"loop on itself":       {inventory.Disk{Source: "/loops/x", Number: "7:1"}, "*", "", "it leads through too many files", true},
		"NFS":                  {inventory.Disk{Source: "/nfs/a", Number: "0:40"}, "file system /nfs (nfs4)", "", "NFS filer:/export/vm", false},
		"CephFS below NFS":     {inventory.Disk{Source: "/nfs/deeper/a"}, "file system /nfs/deeper (ceph)", "", "CephFS 10.0.0.1:6789:/", true},
		"ZFS":                  {inventory.Disk{Source: "/tank/a", Number: "0:42"}, "file system /tank (zfs)", "", "ZFS tank/vms", false},
		"btrfs":                {inventory.Disk{Source: "/btr/a", Number: "0:43"}, "file system /btr (btrfs) → partition sda1 → disk sda (M, serial A, WWN wwn-A)", "sda:A", "", false},
		"unknown device":       {inventory.Disk{Source: "/odd/a", Number: "252:99"}, "file system /odd (ext4)", "", "no block device is known as /dev/root", false},
		"librbd":               {inventory.Disk{SourceType: "network", Source: "rbd:vms/web"}, "", "", "Ceph vms/web", false},
		"NBD URL":              {inventory.Disk{SourceType: "network", Source: "nbd://h:10809/x"}, "", "", "NBD h:10809/x", false},
		"JSON":                 {inventory.Disk{Source: `json:{"driver":"x"}`}, "", "", "it is described in JSON, which is not followed", false},
		"krbd":                 {inventory.Disk{Source: "/dev/rbd0", BlockDevice: "rbd0"}, "disk rbd0", "", "Ceph, by rbd0", false},
		"krbd that says which": {inventory.Disk{Source: "/dev/rbd1", BlockDevice: "rbd1"}, "disk rbd1", "", "Ceph vms/web", false},
		"zvol that says which": {inventory.Disk{Source: "/dev/zd32", BlockDevice: "zd32"}, "disk zd32", "", "ZFS tank/web", false},
		"RAID by its ID":       {inventory.Disk{Source: "/dev/disk/by-id/md-name-x"}, "RAID md1 (raid1 degraded) → disk sde (serial E, offline)", "sde:E", "", true},
		"btrfs over two": {inventory.Disk{Source: "/spread/a", Number: "0:44"},
			"file system /spread (btrfs) → partition sda1 + partition sdb2 → disk sda (M, serial A, WWN wwn-A) + disk sdb (M, serial B, WWN wwn-B)", "sda:A sdb:B", "", false},
		"ZFS over two": {inventory.Disk{Source: "/pool/a", Number: "0:45"},
			"file system /pool (zfs) → ZFS pool/vms → partition sda9 + partition sdb9 → disk sda (M, serial A, WWN wwn-A) + disk sdb (M, serial B, WWN wwn-B)", "sda:A sdb:B", "", false},
		"zvol of such a pool": {inventory.Disk{Source: "/dev/zvol/pool/web"},
			"ZFS pool/web → partition sda9 + partition sdb9 → disk sda (M, serial A, WWN wwn-A) + disk sdb (M, serial B, WWN wwn-B)", "sda:A sdb:B", "", true},
		"another overlay": {inventory.Disk{Source: "/srv/merged/a", Number: "0:77"}, "", "",
			"/srv/merged/a is on a file system with the number 0:77, which is not among the host's", false},
		"krbd by its path":    {inventory.Disk{Source: "/dev/rbd/vms/web"}, "", "", "Ceph vms/web", true},
		"zvol":                {inventory.Disk{Source: "/dev/zvol/tank/web", BlockDevice: "zd16"}, "disk zd16", "", "ZFS, by zd16", false},
		"zvol by its path":    {inventory.Disk{Source: "/dev/zvol/tank/web"}, "", "", "ZFS tank/web", true},
		"no such device":      {inventory.Disk{Source: "/dev/none"}, "", "", "no block device is known as /dev/none", true},
		"member that is away": {inventory.Disk{Source: "/dev/x", BlockDevice: "dm-8"}, "logical volume vg-x/lost → volume group vg-x", "", "sdz is not among the host's block devices", false},
		"devices in a circle": {inventory.Disk{Source: "/dev/x", BlockDevice: "dm-9"}, "device mapper a → device mapper b", "", "what dm-9 is made of is not known", false},
		"volume of a pool":    {inventory.Disk{SourceType: "volume", Source: "local/v"}, "pool local (dir) → " + srv, "sdc,sdd:L", "", true},
		"volume, LVM":         {inventory.Disk{SourceType: "volume", Source: "lvm/web"}, "*", "sda:A sdb:B", "", true},
		"volume, Ceph":        {inventory.Disk{SourceType: "volume", Source: "ceph/web"}, "pool ceph (rbd)", "", "Ceph vms/web", false},
		"volume, ZFS":         {inventory.Disk{SourceType: "volume", Source: "tank/web"}, "pool tank (zfs) → volume web", "", "ZFS tank/vms", false},
		"volume not there":    {inventory.Disk{SourceType: "volume", Source: "local/none"}, "pool local (dir)", "", "pool local shows no path of volume none", false},
		"volume, pool off":    {inventory.Disk{SourceType: "volume", Source: "off/v"}, "pool off (dir)", "", "pool off is inactive", false},
		"volume, no pool":     {inventory.Disk{SourceType: "volume", Source: "none/v"}, "", "", "nothing is known of storage pool none", false},
		"data elsewhere":      {inventory.Disk{Source: "/x", Number: "252:0", DataFile: "/srv/data"}, srv, "sdc,sdd:L", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			c.disk.Target = "vda"
			paths := diskPathsOf(storageBody(), c.disk)
			if len(paths) != 1 || len(paths[0].Layers) != 1 || paths[0].Disk != "vda" {
				t.Fatalf("paths are %+v", paths)
			}
			g := paths[0].Layers[0].Ground
			var disks []string
			for _, d := range g.Disks {
				disks = append(disks, strings.Join(d.Devices, ",")+":"+d.Serial)
			}
			end := g.Remote
			if !g.Reached() {
				end = g.Reason
			}
			if got := reconcile.PathText(g.Hops); got != c.hops && c.hops != "*" {
				t.Errorf("hops (-want +got):\n%s", cmp.Diff(c.hops, got))
			}
			if got := strings.Join(disks, " "); got != c.disks || end != c.ending || g.Derived != c.derived {
				t.Errorf("disks %q, end %q, derived %t; want %q, %q, %t", got, end, g.Derived, c.disks, c.ending, c.derived)
			}
		})
	}
}

// diskPathsOf puts a VM with a disk on a host with that storage.
func diskPathsOf(body inventory.Body, disks ...inventory.Disk) []reconcile.DiskPath {
	body.VMs = []inventory.VM{{NativeID: "vm", Name: "vm", State: inventory.StateRunning, Disks: disks}}
	doc := func(source string, body inventory.Body) reconcile.Document {
		o := &inventory.Observation{Host: hostID("hv1"), Site: "osl1", Source: source, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}
		return reconcile.Document{Observation: o, Received: epoch}
	}
	storage := inventory.Body{BlockDevices: body.BlockDevices, FileSystems: body.FileSystems}
	body.BlockDevices, body.FileSystems = nil, nil
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Now: epoch, Observed: []reconcile.Document{
		doc("runtime-lxd", inventory.Body{StoragePools: []inventory.StoragePool{{Name: "local", Type: "zfs", Source: "tank/lxd"}}}), doc("runtime-libvirt", body)}}
	if len(storage.FileSystems) > 0 {
		in.Observed = append(in.Observed, doc("storage", storage))
	}
	return reconcile.Reconcile(in).VMs[0].DiskPaths
}

// TestDiskPathsShareGround: layers on one file system have what it lies on once.
func TestDiskPathsShareGround(t *testing.T) {
	paths := diskPathsOf(storageBody(), inventory.Disk{Source: "/srv/top", Number: "252:7", Backing: []inventory.BackingFile{
		{Source: "/srv/mid", Number: "252:7"}, {Source: "/nfs/base", Number: "0:40"}}})
	layers := paths[0].Layers
	if len(layers) != 3 || layers[0].Ground != layers[1].Ground || layers[2].Ground.Remote != "NFS filer:/export/vm" {
		t.Errorf("layers are %+v", layers)
	}
	unseen := diskPathsOf(inventory.Body{}, inventory.Disk{Source: "/srv/top"})
	if g := unseen[0].Layers[0].Ground; g.Reached() || !strings.Contains(g.Reason, "nothing is known of the storage of") {
		t.Errorf("ground without a look at storage is %+v", g)
	}
}

// TestDiskPathOfATangle: loop devices over files over loop devices end, however
// they are tied.
func TestDiskPathOfATangle(t *testing.T) {
	body := inventory.Body{FileSystems: []inventory.FileSystem{{Mount: "/", Type: "ext4", Number: "9:0", BlockDevice: "md0"}}}
	array := inventory.BlockDevice{Name: "md0", Kind: "md"}
	for i := range 50 {
		loop := fmt.Sprintf("loop%d", i)
		array.Members = append(array.Members, loop)
		body.BlockDevices = append(body.BlockDevices, inventory.BlockDevice{Name: loop, Kind: "loop", BackingFile: "/" + loop})
	}
	body.BlockDevices = append(body.BlockDevices, array)
	g := diskPathsOf(body, inventory.Disk{Source: "/x", Number: "9:0"})[0].Layers[0].Ground
	if g.Reached() || g.Reason == "" || len(g.Hops) > 2000 {
		t.Errorf("%d hops, reached %t, reason %q", len(g.Hops), g.Reached(), g.Reason)
	}
}
