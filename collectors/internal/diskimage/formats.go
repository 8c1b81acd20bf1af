package diskimage

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// parsers read the headers of the formats that have one which we know. Images of
// other formats are named and followed no further.
var parsers = map[string]func(io.ReaderAt) (header, error){
	"qcow2": parseQcow2, "qed": parseQED, "vmdk": parseVMDK,
}

const (
	qedMagic         = "QED\x00"
	qedHeaderLength  = 64
	qedBacking       = 1 << 0 // of the features: it has a backing file
	qedBackingIsRaw  = 1 << 2 // which must not be probed
	qedMaxHeaderSize = 64 << 20
)

// parseQED reads a QED header (QEMU's docs/interop/qed_spec.txt): little-endian,
// sizes of cluster, table and header, three sets of features, the place of the
// first table, the size, and the backing file's name.
func parseQED(r io.ReaderAt) (header, error) {
	var h [qedHeaderLength]byte
	n, err := r.ReadAt(h[:], 0)
	if n < len(h) || string(h[:4]) != qedMagic {
		return header{}, notA("qed", h[:n], err)
	}
	q := header{size: binary.LittleEndian.Uint64(h[48:])}
	if q.size > math.MaxInt64 {
		return header{}, fmt.Errorf("a size of %d bytes is outside of the format", q.size)
	}
	features := binary.LittleEndian.Uint64(h[16:])
	if features&qedBacking == 0 {
		return q, nil
	}
	headerSize := uint64(binary.LittleEndian.Uint32(h[4:])) * uint64(binary.LittleEndian.Uint32(h[12:]))
	offset, length := binary.LittleEndian.Uint32(h[56:]), binary.LittleEndian.Uint32(h[60:])
	if length > maxBackingName || headerSize > qedMaxHeaderSize || uint64(offset)+uint64(length) > headerSize {
		return header{}, fmt.Errorf("a backing file's name of %d bytes at %d is outside of the format", length, offset)
	}
	name := make([]byte, length)
	if _, err := r.ReadAt(name, int64(offset)); err != nil {
		return header{}, fmt.Errorf("the backing file's name is cut short: %w", err)
	}
	q.backing = string(name)
	if features&qedBackingIsRaw != 0 {
		q.backingFormat = "raw"
	}
	return q, nil
}

const (
	vmdkMagic      = "KDMV"
	vmdkSectorSize = 512
)

// parseVMDK reads the size from a sparse extent's header (VMware's Virtual Disk
// Format 5.0). What lies below it stands in a descriptor that this doesn't read.
func parseVMDK(r io.ReaderAt) (header, error) {
	var h [20]byte
	n, err := r.ReadAt(h[:], 0)
	if n < len(h) || string(h[:4]) != vmdkMagic {
		return header{}, notA("sparse vmdk", h[:n], err)
	}
	sectors := binary.LittleEndian.Uint64(h[12:])
	if sectors > math.MaxInt64/vmdkSectorSize {
		return header{}, fmt.Errorf("a size of %d sectors is outside of the format", sectors)
	}
	return header{size: sectors * vmdkSectorSize}, nil
}
