package setup

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setGroups leaves the calling thread one group. Go's own call does it to all threads.
func setGroups(gid int) error {
	one := uint32(gid)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&one)), 0); errno != 0 {
		return errno
	}
	return nil
}
