package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

func (c *Collector) fileSystems(ctx context.Context, b *collectors.Builder) error {
	data, err := collectors.ReadFile(c.Root, mountinfo)
	if err != nil {
		return err
	}
	all, parseErr := parseMountinfo(data)
	mounts := storing(all)
	questions := make([]*question[usage], len(mounts))
	if measure := c.measuring(); measure != nil {
		for i, m := range mounts {
			// By its number too: what is mounted in a dead mount's place is another.
			questions[i] = c.mounts.ask(m.number()+" "+m.point, func() (usage, error) { return measure(m) })
		}
	}
	spread := c.btrfsDevices()
	for i, m := range mounts {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := collectors.Legible(m.point)
		fs := inventory.FileSystem{Mount: name, Device: collectors.Legible(m.source), Type: m.fsType, ReadOnly: m.readOnly,
			Number: m.number(), BlockDevice: c.deviceOf(m)}
		c.pooled(&fs, m, spread)
		if questions[i] != nil {
			usage, err := questions[i].await(ctx)
			if err != nil {
				b.Problem(problemOf(name, err))
			}
			fs.Size, fs.Used, fs.Available = usage.size, usage.used, usage.available
			fs.Number = cmp.Or(usage.number, fs.Number)
		}
		b.FileSystem(fs)
	}
	return parseErr
}

// measuring is what asks a file system how full it is: nothing under a moved
// root, whose file systems aren't mounted here.
func (c *Collector) measuring() func(mount) (usage, error) {
	if c.measure == nil && (c.Root == "" || c.Root == "/") {
		return statfs
	}
	return c.measure
}

func (m mount) number() string { return fmt.Sprintf("%d:%d", m.major, m.minor) }

// deviceOf is the name of the block device that a mount's number stands for, by
// the symbolic link that sysfs has for each.
func (c *Collector) deviceOf(m mount) string {
	if m.major == 0 { // none: of a server, or of several devices
		return ""
	}
	target, err := os.Readlink(filepath.Join("/", c.Root, "/sys/dev/block", m.number()))
	if err != nil {
		return ""
	}
	return deviceName(filepath.Base(target))
}

func problemOf(mount string, err error) inventory.Problem {
	p := inventory.Problem{
		Entity: "fileSystem:" + mount, Field: "fileSystem.size", Call: "statfs " + mount,
		Why: collectors.WhyOf(err), Error: err.Error(),
	}
	switch {
	case errors.Is(err, errCovered):
		p.Why, p.Remedy = inventory.WhyRefused, "where the service manager covers it (ProtectHome=, InaccessiblePaths=), let the agent see it"
	case timedOut(err):
		p.Why, p.Remedy = inventory.WhyTimedOut, "see whether the file system's server or disk answers; the agent asks again as soon as it does"
	case p.Why == inventory.WhyRefused:
		p.Remedy = "let the agent enter the directories above it"
	}
	return p
}

// usage is what statfs(2) tells, in bytes, and what stat(2) numbers the files of
// a btrfs subvolume by, which mountinfo doesn't show.
type usage struct {
	size, used, available *inventory.Bytes
	number                string
}

var errCovered = errors.New("another mount covers it")

// statfs measures what is mounted, and makes sure that it is that: a service
// manager may have covered the directory in the agent's mount namespace. Btrfs
// is not held to it, since stat(2) numbers its subvolumes by themselves. A ZFS
// data set has no size: what it tells is what it uses and what its pool has
// free, which changes with every write to any other.
func statfs(m mount) (usage, error) {
	var st unix.Stat_t
	if err := unix.Stat(m.point, &st); err != nil {
		return usage{}, fmt.Errorf("stat: %w", err)
	}
	if dev := uint64(st.Dev); m.fsType != "btrfs" && (unix.Major(dev) != m.major || unix.Minor(dev) != m.minor) {
		return usage{}, errCovered
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(m.point, &fs); err != nil {
		return usage{}, fmt.Errorf("statfs: %w", err)
	}
	unit := uint64(fs.Frsize) // what f_blocks counts in; old kernels leave it 0
	if unit == 0 {
		unit = uint64(fs.Bsize)
	}
	size, used, available := inventory.Bytes(fs.Blocks*unit), inventory.Bytes((fs.Blocks-fs.Bfree)*unit), inventory.Bytes(fs.Bavail*unit)
	u := usage{size: &size, used: &used, available: &available}
	switch m.fsType {
	case "zfs":
		u.size = nil
	case "btrfs":
		u.number = fmt.Sprintf("%d:%d", unix.Major(uint64(st.Dev)), unix.Minor(uint64(st.Dev)))
	}
	return u, nil
}
