package storage

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	sysBtrfs = "/sys/fs/btrfs"
	procZFS  = "/proc/spl/kstat/zfs"
)

// pooled says in which pool a file system is that shares its devices with
// others.
func (c *Collector) pooled(fs *inventory.FileSystem, m mount, btrfs map[string][]string) {
	switch m.fsType {
	case "zfs":
		fs.Dataset = fs.Device
		pool, _, _ := strings.Cut(m.source, "/")
		if filepath.IsLocal(pool) {
			fs.PoolState, _ = collectors.ReadText(c.Root, procZFS+"/"+pool+"/state") // where ZFS is a module of another make
		}
	case "btrfs":
		fs.Dataset = collectors.Legible(strings.TrimPrefix(m.subvolume, "/"))
		fs.Members = btrfs[c.kernelName(m.source)]
	}
}

// btrfsDevices gives, for each block device of a mounted btrfs, all devices that
// the file system spreads over.
func (c *Collector) btrfsDevices() map[string][]string {
	ids, err := collectors.ReadNames(c.Root, sysBtrfs)
	if err != nil {
		return nil
	}
	spread := map[string][]string{}
	for _, id := range ids {
		names, err := collectors.ReadNames(c.Root, sysBtrfs+"/"+id+"/devices")
		if err != nil {
			continue // features, or it was unmounted meanwhile
		}
		for i, name := range names {
			names[i] = deviceName(name)
		}
		for _, name := range names {
			spread[name] = names
		}
	}
	return spread
}

// kernelName is the kernel's name of a device file: that of the file, or where
// it is a symbolic link (/dev/mapper/x, /dev/disk/by-uuid/x) of what it leads to.
func (c *Collector) kernelName(file string) string {
	target, err := os.Readlink(filepath.Join("/", c.Root, file))
	if err == nil {
		return filepath.Base(target)
	}
	return strings.TrimPrefix(file, "/dev/")
}
