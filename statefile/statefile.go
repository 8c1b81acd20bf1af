// Package statefile writes the files of state directories, and whatever else is to be
// there whole: all or nothing, readable by their owner alone unless said otherwise,
// and written with the rights of whoever owns the directory.
//
// It exists for that last one. A service has a user of its own, and its operator is
// root: what root's commands write beside it must be the service's to read, and a
// link that the service has put there must lead root nowhere ([asuser]). The
// package knows nothing of what is in the files. Its functions may be called from
// several goroutines and processes; who must not write at one time takes a lock
// ([Lock]).
package statefile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/statefile/asuser"
)

// Write puts data in place of what the file holds, if anything. After a crash or a
// power cut there is the old file or the new one, and the new one once this has
// returned. Its mode is 0600. A link of that name is replaced as a file is.
func Write(path string, data []byte) error { return WriteMode(path, data, 0o600) }

// WriteMode is [Write] for what others than its owner may read.
func WriteMode(path string, data []byte, mode fs.FileMode) error {
	return Put(path, data, Access{Mode: mode, UID: -1, GID: -1})
}

// Access is who may do what with a file: its permissions and the IDs of its owner and
// group, -1 for those that a new file has in its directory.
type Access struct {
	Mode     fs.FileMode
	UID, GID int
}

// Put is [Write] for what is to be somebody's: others have it not even in between.
func Put(path string, data []byte, who Access) error {
	dir := filepath.Dir(path)
	return asuser.Below(dir, func() error {
		next, err := os.CreateTemp(dir, "."+filepath.Base(path)+"-*")
		if err != nil {
			return err
		}
		_, err = next.Write(data)
		err = errors.Join(err, setOwner(next, who), setMode(next, who.Mode), next.Sync(), next.Close())
		if err == nil {
			err = os.Rename(next.Name(), path)
		}
		if err != nil {
			return errors.Join(err, os.Remove(next.Name()))
		}
		return sync(dir)
	})
}

// Replace puts data in place of what a file holds that people may have made: what a
// link leads to is replaced and not the link, and who may read and write it stays.
// A file that isn't there is made with the mode.
func Replace(path string, data []byte, mode fs.FileMode) error {
	return asuser.Below(path, func() error {
		who := Access{Mode: mode, UID: -1, GID: -1}
		real, err := filepath.EvalSymlinks(path)
		if errors.Is(err, fs.ErrNotExist) {
			return Put(path, data, who)
		}
		if err != nil {
			return err
		}
		info, err := os.Stat(real)
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			who = Access{Mode: info.Mode().Perm(), UID: int(stat.Uid), GID: int(stat.Gid)}
		}
		return Put(real, data, who)
	})
}

// setOwner does nothing where the file is who's already, which not everybody may say.
func setOwner(f *os.File, who Access) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || (who.UID < 0 || int(stat.Uid) == who.UID) && (who.GID < 0 || int(stat.Gid) == who.GID) {
		return nil
	}
	return f.Chown(who.UID, who.GID)
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
	return asuser.Below(dir, func() error { return os.MkdirAll(dir, 0o700) })
}

// Lock keeps other processes out until the file is closed or the process ends. The
// file is made where it isn't there, and stays. With wait false the error is
// [syscall.EWOULDBLOCK] where another one has it.
func Lock(path string, wait bool) (f *os.File, err error) {
	err = asuser.Below(filepath.Dir(path), func() (err error) {
		// What a link leads to is no lock.
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		return err
	})
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

// sync has what was renamed in a directory survive a power cut.
func sync(dir string) error {
	handle, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(handle.Sync(), handle.Close())
}
