package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// minRoom is what a server's state wants to begin with, in bytes.
const minRoom = 64 << 20

// CheckRoom refuses a directory, which need not be there yet, whose file system is
// full or can't be written.
func CheckRoom(dir string) error {
	var fsys unix.Statfs_t
	at := dir
	err := unix.Statfs(at, &fsys)
	for ; errors.Is(err, fs.ErrNotExist) && at != "/"; err = unix.Statfs(at, &fsys) {
		at = filepath.Dir(at)
	}
	if err != nil {
		return fmt.Errorf("look at the room in %s: %w", at, err)
	}
	free := fsys.Bavail * uint64(fsys.Bsize) //nolint:unconvert // Bsize differs by architecture
	switch {
	case fsys.Flags&unix.ST_RDONLY != 0:
		return fmt.Errorf("make %s: its file system is mounted for reading only: mount it for writing, or mount another there", dir)
	case free < minRoom:
		return fmt.Errorf("make %s: there are %d MiB free where it is to be, and %d are wanted to begin with: make room (df -h %s), or mount a larger one there",
			dir, free>>20, minRoom>>20, at)
	}
	return nil
}

// CheckPort refuses an address that something listens on.
func CheckPort(address, flag string) error {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s: something does already (ss -ltnp): if it is a NATS server to be used, name it with --server; else take another address with %s", address, flag)
	}
	if err != nil {
		return fmt.Errorf("listen on %s (%s): %w", address, flag, err)
	}
	return listener.Close()
}
