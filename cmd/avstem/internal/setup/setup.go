// Package setup makes a server of a machine that has the package installed: the
// directories, keys, inventory and settings that avstem.service needs, each owned
// by the right user.
//
// It exists so that "avstem init" may be run again at any time: each step looks at
// what is there, makes what isn't, and notes what it did. What it writes is whole or
// not there at all, so that one that was killed, or that filled the disk, is gone on
// with by the next. It asks nothing, starts nothing and knows nothing of flags; a
// [Setup] is used by one goroutine.
package setup

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

// Did is what became of a step.
type Did string

// What can become of a step.
const (
	Made    Did = "made"
	Changed Did = "changed"
	Kept    Did = "kept"
)

// Step is one thing that was seen to.
type Step struct {
	Did  Did    `json:"did"`
	Path string `json:"path"`
	What string `json:"what"`
}

// Setup is one run over a machine.
type Setup struct {
	Owner Owner // of the service's state
	// DryRun notes what would be done and does nothing.
	DryRun bool
	Steps  []Step // so far
}

func (s *Setup) note(did Did, path, what string) {
	s.Steps = append(s.Steps, Step{did, path, what})
}

// Anew says whether anything was made or changed.
func (s *Setup) Anew() bool {
	for _, step := range s.Steps {
		if step.Did != Kept {
			return true
		}
	}
	return false
}

// StateDir makes the service's state directory, or gives it to the service where
// root has it. A directory of somebody else is refused.
func (s *Setup) StateDir(dir string) error {
	const what = "state of the service"
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		s.note(Made, dir, what+", which only user "+s.Owner.Name+" may read")
		if s.DryRun {
			return nil
		}
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
		if err := statefile.MkdirAll(dir); err != nil {
			return fmt.Errorf("make state directory: %w", err)
		}
		_, err := s.give(dir)
		return err
	}
	if err != nil {
		return fmt.Errorf("look at state directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("make state directory: %s is a file: move it away", dir)
	}
	did, text := Kept, what
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 && s.Owner.UID != 0 {
		did, text = Changed, what+", which was root's and is user "+s.Owner.Name+"'s now"
	} else if int(uid) != s.Owner.UID {
		return fmt.Errorf("take state directory %s: it belongs to user %d, and the service is user %s: if it is the service's, run: chown -R %[3]s: %[1]s",
			dir, uid, s.Owner.Name)
	}
	if !s.DryRun {
		given, err := s.give(dir)
		if err != nil {
			return err
		}
		if did == Kept && given > 0 {
			did, text = Changed, fmt.Sprintf("%s; files in it that weren't user %s's: %d", what, s.Owner.Name, given)
		}
	}
	s.note(did, dir, text)
	return nil
}

// give gives a directory of root's or the service's and all in it to the service, and
// counts what wasn't. Nothing outside is touched: it goes from the directory that it
// has opened, and a link is given and not followed.
func (s *Setup) give(dir string) (given int, err error) {
	if os.Geteuid() != 0 {
		return 0, nil // it is the service itself
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("give %s to user %s: %w", dir, s.Owner.Name, err)
		}
	}()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return 0, err
	}
	defer root.Close()
	info, err := root.Stat(".")
	if err != nil {
		return 0, err
	}
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid == 0 {
		// Who has a directory above, or a link on the way, could have led to any of root's.
		if way, err := asuser.OwnerOf(dir); err != nil || way.UID != 0 {
			return 0, errors.Join(err, fmt.Errorf("it is root's, and user %d could have put another in its place: give it to %s yourself", way.UID, s.Owner.Name))
		}
	} else if int(uid) != s.Owner.UID {
		return 0, fmt.Errorf("it is user %d's by now", uid)
	}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil {
			info, err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the service runs
		}
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || int(stat.Uid) == s.Owner.UID:
			return nil
		case !entry.IsDir() && stat.Nlink > 1:
			return fmt.Errorf("%s has another name elsewhere, and may be somebody's: remove it, or give it yourself", name)
		}
		if err := root.Lchown(name, s.Owner.UID, s.Owner.GID); !errors.Is(err, fs.ErrNotExist) {
			given++
			return err
		}
		return nil
	})
	return given, err
}

// makeDir makes a directory that everybody may enter, and those above it: the service
// is to find what is in it, whatever root's umask.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return asuser.Below(dir, func() error {
		return errors.Join(os.Mkdir(dir, 0o755), os.Chmod(dir, 0o755))
	})
}

// Auth makes the directory of keys, credentials and the NATS server's configuration.
func (s *Setup) Auth(path string, o auth.Options) (*auth.Dir, error) {
	const what = "keys, credentials, certificate and the NATS server's configuration"
	before, err := auth.Open(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, err
	}
	if s.DryRun {
		if fresh {
			s.note(Made, path, what)
		} else {
			s.note(Kept, path, what+", brought up to date where they aren't")
		}
		return before, nil
	}
	dir, made, err := auth.Init(path, o)
	if err != nil {
		return nil, err
	}
	did, news := Kept, 0
	for _, m := range made {
		if m.New || m.Changed {
			did = Changed
			news++
		}
	}
	if fresh {
		did = Made
	}
	text := what
	if did == Changed {
		text = fmt.Sprintf("%s; of %d files brought up to date: %d", what, len(made), news)
	}
	s.note(did, path, text)
	return dir, nil
}

// inventoryFile is the only file of an inventory that was begun here.
const inventoryFile = "site.yaml"

// sumFile says beside the configuration what that file was begun with, as sha256sum
// writes it: who purges the package removes it if nobody has written in it. It is
// root's, since root's purge believes it.
const sumFile = ".inventory.sha256"

const firstInventory = `# Sentral's inventory: what should run. It is read again when it changes.
# Everything that isn't written down here is found as unknown, and
#   avstem sentral adopt --all --tenant lab --project lab --environment test --inventory %[2]s --write
# writes down what runs now. /usr/share/doc/avstem/examples/inventory explains every key.
sites:
  - {id: %[1]s}
`

// Inventory begins an inventory where there is none, and notes that in the directory
// of the configuration.
func (s *Setup) Inventory(dir, site, configDir string) error {
	const what = "inventory: what should run"
	some, err := hasRecords(dir)
	if err != nil {
		return fmt.Errorf("look at the inventory: %w", err)
	}
	if some {
		if err := s.Owner.CheckRead(dir); err != nil {
			return fmt.Errorf("look at the inventory: %w", err)
		}
		s.note(Kept, dir, what)
		return nil
	}
	s.note(Made, dir, what+"; it knows site "+site+" and nothing else yet")
	if s.DryRun {
		return nil
	}
	text := fmt.Appendf(nil, firstInventory, site, dir)
	file := filepath.Join(dir, inventoryFile)
	sum := fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(text), file)
	for _, made := range []string{configDir, dir} {
		if err := makeDir(made); err != nil {
			return fmt.Errorf("begin the inventory: %w", err)
		}
	}
	if err := statefile.Write(filepath.Join(configDir, sumFile), sum); err != nil {
		return fmt.Errorf("begin the inventory: %w", err)
	}
	if err := statefile.WriteMode(file, text, 0o644); err != nil {
		return fmt.Errorf("begin the inventory: %w", err)
	}
	return nil
}

// hasRecords says whether a directory has a file that an inventory may be in.
func hasRecords(dir string) (bool, error) {
	found := false
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.ToLower(entry.Name())
		for _, ext := range []string{".yaml", ".yml", ".json"} {
			if !entry.IsDir() && !strings.HasPrefix(name, ".") && strings.HasSuffix(name, ext) {
				found = true
				return fs.SkipAll
			}
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return found, err
}
