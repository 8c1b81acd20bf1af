package setup

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/dataverket/avstem/statefile/asuser"
)

// Owner is the user that a service runs as.
type Owner struct {
	Name string
	asuser.User
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
	owner := Owner{name, asuser.User{UID: uid, GID: gid}}
	// systemd, too, gives a service all groups of its user.
	groups, err := found.GroupIds()
	if err != nil {
		return Owner{}, fmt.Errorf("find the service's user: find the groups of %s: %w", name, err)
	}
	for _, group := range groups {
		id, err := strconv.Atoi(group)
		if err != nil {
			return Owner{}, fmt.Errorf("find the service's user: %s has the group %q", name, group)
		}
		owner.Groups = append(owner.Groups, id)
	}
	return owner, nil
}

// CheckRead tries to read a file or list a directory as that user does, and says
// what to type where that is refused.
func (o Owner) CheckRead(path string) error {
	err := o.Do(func() error { return read(path) })
	if err == nil || !os.IsPermission(err) {
		return err
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		return fmt.Errorf("%w: user %s may not read it, or not get into a directory above it (namei -l %s): chmod -R a+rX %[3]s", err, o.Name, path)
	}
	return fmt.Errorf("%w: user %s may not read it: put it where that user may, for example: install -D -o root -g %[2]s -m 640 %[3]s /etc/avstem/%[4]s",
		err, o.Name, path, filepath.Base(path))
}

func read(path string) error {
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
