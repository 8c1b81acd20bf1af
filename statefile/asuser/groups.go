package asuser

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setGroups leaves the calling thread these groups. Go's own call does it to all threads.
func setGroups(groups []int) error {
	ids := make([]uint32, len(groups), len(groups)+1) // which has an address where there is none
	for i, group := range groups {
		ids[i] = uint32(group)
	}
	first := unsafe.Pointer(unsafe.SliceData(ids))
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(ids)), uintptr(first), 0); errno != 0 {
		return errno
	}
	return nil
}
