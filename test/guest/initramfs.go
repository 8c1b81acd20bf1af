package guest

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
)

// writeInitramfs packs files, by their paths in it, as the kernel wants its first
// root: a cpio archive of the format newc
// (Documentation/driver-api/early-userspace/buffer-format.rst).
func writeInitramfs(to string, files map[string]string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	a := &archive{to: bufio.NewWriter(f), made: map[string]bool{".": true}}
	a.directory("dev")
	a.entry("dev/console", 0o020600, 5, 1, nil, 0) // the first process's standard streams
	for _, name := range slices.Sorted(maps.Keys(files)) {
		a.directory(path.Dir(name))
		a.file(name, files[name])
	}
	a.entry("TRAILER!!!", 0, 0, 0, nil, 0)
	if a.err == nil {
		a.err = a.to.Flush()
	}
	if a.err != nil {
		return fmt.Errorf("write %s: %w", to, a.err)
	}
	return f.Close()
}

type archive struct {
	to   *bufio.Writer
	made map[string]bool
	n    int // entries so far
	at   int64
	err  error
}

func (a *archive) directory(name string) {
	if a.made[name] {
		return
	}
	a.directory(path.Dir(name))
	a.made[name] = true
	a.entry(name, 0o040755, 0, 0, nil, 0)
}

func (a *archive) file(name, from string) {
	if a.err != nil {
		return
	}
	f, err := os.Open(from)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.entry(name, 0o100755, 0, 0, f, info.Size())
}

func (a *archive) entry(name string, mode, major, minor int, data io.Reader, size int64) {
	a.n++
	a.print("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.n, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	a.pad()
	if data != nil && a.err == nil {
		n, err := io.Copy(a.to, data)
		a.at, a.err = a.at+n, err
	}
	a.pad()
}

func (a *archive) print(format string, args ...any) {
	if a.err == nil {
		n, err := fmt.Fprintf(a.to, format, args...)
		a.at, a.err = a.at+int64(n), err
	}
}

func (a *archive) pad() {
	for a.at%4 != 0 {
		a.print("\x00")
		if a.err != nil {
			return
		}
	}
}
