package statefile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// nobody is a user that root can give files to, and that needs no name.
const nobody = 65534

func ownerOf(t *testing.T, path string) (uid, mode uint32) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Mode & 0o7777
}

// What root writes beside a service is the service's.
func TestOwner(t *testing.T) {
	want := uint32(os.Geteuid())
	dir := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if want == 0 {
		want = nobody
		if err := os.Chown(dir, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	file, below, lock := filepath.Join(dir, "file"), filepath.Join(dir, "a", "b"), filepath.Join(dir, "lock")
	if err := Write(file, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(below); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(below); err != nil {
		t.Errorf("again: %v", err)
	}
	held, err := Lock(lock, true)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for path, mode := range map[string]uint32{file: 0o600, filepath.Dir(below): 0o700, below: 0o700, lock: 0o600} {
		if uid, got := ownerOf(t, path); uid != want || got != mode {
			t.Errorf("%s is %d's with mode %o, want %d and %o", path, uid, got, want, mode)
		}
	}
}

func TestWriteIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	for _, text := range []string{"one", "another one"} {
		if err := Write(file, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != text {
			t.Errorf("it holds %q, %v, want %q", got, err, text)
		}
	}
	// A directory can't be replaced by a file: what was begun is gone again.
	if err := os.MkdirAll(filepath.Join(dir, "taken", "below"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "taken"), nil); err == nil {
		t.Error("a directory is replaced")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v; want file and taken", entries, err)
	}
	if err := MkdirAll(file); err == nil || !strings.Contains(err.Error(), "there is a file of that name") {
		t.Errorf("a directory in place of a file: %v", err)
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "lock")
	held, err := Lock(path, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(path, false); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("a second one gets %v", err)
	}
	held.Close()
	again, err := Lock(path, true)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
	// A link to elsewhere is no lock.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(link, false); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a link is taken: %v", err)
	}
}
