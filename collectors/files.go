package collectors

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/dataverket/avstem/inventory"
)

// fileLimit bounds what is read of one file. The largest that a collector reads
// is mountinfo, some 200 bytes a mount.
const fileLimit = 16 << 20

// Open opens a file of the host, whose tree begins at root ("" means "/"). The
// error names the path as it is on the host.
func Open(root, path string) (*os.File, error) {
	f, err := os.Open(filepath.Join("/", root, path))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, cause(err))
	}
	return f, nil
}

// ReadFile reads a file of the host to its end, and not to the size that stat
// tells, which procfs and sysfs make up.
func ReadFile(root, path string) ([]byte, error) {
	f, err := Open(root, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, fileLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, cause(err))
	case len(data) > fileLimit:
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, fileLimit)
	}
	return data, nil
}

// ReadText is ReadFile for a file that holds one short text, such as an
// attribute of sysfs: white space and NULs round it go, and what is no UTF-8
// becomes U+FFFD, since JSON has no way to say it.
func ReadText(root, path string) (string, error) {
	data, err := ReadFile(root, path)
	return strings.ToValidUTF8(strings.Trim(string(data), " \t\r\n\x00"), "\ufffd"), err
}

// ReadNames lists a directory of the host, sorted.
func ReadNames(root, path string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join("/", root, path))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, cause(err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// cause leaves out the path that os puts into its errors: with a moved root it
// isn't the host's.
func cause(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

// WhyOf classifies an error of reading the host's files. ENODEV, ENXIO,
// EINVAL and EOPNOTSUPP are what sysfs attributes answer that the device
// doesn't have.
func WhyOf(err error) inventory.Why {
	for _, absent := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENODEV, syscall.ENXIO, syscall.EINVAL, syscall.EOPNOTSUPP} {
		if errors.Is(err, absent) {
			return inventory.WhyAbsent
		}
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return inventory.WhyRefused
	case errors.Is(err, context.DeadlineExceeded):
		return inventory.WhyTimedOut
	}
	return inventory.WhyBroken
}

// Legible writes bytes that are no UTF-8, which a name of the kernel's may hold
// and JSON may not, as a backslash with three octal digits, the way that mountinfo
// writes a space. Different names stay different.
func Legible(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var out strings.Builder
	for i, r := range name {
		if _, size := utf8.DecodeRuneInString(name[i:]); r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&out, `\%03o`, name[i])
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
