package images

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

// host is a root with images, the oldest change of which is an hour old.
type host struct {
	root, cache string
}

func newHost(t testing.TB) *host {
	t.Helper()
	return &host{root: t.TempDir(), cache: filepath.Join(t.TempDir(), "images.json")}
}

// write makes a file and returns its digest. A file's ctime can't be set back, so
// tests that want it read say so to the collector (see open).
func (h *host) write(t testing.TB, name string, size int) string {
	t.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * len(name))
	}
	if err := os.WriteFile(filepath.Join(h.root, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(data))
}

func (h *host) open(t testing.TB, names ...string) *Collector {
	t.Helper()
	c := &Collector{Root: h.root, Cache: h.cache, Read: true, Settled: time.Nanosecond, Files: func(context.Context) ([]inventory.ImageFile, error) {
		var files []inventory.ImageFile
		for _, name := range names {
			files = append(files, inventory.ImageFile{Path: "/" + name, Format: "raw", VirtualSize: new(inventory.GiB)})
		}
		return files, nil
	}}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func collect(t testing.TB, c *Collector) *inventory.Observation {
	t.Helper()
	return (&collectors.Runner{Collector: c}).Run(t.Context())
}

// until makes passes until the file is as wanted.
func until(t testing.TB, c *Collector, path, what string, is func(inventory.ImageFile) bool) inventory.ImageFile {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		o := collect(t, c)
		for _, f := range o.ImageFiles {
			if f.Path == path && is(f) {
				return f
			}
		}
		if time.Now().After(end) {
			t.Fatalf("gave up waiting for %s: %+v, %+v", what, o.ImageFiles, o.Problems)
		}
	}
}

func digested(f inventory.ImageFile) bool { return f.Digest != "" }

func TestDigests(t *testing.T) {
	h := newHost(t)
	sizes := map[string]int{"empty": 0, "one": 1, "aligned": chunk, "odd": 2*chunk + 4097}
	var names []string
	want := map[string]string{}
	for name, size := range sizes {
		names = append(names, name)
		want[name] = h.write(t, name, size)
	}
	c := h.open(t, names...)
	first := collect(t, c)
	if first.Outcome != inventory.OutcomeComplete || len(first.ImageFiles) != len(sizes) {
		t.Fatalf("outcome %s: %+v", first.Outcome, first.Problems)
	}
	for _, f := range first.ImageFiles {
		if f.Digest == "" && f.Undigested == "" {
			t.Errorf("%s has neither a digest nor a reason", f.Path)
		}
	}
	for name, size := range sizes {
		f := until(t, c, "/"+name, "the digest", digested)
		if f.Digest != want[name] || f.Undigested != "" || *f.Size != inventory.Bytes(size) || *f.VirtualSize != inventory.GiB || f.Modified == nil {
			t.Errorf("%s is %+v, want %s", name, f, want[name])
		}
	}
}

// TestKept: what was read once is not read again, by another process neither,
// and one that may read nothing tells it.
func TestKept(t *testing.T) {
	h := newHost(t)
	want := h.write(t, "a", 5000)
	c := h.open(t, "a")
	until(t, c, "/a", "the digest", digested)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	later := h.open(t, "a")
	later.Read = false
	if f := collect(t, later).ImageFiles[0]; f.Digest != want {
		t.Errorf("after a restart it is %+v", f)
	}
	// Written to, it has no digest, and one that may read computes it anew.
	changed := h.write(t, "a", 5001)
	if f := collect(t, later).ImageFiles[0]; f.Digest != "" || !strings.Contains(f.Undigested, "running agent") {
		t.Errorf("after it was written to it is %+v", f)
	}
	third := h.open(t, "a")
	if f := until(t, third, "/a", "the new digest", digested); f.Digest != changed {
		t.Errorf("read again it is %+v, want %s", f, changed)
	}
}

