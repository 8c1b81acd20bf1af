package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// killTimeout is how long the kernel may take to end a rig's processes.
const killTimeout = 20 * time.Second

// Clean removes everything that a rig in dir is or left behind: its processes,
// with them its namespaces and mounts, and its directory. It waits for a start
// that is under way, works after the starter was killed at any point, and does
// nothing when there is nothing. A directory that is no rig's is an error and is
// left alone.
func Clean(dir string) error {
	dir, err := resolve(dir)
	if err != nil {
		return err
	}
	unlock, err := lock(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("clean rig: %w", err)
	}
	defer unlock()
	return clean(dir)
}

// clean does it for who holds the lock.
func clean(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clean rig: %w", err)
	}
	rec, err := readRecord(dir)
	switch {
	case errors.Is(err, ErrNotRunning) && unbegun(entries):
		// Killed before the record had its name.
	case errors.Is(err, ErrNotRunning):
		return fmt.Errorf("clean rig in %s: %w", dir, errNotARig)
	case err != nil:
		return fmt.Errorf("clean rig: %w", err)
	}
	if err := rec.Init.kill(killTimeout); err != nil {
		return fmt.Errorf("clean rig in %s: %w", dir, err)
	}
	if err := removeCGroups(rec.CGroups); err != nil {
		return fmt.Errorf("clean rig: %w", err)
	}
	if err := checkNoMounts(dir); err != nil {
		return fmt.Errorf("clean rig: %w", err)
	}
	for _, e := range entries {
		if e.Name() == recordFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("clean rig: %w", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clean rig: %w", err)
	}
	return nil
}

// unbegun says whether a directory has nothing but what precedes the record.
func unbegun(entries []os.DirEntry) bool {
	for _, e := range entries {
		if e.Name() != recordFile+".new" {
			return false
		}
	}
	return true
}

// checkNoMounts refuses to remove through a mount. A rig's own are in its own
// namespace and gone, so one that is here was made by somebody else.
func checkNoMounts(dir string) error {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		// Field 5 is the mount point (proc(5)).
		if strings.HasPrefix(fields[4]+"/", dir+"/") {
			return fmt.Errorf("%s is a mount that no rig made: unmount it first", fields[4])
		}
	}
	return nil
}

// lock makes sure that one process at a time starts or removes a rig in dir. The
// kernel lets go of the lock when its holder dies. The error wraps
// os.ErrNotExist when there is no such directory, or there no longer is.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	// Whoever held it before may have removed the directory.
	held, err := f.Stat()
	if err == nil {
		var there os.FileInfo
		if there, err = os.Stat(dir); err == nil && !os.SameFile(held, there) {
			err = fmt.Errorf("%s was replaced: %w", dir, os.ErrNotExist)
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
