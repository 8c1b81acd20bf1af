package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func writing(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %.20q, %v, want %.20q", path, got, err, want)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("beside it there is %v, %v", left, err)
	}
}

// A disk that is full leaves the old report, and says so.
func TestFullDiskKeepsTheOldReport(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "drift.html")
	if err := replaceFile(path, 0o644, writing("the old one")); err != nil {
		t.Fatal(err)
	}
	err := replaceFile(path, 0o644, writing(strings.Repeat("x", 1<<20)))
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path+": no space left on device: the one of ") || !strings.Contains(err.Error(), "stays as it is") {
		t.Errorf("got %v", err)
	}
	wantFile(t, path, "the old one")
}

func TestReplaceFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "drift.html")
	for _, text := range []string{"one", "two"} {
		if err := replaceFile(path, 0o644, writing(text)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	broken := errors.New("the page can't be made")
	if err := replaceFile(path, 0o644, func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	wantFile(t, path, "two")
}
