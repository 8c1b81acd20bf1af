package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Owner is the user that a service runs as.
type Owner struct {
	Name     string
	UID, GID int
}

// FindOwner finds a user of this machine.
func FindOwner(name string) (Owner, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return Owner{}, fmt.Errorf("find the service's user: there is no user %s on this machine: the package makes it (apt install ./avstem_*.deb); --user names another", name)
	}
	uid, errUID := strconv.Atoi(found.Uid)
	gid, errGID := strconv.Atoi(found.Gid)
	if errUID != nil || errGID != nil {
		return Owner{}, fmt.Errorf("find the service's user: %s has the IDs %q and %q", name, found.Uid, found.Gid)
	}
	return Owner{Name: name, UID: uid, GID: gid}, nil
}

// CheckRead tries to read a file or list a directory as that user does, and says
// what to type where that is refused.
func (o Owner) CheckRead(path string) error {
	failed := make(chan error)
	go func() {
		// For good: the thread takes the user's rights in the file system and goes
		// with the goroutine.
		runtime.LockOSThread()
		failed <- o.read(path)
	}()
	err := <-failed
	if err == nil || !os.IsPermission(err) {
		return err
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return fmt.Errorf("%w: user %s may not read it, or not get into a directory above it (namei -l %s): chmod -R a+rX %[3]s", err, o.Name, path)
	}
	return fmt.Errorf("%w: user %s may not read it: put it where that user may, for example: install -D -o root -g %[2]s -m 640 %[3]s /etc/avstem/%[4]s",
		err, o.Name, path, filepath.Base(path))
}

// read reads with the user's rights: with another fsuid the kernel takes away the
// right of root to read everything.
func (o Owner) read(path string) error {
	if os.Geteuid() == 0 && o.UID != 0 {
		if err := setGroups(o.GID); err != nil {
			return fmt.Errorf("take the rights of user %s: %w", o.Name, err)
		}
		if err := unix.Setfsgid(o.GID); err != nil {
			return fmt.Errorf("take the rights of user %s: %w", o.Name, err)
		}
		if err := unix.Setfsuid(o.UID); err != nil {
			return fmt.Errorf("take the rights of user %s: %w", o.Name, err)
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		if _, err := f.ReadDir(1); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return nil
}
