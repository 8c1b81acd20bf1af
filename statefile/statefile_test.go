package statefile

import (
	"errors"
	"os"
	"path/filepath"
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

// enter lets everybody get to a directory of the test's.
func enter(t *testing.T, dir string) {
	t.Helper()
	if err := os.Chmod(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil { // of t.TempDir
		t.Fatal(err)
	}
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
		enter(t, dir)
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
	if err := MkdirAll(file); err == nil || !errors.Is(err, syscall.ENOTDIR) {
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

// asRoot is a directory of a service beside one of root's, which the service wants to
// be led to.
func asRoot(t *testing.T) (service, roots string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("what root writes is tried as root")
	}
	dir := t.TempDir()
	service, roots = filepath.Join(dir, "service"), filepath.Join(dir, "roots")
	for _, made := range []string{service, roots} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	enter(t, service)
	if err := os.Lchown(service, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	return service, roots
}

// Links of a service's lead root's commands nowhere.
func TestLinkOfAService(t *testing.T) {
	service, roots := asRoot(t)
	for name, to := range map[string]string{"dir": roots, "file": filepath.Join(roots, "passwd"), "none": filepath.Join(roots, "none")} {
		link := filepath.Join(service, name)
		if err := errors.Join(os.Symlink(to, link), os.Lchown(link, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
	}
	passwd := filepath.Join(roots, "passwd")
	if err := os.WriteFile(passwd, []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	through := filepath.Join(service, "dir")
	for what, err := range map[string]error{
		"write":   Write(filepath.Join(through, "passwd"), nil),
		"make":    MkdirAll(filepath.Join(through, "below")),
		"replace": Replace(filepath.Join(service, "file"), nil, 0o644),
		"begin":   Replace(filepath.Join(through, "new"), nil, 0o644),
	} {
		if !errors.Is(err, os.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if f, err := Lock(filepath.Join(through, "lock"), false); !errors.Is(err, os.ErrPermission) {
		t.Errorf("lock: %v, %v", f, err)
	}
	// A link in place of a file is replaced itself.
	for _, name := range []string{"file", "none"} {
		if err := Write(filepath.Join(service, name), nil); err != nil {
			t.Error(err)
		}
		if uid, _ := ownerOf(t, filepath.Join(service, name)); uid != nobody {
			t.Errorf("%s is %d's", name, uid)
		}
	}
	entries, err := os.ReadDir(roots)
	if data, _ := os.ReadFile(passwd); err != nil || len(entries) != 1 || string(data) != "root's" {
		t.Errorf("root has %v, %v, and in its file %q", entries, err, data)
	}
}

// Whoever may read and write a file may so afterwards, and a link stays one.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := Replace(file, []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, mode := ownerOf(t, file); mode != 0o644 {
		t.Errorf("it begins with mode %o", mode)
	}
	uid := uint32(os.Geteuid())
	if uid == 0 {
		uid = nobody
	}
	if err := errors.Join(os.Chown(file, int(uid), -1), os.Chmod(file, 0o640), os.Symlink("file", link)); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("b"), 0o644); err != nil {
		t.Fatal(err)
	}
	if is, mode := ownerOf(t, file); is != uid || mode != 0o640 {
		t.Errorf("it is %d's with mode %o", is, mode)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "b" {
		t.Errorf("it holds %q, %v", data, err)
	}
}
