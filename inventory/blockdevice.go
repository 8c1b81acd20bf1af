package inventory

// BlockDevice is a block device of the host. Files are below /sys/class/block/NAME
// where nothing else is said.
type BlockDevice struct {
	Name string `json:"name"` // the kernel's, such as sda; not durable
	// Kind is disk, part, dm, md, loop, rom or zram.
	Kind string `json:"kind"`
	Size *Bytes `json:"size,omitempty"` // size
	// Serial and WWN are the durable identity of a disk; WWN without its
	// naa./eui. prefix. Placeholders that vendors leave in place are left out.
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	Model  string `json:"model,omitempty"`
	Vendor string `json:"vendor,omitempty"`
	// ByID are the device's names in /dev/disk/by-id, which udev makes.
	ByID       []string `json:"byID,omitempty"`
	Rotational *bool    `json:"rotational,omitempty"` // queue/rotational
	ReadOnly   *bool    `json:"readOnly,omitempty"`   // ro
	Removable  *bool    `json:"removable,omitempty"`  // removable
	// Parent is a partition's disk; Members are what a dm or md device is made of
	// (slaves), Holders what is made of this device (holders).
	Parent  string   `json:"parent,omitempty"`
	Members []string `json:"members,omitempty"`
	Holders []string `json:"holders,omitempty"`
	// Layer is what made a dm or md device: lvm (a logical volume), lvm-thin (one
	// out of a thin pool), lvm-thin-pool, lvm-internal (a part of a volume: its
	// mirror's leg, its pool's metadata …), mpath, mpath-part, crypt, md; dm where
	// the device mapper's UUID doesn't say.
	Layer string `json:"layer,omitempty"`
	// DMName and DMUUID are the device mapper's (dm/name, dm/uuid); the UUID's
	// prefix says what made it (LVM-, mpath-, CRYPT-).
	DMName string `json:"dmName,omitempty"`
	DMUUID string `json:"dmUUID,omitempty"`
	// VolumeGroup and LogicalVolume are LVM's names, out of DMName.
	VolumeGroup   string `json:"volumeGroup,omitempty"`
	LogicalVolume string `json:"logicalVolume,omitempty"`
	// Encryption is how dm-crypt's device is set up: luks1, luks2, plain, bitlk …
	// (the second word of DMUUID). Nothing of its keys is ever read.
	Encryption string `json:"encryption,omitempty"`
	// RAIDLevel is raid1, raid5 … (md/level). RAIDState is the array's (md/array_state),
	// where active stands for everything between clean and active, which every
	// write moves it through. RAIDDegraded counts the members that it lacks
	// (md/degraded), RAIDAction says what it does about it (md/sync_action), absent
	// while idle.
	RAIDLevel    string `json:"raidLevel,omitempty"`
	RAIDState    string `json:"raidState,omitempty"`
	RAIDDegraded *int   `json:"raidDegraded,omitempty"`
	RAIDAction   string `json:"raidAction,omitempty"`
	// PathState is the SCSI device's own (device/state): running, offline, blocked,
	// transport-offline … A path of a multipath device is one of its Members.
	PathState string `json:"pathState,omitempty"`
	// NamespaceID is an NVMe namespace's (nsid). Paths are those that the kernel
	// hides behind the namespace where it does the multipathing itself.
	NamespaceID *int         `json:"namespaceID,omitempty"`
	Paths       []DevicePath `json:"paths,omitempty"`
	// Image is what another system knows the device as: "rbd:pool/image" of Ceph
	// (/sys/bus/rbd/devices), "zfs:pool/volume" of ZFS (/dev/zvol).
	Image string `json:"image,omitempty"`
	// Content is what udev found on the device (ID_FS_TYPE of its database): ext4,
	// LVM2_member, linux_raid_member, crypto_LUKS, zfs_member … Label is the name
	// that it bears (ID_FS_LABEL), which of a zfs_member is its pool's.
	Content string `json:"content,omitempty"`
	Label   string `json:"label,omitempty"`
	// BackingFile is what a loop device shows (loop/backing_file).
	BackingFile string `json:"backingFile,omitempty"`
}

// DevicePath is one way to an NVMe namespace, by one controller.
type DevicePath struct {
	Name       string `json:"name"` // the kernel's, such as nvme0c1n1
	Controller string `json:"controller,omitempty"`
	// State is the controller's (device/state): live, connecting, deleting … Access
	// is what the path is good for (ana_state): optimized, non-optimized,
	// inaccessible …
	State  string `json:"state,omitempty"`
	Access string `json:"access,omitempty"`
}

// FileSystem is a mounted file system that sits on a block device or a server.
type FileSystem struct {
	Mount  string `json:"mount"`
	Device string `json:"device"` // mountinfo's source
	Type   string `json:"type"`
	// Number is what stat(2) gives as the device of its files (major:minor),
	// BlockDevice the kernel's name of the block device that has that number.
	Number      string `json:"number,omitempty"`
	BlockDevice string `json:"blockDevice,omitempty"`
	// Members are the block devices of a file system that spreads over several and
	// has a number of its own (/sys/fs/btrfs/UUID/devices).
	Members []string `json:"members,omitempty"`
	// Dataset is what of the file system is mounted: a ZFS data set, a btrfs
	// subvolume.
	Dataset string `json:"dataset,omitempty"`
	// PoolState is the word of the ZFS pool that it is in (/proc/spl/kstat/zfs/POOL/state):
	// ONLINE, DEGRADED, SUSPENDED …
	PoolState string `json:"poolState,omitempty"`
	Size      *Bytes `json:"size,omitempty"`
	// Used is what its files take, Available what an unprivileged writer may still
	// use. Both change all the time, so they are no part of the digest.
	Used      *Bytes `json:"used,omitempty"`
	Available *Bytes `json:"available,omitempty"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
}
