// Package statefile writes the files of state directories, and whatever else is to be
// there whole: all or nothing, readable by their owner alone unless said otherwise,
// and owned by whoever owns the directory.
//
// It exists for that last one. A service has a user of its own, and its operator is
// root: what root's commands write beside it must be the service's to read. The
// package knows nothing of what is in the files. Its functions may be called from
// several goroutines and processes; who must not write at one time takes a lock
// ([Lock]).
package statefile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Write puts data in place of what the file holds, if anything. After a crash or a
// power cut there is the old file or the new one, and the new one once this has
// returned. Its mode is 0600.
func Write(path string, data []byte) error { return WriteMode(path, data, 0o600) }

// WriteMode is [Write] for what others than its owner may read.
func WriteMode(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	next, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	err = errors.Join(err, setMode(next, mode), giveTo(next, dir), next.Sync(), next.Close())
	if err == nil {
		err = os.Rename(next.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return sync(dir)
}

// setMode does nothing where the file has the mode, as [os.CreateTemp]'s 0600: some
// file systems (NFS with squashed users, hostfs of user-mode Linux) make files that
// are another user's, whose mode only that one may set.
func setMode(f *os.File, mode fs.FileMode) error {
	info, err := f.Stat()
	if err != nil || info.Mode().Perm() == mode {
		return err
	}
	return f.Chmod(mode)
}

// MkdirAll makes a directory and those above it that aren't there, with mode 0700.
func MkdirAll(dir string) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("make directory %s: there is a file of that name", dir)
		}
		return nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := filepath.Dir(dir)
	if err := MkdirAll(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	made, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return errors.Join(giveTo(made, above), made.Close())
}

// Lock keeps other processes out until the file is closed or the process ends. The
// file is made where it isn't there, and stays. With wait false the error is
// [syscall.EWOULDBLOCK] where another one has it.
func Lock(path string, wait bool) (*os.File, error) {
	f, err := openLock(path)
	if err != nil {
		return nil, err
	}
	how := unix.LOCK_EX
	if !wait {
		how |= unix.LOCK_NB
	}
	for {
		if err = unix.Flock(int(f.Fd()), how); !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openLock makes the file only where it isn't there: what is there has its owner,
// and may be another's link to somewhere else.
func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := giveTo(f, filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// giveTo gives a file that root made to the owner of a directory.
func giveTo(f *os.File, dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	return f.Chown(int(owner.Uid), int(owner.Gid))
}

// sync has what was renamed in a directory survive a power cut.
func sync(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}
