package storage

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// The protocol of FUSE as far as a mount's root and statfs(2) need it
// (include/uapi/linux/fuse.h).
const (
	fuseGetattr = 3
	fuseStatfs  = 17
	fuseInit    = 26

	fuseOutHeader = 16
	fuseBlocks    = 1000 // of 4 KiB, that the file system says it has
)

// serveFUSE answers what the kernel asks of a mounted file system, from the
// questions on that it has waited with, until the device is closed.
func serveFUSE(device *os.File) error {
	request := make([]byte, 1<<16)
	for {
		n, err := unix.Read(int(device.Fd()), request)
		switch {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT): // taken back
			continue
		case errors.Is(err, unix.ENODEV): // unmounted
			return nil
		case err != nil:
			return err
		}
		reply := fuseReply(request[:n])
		if _, err := unix.Write(int(device.Fd()), reply); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
}

func fuseReply(request []byte) []byte {
	var body []byte
	var errno int32
	switch binary.LittleEndian.Uint32(request[4:]) {
	case fuseInit: // version 7.31, as far as the kernel's is no older
		body = make([]byte, 64)
		binary.LittleEndian.PutUint32(body, 7)
		binary.LittleEndian.PutUint32(body[4:], 31)
		binary.LittleEndian.PutUint32(body[20:], 4096) // max_write
	case fuseGetattr:
		body = make([]byte, 104)
		binary.LittleEndian.PutUint64(body[16:], 1)           // ino
		binary.LittleEndian.PutUint32(body[16+60:], 0o040755) // mode
		binary.LittleEndian.PutUint32(body[16+64:], 1)        // nlink
	case fuseStatfs:
		body = make([]byte, 80)
		binary.LittleEndian.PutUint64(body, fuseBlocks)
		binary.LittleEndian.PutUint64(body[8:], fuseBlocks/2)  // free
		binary.LittleEndian.PutUint64(body[16:], fuseBlocks/4) // available
		binary.LittleEndian.PutUint32(body[40:], 4096)         // bsize
		binary.LittleEndian.PutUint32(body[44:], 255)          // namelen
		binary.LittleEndian.PutUint32(body[48:], 4096)         // frsize
	default:
		errno = -int32(unix.ENOSYS)
	}
	reply := make([]byte, fuseOutHeader, fuseOutHeader+len(body))
	binary.LittleEndian.PutUint32(reply, uint32(fuseOutHeader+len(body)))
	binary.LittleEndian.PutUint32(reply[4:], uint32(errno))
	copy(reply[8:16], request[8:16]) // unique
	return append(reply, body...)
}
