package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/sentral"
)

// maxEntries bounds the directories and files of one inventory, so that a link
// to the wrong place doesn't read a whole machine.
const maxEntries = 100_000

// listing is what a directory holds at one moment.
type listing struct {
	files []found
	// dirs are the directories that a change of the files would be noticed in.
	dirs []string
	// unread are directories that could not be listed.
	unread []string
	faults []sentral.Fault

	root    string
	seen    map[string]bool // by real path
	links   []string
	entries int
}

// found is an inventory file.
type found struct {
	path string // under the source's directory, as the user names that
	real string // without links
	info fs.FileInfo
}

// list searches a directory in depth. Only what is wrong with the directory
// itself is an error.
func list(dir string) (*listing, error) {
	if err := checkDir(dir); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	l := &listing{root: root, seen: map[string]bool{}}
	if err := l.dir(dir, root); err != nil {
		return nil, err
	}
	// Links come last, so that a file that is here itself keeps its own name.
	for len(l.links) > 0 {
		link := l.links[0]
		l.links = l.links[1:]
		if err := l.link(link); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(l.files, func(a, b found) int { return strings.Compare(a.path, b.path) })
	if len(l.files) == 0 && len(l.faults) == 0 {
		return nil, fmt.Errorf("read inventory: %s holds no *.yaml, *.yml or *.json file: put the inventory there, docs/examples/inventory shows one", dir)
	}
	return l, nil
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read inventory: %s is not there: create it, or name another directory", dir)
	case err != nil:
		return fmt.Errorf("read inventory: %w: let this user read the directory (it runs as uid %d)", err, os.Geteuid())
	case !info.IsDir():
		return fmt.Errorf("read inventory: %s is not a directory: name the directory that holds the inventory's files", dir)
	}
	return nil
}

func (l *listing) fault(path, format string, args ...any) {
	l.faults = append(l.faults, sentral.Fault{Place: sentral.Place{Name: path, Line: 1, Column: 1}, Error: fmt.Sprintf(format, args...), Lost: true})
}

// dir lists one directory. Real is its path without links.
func (l *listing) dir(path, real string) error {
	if l.seen[real] {
		return nil
	}
	l.seen[real] = true
	l.dirs = append(l.dirs, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		if real == l.root {
			return fmt.Errorf("read inventory: %w: let this user read the directory (it runs as uid %d)", err, os.Geteuid())
		}
		l.unread = append(l.unread, path)
		l.fault(path, "%v", err)
		return nil
	}
	for _, entry := range entries {
		if isLeftover(entry.Name()) {
			continue
		}
		if l.entries++; l.entries > maxEntries {
			return fmt.Errorf("read inventory: %s holds more than %d files and directories: name the directory that holds the inventory alone", l.root, maxEntries)
		}
		if err := l.entry(filepath.Join(path, entry.Name()), filepath.Join(real, entry.Name()), entry); err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) entry(path, real string, entry fs.DirEntry) error {
	switch kind := entry.Type(); {
	case kind.IsDir():
		return l.dir(path, real)
	case kind&fs.ModeSymlink != 0:
		l.links = append(l.links, path)
	case isInventory(path):
		info, err := entry.Info()
		if err != nil {
			return nil // gone since it was listed
		}
		l.file(path, real, info)
	}
	return nil
}

func (l *listing) file(path, real string, info fs.FileInfo) {
	if l.seen[real] {
		return
	}
	l.seen[real] = true
	l.files = append(l.files, found{path, real, info})
}

// link follows a link to a file, or to a directory that the search isn't
// inside of.
func (l *listing) link(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if isInventory(path) {
			l.fault(path, "follow link: %v", err)
		}
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // gone since it was resolved
	case info.IsDir():
		if within, err := filepath.Rel(real, l.root); err == nil && !strings.HasPrefix(within, "..") {
			return nil
		}
		return l.dir(path, real)
	case isInventory(path):
		l.dirs = append(l.dirs, filepath.Dir(real))
		l.file(path, real, info)
	}
	return nil
}

// isInventory goes by the name alone.
func isInventory(path string) bool {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// isLeftover recognises what is no inventory whatever it is called: hidden
// files and directories (.git, .x.yaml.swp, ..data of a mounted ConfigMap) and
// editors' copies (x.yaml~, #x.yaml#).
func isLeftover(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~")
}

// signature changes when a file does, as far as can be told without reading: a
// file that is replaced by another as long and as old is another inode.
func (l *listing) signature() string {
	var b strings.Builder
	for _, f := range l.files {
		var inode uint64
		if stat, ok := f.info.Sys().(*syscall.Stat_t); ok {
			inode = stat.Ino
		}
		fmt.Fprintf(&b, "%s\x00%s\x00%d %d %d %o\n", f.path, f.real, inode, f.info.Size(), f.info.ModTime().UnixNano(), f.info.Mode())
	}
	for _, fault := range l.faults {
		fmt.Fprintln(&b, fault.Place, fault.Error)
	}
	return b.String()
}
