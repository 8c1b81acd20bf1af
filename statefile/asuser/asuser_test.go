package asuser

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

const (
	service = 65534 // nobody, who needs no name
	other   = 4711
)

// tree makes directories (a name with a slash at its end), files and links (with
// what they lead to), and gives them to users.
func tree(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("rights are taken by root")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range []struct {
		name, to string
		owner    int
	}{
		{"roots/", "", 0},
		{"roots/file", "", 0},
		{"roots/given", "", service},
		{"state/", "", service},
		{"state/auth/", "", service},
		{"state/own/", "", 0},
		{"state/out", "../roots", service},
		{"state/in", "auth", service},
		{"state/loop", "loop", service},
		{"state/others/", "", other},
		{"moved", "state/auth", 0},
		{"deep", "moved/../out", 0},
	} {
		path := filepath.Join(dir, entry.name)
		var err error
		switch {
		case entry.to != "":
			err = os.Symlink(entry.to, path)
		case entry.name[len(entry.name)-1] == '/':
			err = os.Mkdir(path, 0o755)
		default:
			err = os.WriteFile(path, []byte("x"), 0o600)
		}
		if err := errors.Join(err, os.Lchown(path, entry.owner, entry.owner)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestOwnerOf(t *testing.T) {
	dir := tree(t)
	for name, want := range map[string]int{
		"":                       0,
		"roots":                  0,
		"roots/file":             0,
		"roots/given":            0, // whose directory is root's
		"none/of/it":             0,
		"state":                  service,
		"state/auth":             service,
		"state/auth/none":        service,
		"state/own":              service, // which may have it moved
		"state/in":               service,
		"state/out":              service, // whose link it is
		"state/out/file":         service,
		"state/others":           other,
		"moved":                  service,
		"deep":                   service,
		"state/../roots":         service,
		"state/out/../roots/new": service, // behind the link
		"roots/../roots":         0,
	} {
		if got, err := OwnerOf(dir + "/" + name); err != nil || got.UID != want || got.GID != want {
			t.Errorf("%s is %+v's, %v; want %d", name, got, err, want)
		}
	}
	if got, err := OwnerOf(filepath.Join(dir, "state/loop")); err == nil {
		t.Errorf("a link to itself is %+v's", got)
	}
}

// What is done below a service's directory is what the service could do.
func TestBelow(t *testing.T) {
	dir := tree(t)
	read := func(name string) func() error {
		return func() error { _, err := os.ReadFile(filepath.Join(dir, name)); return err }
	}
	if err := Below(filepath.Join(dir, "state/out"), read("roots/file")); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("root's file is read: %v", err)
	}
	if err := Below(filepath.Join(dir, "roots"), read("roots/file")); err != nil {
		t.Error(err)
	}
	made := filepath.Join(dir, "state/auth/made")
	err := Below(filepath.Join(dir, "state"), func() error {
		// Whatever is done in between stays with those rights.
		return Below(filepath.Join(dir, "roots"), func() error {
			if err := read("roots/file")(); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("within: root's file is read: %v", err)
			}
			return os.WriteFile(made, nil, 0o600)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := (User{UID: service, GID: service}).Do(func() error { return os.Remove(made) }); err != nil {
		t.Errorf("what was made isn't the service's: %v", err)
	}
	// The rights were another thread's: ours are what they were.
	if err := read("roots/file")(); err != nil {
		t.Error(err)
	}
}

// A file of a group is read by who is in it.
func TestGroups(t *testing.T) {
	dir := tree(t)
	file := filepath.Join(dir, "roots/file")
	if err := errors.Join(os.Chown(file, 0, other), os.Chmod(file, 0o640)); err != nil {
		t.Fatal(err)
	}
	read := func() error { _, err := os.ReadFile(file); return err }
	if err := (User{UID: service, GID: service, Groups: []int{service, other}}).Do(read); err != nil {
		t.Error(err)
	}
	if err := (User{UID: service, GID: service}).Do(read); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("without the group: %v", err)
	}
}
