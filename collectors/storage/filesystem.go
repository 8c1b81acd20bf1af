package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// answerTime is how long a file system may take to say how full it is. A dead
// NFS server, or a disk whose every path is down, never answers.
const answerTime = 2 * time.Second

func (c *Collector) fileSystems(ctx context.Context, b *collectors.Builder) error {
	data, err := collectors.ReadFile(c.Root, mountinfo)
	if err != nil {
		return err
	}
	all, parseErr := parseMountinfo(data)
	mounts := storing(all)
	questions := make([]question, len(mounts))
	if c.Root == "" || c.Root == "/" || c.gauge.measure != nil {
		for i, m := range mounts {
			questions[i] = c.gauge.ask(m)
		}
	}
	for i, m := range mounts {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		name := legible(m.point)
		fs := inventory.FileSystem{Mount: name, Device: legible(m.source), Type: m.fsType, ReadOnly: m.readOnly,
			Number: m.number(), BlockDevice: c.deviceOf(m)}
		if questions[i].answer != nil {
			usage, err := questions[i].await(ctx)
			if err != nil {
				b.Problem(problemOf(name, err))
			}
			fs.Size, fs.Available = usage.size, usage.available
		}
		b.FileSystem(fs)
	}
	return parseErr
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
	case p.Why == inventory.WhyTimedOut:
		p.Remedy = "see whether the file system's server or disk answers"
	case p.Why == inventory.WhyRefused:
		p.Remedy = "let the agent enter the directories above it"
	}
	return p
}

// usage is what statfs(2) tells, in bytes.
type usage struct{ size, available *inventory.Bytes }

type answer struct {
	usage usage
	err   error
}

var errCovered = errors.New("another mount covers it")

// gauge asks file systems how full they are, each in a goroutine of its own,
// since the call can't be broken off. One that has not answered is neither asked
// again nor waited for until it has, so that a dead server costs one goroutine
// and one wait, and not one each pass.
type gauge struct {
	measure func(mount) (usage, error) // nil means statfs(2)

	mu      sync.Mutex
	waiting map[string]question // by mount point
}

// question is a call that was made, in this pass or before it.
type question struct {
	answer <-chan answer
	asked  time.Time
}

func (g *gauge) ask(m mount) question {
	g.mu.Lock()
	defer g.mu.Unlock()
	if pending, found := g.waiting[m.point]; found {
		return pending
	}
	measure := g.measure
	if measure == nil {
		measure = statfs
	}
	if g.waiting == nil {
		g.waiting = map[string]question{}
	}
	answers := make(chan answer, 1)
	asked := question{answers, time.Now()}
	g.waiting[m.point] = asked
	go func() {
		u, err := measure(m)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.waiting, m.point)
		answers <- answer{u, err}
	}()
	return asked
}

// await waits until answerTime after the question, which for an old one is over.
func (q question) await(ctx context.Context) (usage, error) {
	select { // what has been answered counts, however late it is looked at
	case a := <-q.answer:
		return a.usage, a.err
	default:
	}
	ctx, cancel := context.WithDeadline(ctx, q.asked.Add(answerTime))
	defer cancel()
	select {
	case a := <-q.answer:
		return a.usage, a.err
	case <-ctx.Done():
		return usage{}, fmt.Errorf("no answer within %s: %w", answerTime, ctx.Err())
	}
}

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
	size, available := inventory.Bytes(fs.Blocks*unit), inventory.Bytes(fs.Bavail*unit)
	if m.fsType == "zfs" {
		return usage{available: &available}, nil
	}
	return usage{&size, &available}, nil
}