// TestWhatIsNotRead: too large, changed lately, not there, not a file, refused.
func TestWhatIsNotRead(t *testing.T) {
	h := newHost(t)
	h.write(t, "large", 5000)
	h.write(t, "fresh", 100)
	if err := unix.Mkfifo(filepath.Join(h.root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := h.open(t, "large", "fresh", "fifo", "gone")
	c.MaxSize, c.Settled = 4999, time.Hour
	for path, says := range map[string]string{
		"/large": "it is larger than 4999 B", "/fresh": "it changed less than 1h0m0s ago", "/fifo": "it is no file", "/gone": "no such file",
	} {
		f := until(t, c, path, says, func(f inventory.ImageFile) bool { return strings.Contains(f.Undigested, says) })
		if f.Digest != "" {
			t.Errorf("%s is %+v", path, f)
		}
	}
	if o := collect(t, c); !o.Complete || len(o.Problems) != 1 || o.Problems[0].Entity != "imageFile:/fifo" {
		t.Errorf("problems are %+v, want one of the FIFO", o.Problems)
	}
}

// TestChangedWhileRead: a file that changes under the reader has no digest.
func TestChangedWhileRead(t *testing.T) {
	h := newHost(t)
	h.write(t, "a", 3*chunk)
	c := h.open(t, "a")
	c.setUp()
	path := filepath.Join(h.root, "a")
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	want := stampOf(&st)
	if _, err := c.digest("/a", want); err != nil {
		t.Fatal(err)
	}
	// Another file in its place, with the old one's times.
	if err := os.Rename(path, path+"-away"); err != nil {
		t.Fatal(err)
	}
	h.write(t, "a", 3*chunk)
	if _, err := c.digest("/a", want); !errors.Is(err, errChanged) {
		t.Errorf("error for another file is %v", err)
	}
	stale := want
	stale.Inode, stale.Changed = 0, 0
	if _, err := c.digest("/a", stale); !errors.Is(err, errChanged) {
		t.Errorf("error for another stamp is %v", err)
	}
}

// TestRefused: a file that may not be read is a problem with a remedy.
func TestRefused(t *testing.T) {
	h := newHost(t)
	h.write(t, "a", 100)
	c := h.open(t, "a")
	c.Settled = time.Hour // so that nothing reads it but the test
	collect(t, c)
	c.file("/a", stamp{}, "", os.ErrPermission) // what opening it gives to all but root
	o := collect(t, c)
	p, found := o.ProblemOf("imageFile:/a", "imageFile.digest")
	if !found || p.Why != inventory.WhyRefused || p.Remedy == "" || o.ImageFiles[0].Undigested != "permission denied" {
		t.Errorf("%+v, problems %+v", o.ImageFiles, o.Problems)
	}
}

// TestCancelled: closing ends a long read at once, and leaves no digest.
func TestCancelled(t *testing.T) {
	h := newHost(t)
	if err := os.WriteFile(filepath.Join(h.root, "big"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(h.root, "big"), 32<<30); err != nil { // sparse
		t.Fatal(err)
	}
	c := h.open(t, "big")
	until(t, c, "/big", "the reading", func(f inventory.ImageFile) bool { return f.Undigested == "it is being read" })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.cache); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was kept: %v", err)
	}
}

// TestOneAtATime: however many passes, one thread reads, and passes wait for none.
func TestOneAtATime(t *testing.T) {
	h := newHost(t)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprintf("f%02d", i))
		h.write(t, names[i], chunk)
	}
	c := h.open(t, names...)
	before := runtime.NumGoroutine()
	for range 50 {
		collect(t, c)
		if n := runtime.NumGoroutine(); n > before+5 {
			t.Fatalf("%d goroutines, %d before", n, before)
		}
	}
	for _, name := range names {
		until(t, c, "/"+name, "the digest", digested)
	}
}

// TestBadCaches: what can't be read or kept is computed again, and said.
func TestBadCaches(t *testing.T) {
	for name, content := range map[string]string{
		"garbage": "{", "another schema": `{"schema": "avstem.images/v9"}`, "no digest": `{"schema": "avstem.images/v1", "kept": [{"digest": "sha256:x"}]}`,
		"huge": strings.Repeat(" ", maxCache+1),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			want := h.write(t, "a", 100)
			if err := os.WriteFile(h.cache, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			c := h.open(t, "a")
			if f := until(t, c, "/a", "the digest", digested); f.Digest != want {
				t.Errorf("it is %+v", f)
			}
			if kept, err := readCache(h.cache); err != nil || len(kept.Kept) != 1 {
				t.Errorf("kept is %+v (%v)", kept, err)
			}
		})
	}
}

