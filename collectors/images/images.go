package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// The bounds of what is read.
const (
	DefaultMaxSize = 64 * inventory.GiB
	maxFiles       = 256
	defaultSettled = time.Minute
	again          = 10 * time.Minute // before a file that could not be read is tried again
	lookTime       = 2 * time.Second  // for a pass, on file systems that may hang
)

// Collector describes image files. Files is needed; the fields are set before
// the first pass and not after. [Collector.Close] ends the reading thread.
type Collector struct {
	Root string
	// Files says which files disks rest on, by path and format, and their virtual
	// size where that is known. An error means that they aren't known now.
	Files func(context.Context) ([]inventory.ImageFile, error)
	// Cache is the file that digests are kept in. Unless Read is set only those in
	// it are told, and no image is read.
	Cache   string
	Read    bool
	MaxSize inventory.Bytes // of a file that is read; zero means DefaultMaxSize
	// Settled is how long ago a file's last change must be before it is read, so
	// that none is read that is written to; zero means a minute.
	Settled time.Duration
	Logger  *slog.Logger // nil means none

	once   sync.Once
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	files   map[string]*file // of the last pass, by path
	digests *cache
	looking chan struct{} // closed when the look that runs ends; nil for none
	reading chan struct{} // likewise of the reading thread
	unkept  error         // why the digests are in memory only
}

// file is what is known of one file.
type file struct {
	stamp  stamp
	seen   bool
	fault  error     // why it can't be looked at
	note   string    // why it has no digest
	unread error     // why it could not be read, where that is for somebody to mend
	notYet time.Time // not to be read before
}

