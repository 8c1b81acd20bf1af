// Package storage reads the host's block devices (sysfs, with udev's database
// as a supplement) and its mounted file systems (mountinfo and statfs(2)).
//
// It exists so that a VM's disk can be followed to what it lies on, and so that
// capacity can be seen. It reads what the kernel and udev show and no disk, runs
// no program and needs no privilege: of LVM, RAID, multipath, dm-crypt, NVMe, ZFS
// and Ceph it knows what stands in names and files there, and never a key. Only
// the durable names (serial, WWN, device-mapper UUID) identify a device; the
// kernel's do not.
//
// A mount whose server is dead, or a device that hangs, keeps one goroutine and
// is a problem of its own; the rest of the pass goes on (see asker).
//
// A Collector runs one pass at a time.
package storage

import (
	"context"
	"errors"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads the host's storage from the files under Root ("" means "/").
// Where Root is moved, it is a capture: sizes of file systems are in no file,
// so they aren't reported.
type Collector struct {
	Root string

	mounts  asker[usage]
	devices asker[report]
	measure func(mount) (usage, error) // nil means statfs(2)
}

// Source implements [collectors.Collector].
func (c *Collector) Source() string { return "storage" }

// Capabilities implements [collectors.Collector].
func (c *Collector) Capabilities() []inventory.Capability { return capabilities() }

// Collect implements [collectors.Collector].
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	blockErr := c.blockDevices(ctx, b)
	fileErr := c.fileSystems(ctx, b)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case blockErr == nil && fileErr == nil:
		b.Enumerated()
		return nil
	case collectors.WhyOf(blockErr) == inventory.WhyAbsent && collectors.WhyOf(fileErr) == inventory.WhyAbsent:
		return &collectors.SourceError{Call: sysBlock + ", " + mountinfo, Why: inventory.WhyAbsent,
			Remedy: "check that /sys and /proc are mounted where the agent runs",
			Err:    errors.Join(blockErr, fileErr, collectors.ErrAbsent)}
	case blockErr != nil:
		return &collectors.SourceError{Call: sysBlock, Why: collectors.WhyOf(blockErr), Err: blockErr,
			Remedy: "let the agent see /sys as the host has it"}
	}
	return &collectors.SourceError{Call: mountinfo, Why: collectors.WhyOf(fileErr), Err: fileErr,
		Remedy: "let the agent see /proc as the host has it, and report a line that it can't read"}
}
