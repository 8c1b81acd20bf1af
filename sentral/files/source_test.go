package files

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// site is a file with one site.
func site(id string) string { return "sites: [{id: " + id + "}]\n" }

func siteIDs(t *testing.T, s *Source) []string {
	t.Helper()
	var ids []string
	for _, site := range read(t, s).Sites {
		ids = append(ids, site.ID)
	}
	return ids
}

func TestWhichFilesAreRead(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	write(t, dir, map[string]string{
		"a.yaml": site("a"), "b/c/d.yml": site("d"), "e.JSON": `{"sites": [{"id": "e"}]}`,
		".hidden.yaml": site("x"), ".git/x.yaml": site("x"), "a.yaml~": site("x"), "#a.yaml#": site("x"), ".a.yaml.swp": site("x"), "~/a.yaml": site("x"),
		"README.md": "x", "x.yaml.bak": site("x"), "dir.yaml/f.yaml": site("f"),
	})
	write(t, elsewhere, map[string]string{"g.yaml": site("g"), "more/h.yaml": site("h"), "more/text": site("i")})
	for name, target := range map[string]string{
		"link.yaml": filepath.Join(elsewhere, "g.yaml"), "again.yaml": "link.yaml", "self.yaml": "a.yaml", "named.yaml": filepath.Join(elsewhere, "more/text"),
		"more": filepath.Join(elsewhere, "more"), "loop": ".", "b/up": "..", "root": "/",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	inv := read(t, s)
	if got := problems(inv, dir); got != nil || inv.Incomplete {
		t.Errorf("problems: %q", got)
	}
	// In the order of their paths: a, again (g), b/c/d, dir.yaml/f, e, more/h, named (i).
	if diff := cmp.Diff([]string{"a", "g", "d", "f", "e", "h", "i"}, siteIDs(t, s)); diff != "" {
		t.Errorf("sites (-want +got):\n%s", diff)
	}
}

func TestDirectoryThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"file": "x", "empty/README": "x"})
	for name, want := range map[string]string{
		"gone":  "read inventory: DIR/gone is not there: create it, or name another directory",
		"file":  "read inventory: DIR/file is not a directory: name the directory that holds the inventory's files",
		"empty": "read inventory: DIR/empty holds no *.yaml, *.yml or *.json file: put the inventory there, docs/examples/inventory shows one",
	} {
		s, err := Open(filepath.Join(dir, name))
		if err == nil {
			_, err = s.Read(context.Background())
		}
		if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestReadHonoursItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := open(t, "../../docs/examples/inventory").Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestHalfWrittenFile: what a file said before counts until it can be read, and
// only that file's.
func TestHalfWrittenFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a.yaml": site("a1"), "b.yaml": site("b1")})
	s := open(t, dir)
	first := read(t, s)
	for _, step := range []struct {
		a, b       string // what is written into the files
		want       []string
		problems   []string
		incomplete bool
	}{
		{a: "sites: [{id: a2", b: site("b2"), want: []string{"a1", "b2"}, problems: []string{"a.yaml:1:1: not YAML, or only half of it: did not find expected ',' or '}' (what it said before is used)"}},
		{a: "", b: site("b2"), want: []string{"a1", "b2"}, problems: []string{"a.yaml:1:1: the file is empty: write something into it, or remove it (what it said before is used)"}},
		{a: site("a1"), b: site("b2"), want: []string{"a1", "b2"}},
		{a: site("a3"), b: site("b2"), want: []string{"a3", "b2"}},
		{a: "sites: [", b: "sites: [", want: []string{"a3", "b2"}, problems: []string{
			"a.yaml:1:1: not YAML, or only half of it: did not find expected node content (what it said before is used)",
			"b.yaml:1:1: not YAML, or only half of it: did not find expected node content (what it said before is used)",
		}},
		{a: "# all gone\n", b: site("b1"), want: []string{"b1"}},
	} {
		write(t, dir, map[string]string{"a.yaml": step.a, "b.yaml": step.b})
		inv := read(t, s)
		if diff := cmp.Diff(step.want, siteIDs(t, s)); diff != "" {
			t.Errorf("%q: sites (-want +got):\n%s", step.a, diff)
		}
		if diff := cmp.Diff(step.problems, problems(inv, dir)); diff != "" || inv.Incomplete {
			t.Errorf("%q: incomplete: %v, problems (-want +got):\n%s", step.a, inv.Incomplete, diff)
		}
	}
	write(t, dir, map[string]string{"a.yaml": site("a1")})
	if again := read(t, s); again.Version != first.Version || first.Version == "" {
		t.Errorf("the same files have versions %s and %s", first.Version, again.Version)
	}
	if err := os.Remove(filepath.Join(dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := siteIDs(t, s); !cmp.Equal(got, []string{"b1"}) {
		t.Errorf("after a file was removed: %v", got)
	}
	write(t, dir, map[string]string{"a.yaml": "sites: ["})
	want := []string{"a.yaml:1:1: not YAML, or only half of it: did not find expected node content (its records are missing)"}
	for range 2 {
		if inv := read(t, s); !inv.Incomplete || !cmp.Equal(problems(inv, dir), want) {
			t.Errorf("a file that never was whole: incomplete: %v, problems %q", inv.Incomplete, problems(inv, dir))
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"good.yaml": site("good")})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(dir, "big.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(big.Truncate(int64(maxFileSize)+1), big.Close()); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	inv := read(t, s)
	want := []string{
		"big.yaml:1:1: read big.yaml: it is larger than 64 MiB: split it (its records are missing)",
		"link.yaml:1:1: follow link: lstat nowhere: no such file or directory",
		"pipe.yaml:1:1: read pipe.yaml: it is not a file (its records are missing)",
	}
	if diff := cmp.Diff(want, problems(inv, dir)); diff != "" || !inv.Incomplete {
		t.Errorf("incomplete: %v, problems (-want +got):\n%s", inv.Incomplete, diff)
	}
	if got := siteIDs(t, s); !cmp.Equal(got, []string{"good"}) {
		t.Errorf("sites: %v", got)
	}
}

// TestFilesThatMayNotBeRead reads as a user without rights: the first time that
// leaves records out, later it leaves them as they were.
func TestFilesThatMayNotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"good.yaml": site("good"), "secret.yaml": site("secret"), "closed/a.yaml": site("closed")})
	denied := []string{
		"closed:1:1: open closed: permission denied",
		"secret.yaml:1:1: open secret.yaml: permission denied",
	}
	known, fresh := open(t, dir), open(t, dir)
	read(t, known)
	shut := func(mode os.FileMode) {
		for _, name := range []string{"secret.yaml", "closed"} {
			if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	shut(0)
	defer shut(0o755)
	unprivileged(t, func() {
		inv := read(t, fresh)
		if diff := cmp.Diff([]string{denied[0], denied[1] + " (its records are missing)"}, problems(inv, dir)); diff != "" || !inv.Incomplete {
			t.Errorf("first: incomplete: %v, problems (-want +got):\n%s", inv.Incomplete, diff)
		}
		if got := siteIDs(t, fresh); !cmp.Equal(got, []string{"good"}) {
			t.Errorf("first: sites %v", got)
		}
		inv = read(t, known)
		if diff := cmp.Diff([]string{denied[0], denied[1] + " (what it said before is used)"}, problems(inv, dir)); diff != "" || !inv.Incomplete {
			t.Errorf("later: incomplete: %v, problems (-want +got):\n%s", inv.Incomplete, diff)
		}
		if got := siteIDs(t, known); !cmp.Equal(got, []string{"closed", "good", "secret"}) {
			t.Errorf("later: sites %v", got)
		}
		_, err := open(t, filepath.Join(dir, "closed")).Read(context.Background())
		if err == nil || !strings.Contains(err.Error(), "permission denied: let this user read the directory (it runs as uid") {
			t.Errorf("the directory itself: got %v", err)
		}
	})
}

// unprivileged runs f as nobody, as far as files go, if this is root. The
// thread that it changed ends with its goroutine.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}
