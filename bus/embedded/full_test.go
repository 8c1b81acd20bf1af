package embedded

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fill leaves no room on the file system of dir, and returns what takes it.
func fill(t *testing.T, dir string) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<16); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return path
}

func TestFullDirectoryIsRefusedAndLosesNothing(t *testing.T) {
	dir := mountTmpfs(t, 64<<20)
	s := start(t, Options{StateDir: dir})
	c := bySocket(t, dir)
	if err := c.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, c, "f-1")
	c.Close()
	s.Close()
	ballast := fill(t, dir)
	_, err := Start(t.Context(), Options{StateDir: dir})
	if err == nil || !strings.Contains(err.Error(), "make room") || !strings.Contains(err.Error(), "--state-dir") {
		t.Fatalf("got %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	start(t, Options{StateDir: dir})
	wantFindings(t, bySocket(t, dir), 1)
}

func TestDiskThatFillsUpWhileRunning(t *testing.T) {
	dir := mountTmpfs(t, 64<<20)
	s := start(t, Options{StateDir: dir, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	c := bySocket(t, dir)
	if err := c.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for ; acknowledged < 50; acknowledged++ {
		put(t, c, fmt.Sprintf("before-%d", acknowledged))
	}
	ballast := fill(t, dir)
	for n := 0; ; n++ {
		if n == 20_000 {
			t.Fatal("a full disk takes everything")
		}
		if err := keep(t.Context(), c, fmt.Sprintf("f-%d", n), `"`+strings.Repeat("x", 4000)+`"`); err != nil {
			break
		}
		acknowledged++
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := keep(t.Context(), c, "f-last", "{}")
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	wantFindings(t, c, acknowledged+1)
	s.Close()
	start(t, Options{StateDir: dir})
	wantFindings(t, bySocket(t, dir), acknowledged+1)
}