// stamp is what tells that a file is the one that was read.
type stamp struct {
	Device   uint64 `json:"device"`
	Inode    uint64 `json:"inode"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // st_mtim and st_ctim in nanoseconds
	Changed  int64  `json:"changed"`
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

// Source is "images".
func (c *Collector) Source() string { return "images" }

// Capabilities says where each field comes from.
func (c *Collector) Capabilities() []inventory.Capability {
	of := func(field inventory.Field, from, known, note string) inventory.Capability {
		return inventory.Capability{Field: field, From: from, Known: known, Change: inventory.ChangeByPoll, Note: note}
	}
	const given = "the runtimes' collectors"
	return []inventory.Capability{
		of("imageFile.digest", "read(2), all of the file", inventory.KnownDirect, "computed once, in the background, at idle priority"),
		of("imageFile.format", given, inventory.KnownDirect, ""),
		of("imageFile.modified", "stat(2) st_mtim", inventory.KnownDirect, ""),
		of("imageFile.path", given, inventory.KnownDirect, "the grounds of backing chains, and disks that are only read"),
		of("imageFile.size", "stat(2) st_size", inventory.KnownDirect, ""),
		of("imageFile.undigested", "read(2)", inventory.KnownDerived, ""),
		of("imageFile.virtualSize", given, inventory.KnownDirect, ""),
	}
}

func (c *Collector) setUp() {
	c.once.Do(func() {
		if c.MaxSize == 0 {
			c.MaxSize = DefaultMaxSize
		}
		if c.Settled == 0 {
			c.Settled = defaultSettled
		}
		if c.Logger == nil {
			c.Logger = slog.New(slog.DiscardHandler)
		}
		c.ctx, c.cancel = context.WithCancel(context.Background())
		c.digests = &cache{}
		if c.Cache != "" {
			var err error
			if c.digests, err = readCache(c.Cache); err != nil {
				c.Logger.Warn("image digests are computed anew", "source", c.Source(), "err", err)
			}
		}
	})
}

// Collect makes one pass. It waits for no digest.
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	c.setUp()
	list, err := c.Files(ctx)
	if err != nil {
		return err
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(x, y inventory.ImageFile) int { return strings.Compare(x.Path, y.Path) })
	list = slices.CompactFunc(list, func(x, y inventory.ImageFile) bool { return x.Path == y.Path })
	c.look(ctx, list)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, f := range list {
		c.describe(b, &f, i)
		b.ImageFile(f)
	}
	if c.unkept != nil {
		b.Problem(inventory.Problem{Field: "imageFile.digest", Call: "write " + c.Cache, Why: collectors.WhyOf(c.unkept), Error: c.unkept.Error(),
			Remedy: "let the agent write its state directory: until then images are read again after each start"})
	}
	c.startReading()
	b.Enumerated()
	return nil
}

// describe fills in what is known of the file; the lock is held.
func (c *Collector) describe(b *collectors.Builder, f *inventory.ImageFile, place int) {
	known := c.files[f.Path]
	switch {
	case known == nil || !known.seen && known.fault == nil:
		f.Undigested = "its file system doesn't answer"
		b.Problem(inventory.Problem{Entity: "imageFile:" + f.Path, Field: "imageFile.size", Call: "stat " + f.Path, Why: inventory.WhyTimedOut,
			Error: fmt.Sprintf("no answer within %s", lookTime), Remedy: "see whether the file system's server or disk answers"})
		return
	case known.fault != nil:
		f.Undigested = known.fault.Error()
		if why := collectors.WhyOf(known.fault); why != inventory.WhyAbsent {
			b.Problem(inventory.Problem{Entity: "imageFile:" + f.Path, Field: "imageFile.digest", Call: "stat " + f.Path, Why: why,
				Error: known.fault.Error(), Remedy: "let the agent enter the directories above it"})
		}
		return
	}
	f.Size = new(inventory.Bytes(known.stamp.Size))
	modified := time.Unix(0, known.stamp.Modified).UTC()
	f.Modified = &modified
	if f.Digest = c.digests.of(known.stamp); f.Digest != "" {
		return
	}
	f.Undigested = c.whyNot(known, place)
	if known.unread != nil {
		b.Problem(inventory.Problem{Entity: "imageFile:" + f.Path, Field: "imageFile.digest", Call: "read " + f.Path, Why: collectors.WhyOf(known.unread),
			Error: known.unread.Error(), Remedy: "let the agent read images (CAP_DAC_READ_SEARCH); where that is granted, see whether the file's disk or server is well"})
	}
}

// whyNot says why a file that was seen has no digest.
func (c *Collector) whyNot(f *file, place int) string {
	switch {
	case !c.Read:
		return "only a running agent reads images"
	case inventory.Bytes(f.stamp.Size) > c.MaxSize:
		return "it is larger than " + c.MaxSize.String()
	case place >= maxFiles:
		return fmt.Sprintf("more than %d files are not read", maxFiles)
	case f.note != "":
		return f.note
	}
	return "it has not been read yet"
}

// look looks at the files, in a goroutine that a pass waits for only so long: a
// dead server never answers, and then costs that one goroutine.
func (c *Collector) look(ctx context.Context, list []inventory.ImageFile) {
	c.mu.Lock()
	if c.looking == nil {
		before := c.files
		c.files = make(map[string]*file, len(list))
		for _, f := range list {
			c.files[f.Path] = &file{}
			if old := before[f.Path]; old != nil {
				*c.files[f.Path] = file{stamp: old.stamp, note: old.note, unread: old.unread, notYet: old.notYet}
			}
		}
		c.looking = make(chan struct{})
		go c.lookAll(list, c.looking)
	}
	done := c.looking
	c.mu.Unlock()
	timer := time.NewTimer(lookTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *Collector) lookAll(list []inventory.ImageFile, done chan struct{}) {
	for _, f := range list {
		var st unix.Stat_t
		err := unix.Stat(filepath.Join("/", c.Root, f.Path), &st)
		if err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
			err = errNoFile
		}
		if err != nil {
			err = &fs.PathError{Op: "stat", Path: f.Path, Err: err}
		}
		now := stampOf(&st)
		c.mu.Lock()
		if known := c.files[f.Path]; known != nil {
			if known.stamp != now {
				known.note, known.unread, known.notYet = "", nil, time.Time{}
			}
			known.seen, known.fault, known.stamp = err == nil, err, now
		}
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.looking = nil
	c.mu.Unlock()
	close(done)
}

var errNoFile = errors.New("it is no file")

// Close ends the reading thread, unless that hangs in a read.
func (c *Collector) Close() error {
	c.setUp()
	c.cancel()
	c.mu.Lock()
	reading := c.reading
	c.mu.Unlock()
	if reading == nil {
		return nil
	}
	select {
	case <-reading:
		return nil
	case <-time.After(2 * time.Second):
		return errors.New("close images: a file is being read and its file system doesn't answer")
	}
}
