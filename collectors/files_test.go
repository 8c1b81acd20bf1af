package collectors

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

func TestFilesUnderRoot(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "sys/class/b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "sys/class/a"), []byte("\x00 one \xff two\n\x00"), 0o644); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadText(root, "/sys/class/a"); text != "one \ufffd two" || err != nil {
		t.Errorf("text %q, %v", text, err)
	}
	names, err := ReadNames(root, "/sys/class")
	if diff := cmp.Diff([]string{"a", "b"}, names); err != nil || diff != "" {
		t.Errorf("names (-want +got): %v\n%s", err, diff)
	}
	_, missing := ReadFile(root, "/sys/none")
	_, directory := ReadFile(root, "/sys/class")
	_, unlisted := ReadNames(root, "/sys/none")
	for _, err := range []error{missing, directory, unlisted} {
		if err == nil || strings.Contains(err.Error(), root) || !strings.Contains(err.Error(), " /sys/") {
			t.Errorf("error %v: want one that names the path on the host", err)
		}
	}
	if text, err := ReadText("", "/proc/sys/kernel/ostype"); text != "Linux" || err != nil {
		t.Errorf("this host runs %q, %v", text, err)
	}
}

func TestEndlessFileIsRefused(t *testing.T) {
	if _, err := ReadFile("", "/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("read of a file without end: %v", err)
	}
}

func TestWhyOf(t *testing.T) {
	for err, want := range map[error]inventory.Why{
		fs.ErrNotExist:           inventory.WhyAbsent,
		syscall.ENOENT:           inventory.WhyAbsent,
		syscall.ENODEV:           inventory.WhyAbsent,
		syscall.EINVAL:           inventory.WhyAbsent,
		syscall.EACCES:           inventory.WhyRefused,
		syscall.EPERM:            inventory.WhyRefused,
		context.DeadlineExceeded: inventory.WhyTimedOut,
		syscall.EIO:              inventory.WhyBroken,
		syscall.ENOMEM:           inventory.WhyBroken,
	} {
		if got := WhyOf(fmt.Errorf("read: %w", err)); got != want {
			t.Errorf("why of %v is %s, want %s", err, got, want)
		}
	}
}

func TestLegible(t *testing.T) {
	for path, want := range map[string]string{"/a b": "/a b", "/å": "/å", "/\xff\xfe": `/\377\376`, "/å\xc3": `/å\303`, "/\ufffd": "/\ufffd"} {
		if got := Legible(path); got != want {
			t.Errorf("legible %q = %q, want %q", path, got, want)
		}
	}
}
