// Package asuser does things in the file system with another user's rights.
//
// It exists because root's commands work in directories of services. Whose a
// directory is may put links there, or another directory in its place, at any
// moment: whatever root then looks at first is no longer so when it writes. With the
// rights of that user the kernel says at each step what may be done, and root's
// files are as safe from the command as they are from the service. The package
// knows nothing of what is done. It is for Linux, where each thread has rights of
// its own; its functions may be called from several goroutines.
package asuser

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// User is whose rights are taken: the IDs of a user, its group and its other ones.
// The zero value is root.
type User struct {
	UID, GID int
	Groups   []int
}

// Do calls do with the user's rights in the file system: they are those of the
// calling goroutine alone, and what do starts beside itself has root's. Who isn't
// root, or has taken a user's rights already, keeps those that it has.
func (u User) Do(do func() error) error {
	if u.UID == 0 || os.Geteuid() != 0 || fsuid() != 0 {
		return do()
	}
	done := make(chan error)
	go func() {
		// For good: the thread goes with the goroutine.
		runtime.LockOSThread()
		if err := u.take(); err != nil {
			done <- fmt.Errorf("take the rights of user %d: %w", u.UID, err)
			return
		}
		done <- do()
	}()
	return <-done
}

// take takes the rights: with another fsuid the kernel takes away what root may do
// to every file.
func (u User) take() error {
	if err := setGroups(u.Groups); err != nil {
		return err
	}
	if err := unix.Setfsgid(u.GID); err != nil {
		return err
	}
	if err := unix.Setfsuid(u.UID); err != nil {
		return err
	}
	if fsuid() != u.UID { // which is all that the kernel says
		return unix.EPERM
	}
	return nil
}

// fsuid is the calling thread's. It is asked for by setting what nobody has.
func fsuid() int {
	is, err := unix.SetfsuidRetUid(-1)
	if err != nil {
		return -1
	}
	return is
}

// Below calls do with the rights of whom the path is ([OwnerOf]).
func Below(path string, do func() error) error {
	if os.Geteuid() != 0 || fsuid() != 0 {
		return do()
	}
	owner, err := OwnerOf(path)
	if err != nil {
		return err
	}
	err = owner.Do(do)
	if owner.UID != 0 && errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w (with the rights of user %d, whose %s is)", err, owner.UID, path)
	}
	return err
}

// maxLinks is how many the kernel follows, too.
const maxLinks = 40

// OwnerOf says who decides where a path leads: of the directories and links on the
// way to it, and those that these lead to, the owner of the last that isn't root's;
// root where all are. What isn't there yet is left out. It has the directory's or
// link's group, and no others.
func OwnerOf(path string) (User, error) {
	if !filepath.IsAbs(path) { // and never cleaned: behind a link, .. is elsewhere
		here, err := os.Getwd()
		if err != nil {
			return User{}, err
		}
		path = here + "/" + path
	}
	owner, at, links := User{}, "/", 0
	for rest := path; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		if name == "" {
			continue
		}
		next := filepath.Join(at, name)
		info, err := os.Lstat(next)
		if errors.Is(err, fs.ErrNotExist) {
			return owner, nil
		}
		if err != nil {
			return User{}, err
		}
		link := info.Mode()&fs.ModeSymlink != 0
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && (link || info.IsDir()) {
			owner = User{UID: int(stat.Uid), GID: int(stat.Gid)}
		}
		if !link {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return User{}, &fs.PathError{Op: "follow", Path: path, Err: unix.ELOOP}
		}
		to, err := os.Readlink(next)
		if err != nil {
			return User{}, err
		}
		if filepath.IsAbs(to) {
			at = "/"
		}
		rest = to + "/" + rest
	}
	return owner, nil
}