// TestFullDisk: a digest that can't be kept is told all the same, with a problem.
func TestFullDisk(t *testing.T) {
	h := newHost(t)
	want := h.write(t, "a", 100)
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=4k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	h.cache = filepath.Join(dir, "images.json")
	c := h.open(t, "a")
	if f := until(t, c, "/a", "the digest", digested); f.Digest != want {
		t.Errorf("it is %+v", f)
	}
	o := collect(t, c)
	if p, found := o.ProblemOf("", "imageFile.digest"); !found || p.Remedy == "" || !strings.Contains(p.Error, syscall.ENOSPC.Error()) {
		t.Errorf("problems are %+v", o.Problems)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v (%v)", entries, err)
	}
}

// TestCacheIsBounded: what nothing rests on goes first.
func TestCacheIsBounded(t *testing.T) {
	c := &cache{}
	inUse := stamp{Inode: 1}
	digest := "sha256:" + strings.Repeat("0", 64)
	for i := range uint64(maxKept + 10) {
		c.set(stamp{Inode: i + 1}, digest, []stamp{inUse})
	}
	if len(c.Kept) != maxKept || c.of(inUse) == "" || c.of(stamp{Inode: 2}) != "" {
		t.Errorf("%d are kept, the one in use: %q", len(c.Kept), c.of(inUse))
	}
	c.set(stamp{Inode: 1, Size: 7}, digest, nil)
	if c.of(inUse) != "" || len(c.Kept) != maxKept {
		t.Error("an earlier state of a file is kept beside the later one")
	}
}

// TestGivesWay: the reading thread has the lowest priorities, and others theirs.
func TestGivesWay(t *testing.T) {
	priorities := func() (io uintptr, nice int) {
		io, _, errno := unix.RawSyscall(unix.SYS_IOPRIO_GET, ioprioWhoProcess, 0, 0)
		if errno != 0 {
			t.Error(errno)
		}
		nice, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
		if err != nil {
			t.Error(err)
		}
		return io >> ioprioClassShift, 20 - nice // the system call gives 20 - nice
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends
		if err := giveWay(); err != nil {
			t.Error(err)
		}
		if io, nice := priorities(); io != ioprioClassIdle || nice != lowestNice {
			t.Errorf("the reading thread has I/O class %d and nice %d", io, nice)
		}
	}()
	<-done
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if io, nice := priorities(); io == ioprioClassIdle || nice == lowestNice {
		t.Errorf("another thread has I/O class %d and nice %d", io, nice)
	}
}

func TestConformance(t *testing.T) {
	h := newHost(t)
	h.write(t, "a", 100)
	c := h.open(t, "a")
	until(t, c, "/a", "the digest", digested)
	collectorstest.Run(t, func(t *testing.T) collectors.Collector { return h.open(t, "a", "gone") })
	gone := collect(t, h.open(t, "gone", "a"))
	collectorstest.Prove(t, collectorstest.ProofFile, "TestConformance", gone)
}

func TestFilesUnknown(t *testing.T) {
	c := &Collector{Files: func(context.Context) ([]inventory.ImageFile, error) {
		return nil, &collectors.SourceError{Call: "x", Why: inventory.WhyTimedOut, Err: errors.New("not yet")}
	}}
	if o := collect(t, c); o.Complete || o.Outcome != inventory.OutcomeFailed {
		t.Errorf("outcome is %s", o.Outcome)
	}
}

func FuzzParseCache(f *testing.F) {
	f.Add([]byte(`{"schema": "avstem.images/v1", "kept": [{"device": 1, "inode": 2, "digest": "sha256:` + strings.Repeat("0", 64) + `"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCache(data)
		if err != nil {
			return
		}
		for _, k := range c.Kept {
			if !digestForm.MatchString(k.Digest) {
				t.Errorf("kept %q", k.Digest)
			}
		}
	})
}
