package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// startReading starts the thread where there is something to read and none runs;
// the lock is held.
func (c *Collector) startReading() {
	if c.reading != nil || !c.Read || c.ctx.Err() != nil {
		return
	}
	if _, _, found := c.next(); !found {
		return
	}
	c.reading = make(chan struct{})
	go c.read(c.reading)
}

// read reads file after file. Its thread ends with it, since its priority can't
// be raised again.
func (c *Collector) read(done chan struct{}) {
	runtime.LockOSThread()
	defer close(done)
	err := giveWay()
	for {
		c.mu.Lock()
		path, known, found := c.next()
		if !found || c.ctx.Err() != nil {
			c.reading = nil
			c.mu.Unlock()
			return
		}
		want := known.stamp
		known.note = "it is being read"
		c.mu.Unlock()
		var digest string
		if err == nil {
			digest, err = c.digest(path, want)
		}
		c.file(path, want, digest, err)
		if !errors.Is(err, errPriority) {
			err = nil
		}
	}
}

// next chooses a file that is to be read: the lock is held.
func (c *Collector) next() (path string, f *file, found bool) {
	now := time.Now()
	paths := make([]string, 0, len(c.files))
	for path := range c.files {
		paths = append(paths, path)
	}
	slices.Sort(paths)
	for _, path := range paths[:min(len(paths), maxFiles)] {
		f := c.files[path]
		if !f.seen || inventory.Bytes(f.stamp.Size) > c.MaxSize || now.Before(f.notYet) || c.digests.of(f.stamp) != "" {
			continue
		}
		if age := now.Sub(time.Unix(0, max(f.stamp.Modified, f.stamp.Changed))); age < c.Settled {
			f.note = fmt.Sprintf("it changed less than %s ago", c.Settled)
			continue
		}
		return path, f, true
	}
	return "", nil, false
}

// file keeps what came of reading a file.
func (c *Collector) file(path string, want stamp, digest string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.files[path]; known != nil { // a pass may have forgotten it meanwhile
		known.note, known.unread = "", nil
		if err != nil {
			known.note, known.notYet = err.Error(), time.Now().Add(again)
		}
		if err != nil && !errors.Is(err, errChanged) && c.ctx.Err() == nil {
			known.unread = err
		}
	}
	if err != nil {
		return
	}
	current := make([]stamp, 0, len(c.files))
	for _, f := range c.files {
		current = append(current, f.stamp)
	}
	c.digests.set(want, digest, current)
	if c.Cache == "" {
		return
	}
	if c.unkept = c.digests.write(c.Cache); c.unkept != nil {
		c.Logger.Warn("image digests are kept in memory only", "source", c.Source(), "err", c.unkept)
	}
}

// chunk is what is read and hashed at once, before the thread rests for as long
// as that took. Go's scheduler can't interrupt hashing: it is a millisecond.
const chunk = 1 << 20

// digest reads the file, which must be the one that was seen, before and after.
func (c *Collector) digest(path string, want stamp) (string, error) {
	at := filepath.Join("/", c.Root, path)
	f, err := openDirect(at)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := unchanged(f, want); err != nil {
		return "", err
	}
	buffer, err := unix.Mmap(-1, 0, chunk, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // aligned, as O_DIRECT wants it
	if err != nil {
		return "", fmt.Errorf("allocate a buffer: %w", err)
	}
	defer unix.Munmap(buffer)
	hash := sha256.New()
	for read := int64(0); read <= want.Size; {
		began := time.Now()
		n, err := f.Read(buffer)
		hash.Write(buffer[:n])
		read += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, unix.EINVAL) && read == 0 && cached(f) == nil {
			continue
		}
		if err != nil {
			return "", errors.Unwrap(err) // without the path, which isn't the host's
		}
		if err := rest(c.ctx, time.Since(began)); err != nil {
			return "", err
		}
	}
	if err := unchanged(f, want); err != nil {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Stat(at, &st); err != nil || stampOf(&st) != want {
		return "", errChanged // another file has its name now
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), nil
}

// openDirect opens a file to read past the page cache, which VMs may need more,
// where the file system can do that.
func openDirect(path string) (*os.File, error) {
	const flags = os.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC
	f, err := os.OpenFile(path, flags|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		f, err = os.OpenFile(path, flags, 0)
	}
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	return f, nil
}

// cached makes a file be read through the page cache: some file systems let it be
// opened otherwise and refuse to read.
func cached(f *os.File) error {
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	if err == nil && flags&unix.O_DIRECT == 0 {
		err = unix.EINVAL // it was
	}
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_SETFL, flags&^unix.O_DIRECT)
	}
	return err
}

var errChanged = errors.New("it changed while it was read")

func unchanged(f *os.File, want stamp) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if stampOf(&st) != want {
		return errChanged
	}
	return nil
}

// rest waits for d, and gives an error when ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

var errPriority = errors.New("this process may not lower its own priority")

// The I/O priority classes of linux/ioprio.h.
const (
	ioprioWhoProcess = 1
	ioprioClassIdle  = 3
	ioprioClassShift = 13
	lowestNice       = 19
)

// giveWay lowers the priority of the calling thread alone: 0 means that one, for
// both calls.
func giveWay() error {
	if _, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_SET, ioprioWhoProcess, 0, ioprioClassIdle<<ioprioClassShift); errno != 0 {
		return fmt.Errorf("%w: ioprio_set: %w", errPriority, errno)
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, lowestNice); err != nil {
		return fmt.Errorf("%w: setpriority: %w", errPriority, err)
	}
	return nil
}
