package libvirt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// qcow2 is what we read of a qcow2 image's header (QEMU's docs/interop/qcow2.txt).
type qcow2 struct {
	size          uint64 // of the disk that the guest sees, in bytes
	backing       string // "" for none; as written, so it may be relative
	backingFormat string // "" where the header doesn't say
}

var errNotQcow2 = errors.New("it is no qcow2 image")

const (
	qcow2Magic        = 0x514649fb // "QFI\xfb"
	extensionEnd      = 0
	extensionFormat   = 0xe2792aca // name of the backing file's format
	maxBackingName    = 1023
	maxBackingFormat  = 63
	headerLengthV2    = 72
	minClusterBits    = 9
	maxClusterBits    = 21
	maxExtensions     = 64
	offsetOfHeaderLen = 100
)

// parseQcow2 reads a header of version 2 or 3. It reads only what the header
// leads to within the image's first cluster, and refuses what the format does.
func parseQcow2(r io.ReaderAt) (qcow2, error) {
	var h [104]byte
	n, err := r.ReadAt(h[:], 0)
	if n < headerLengthV2 || binary.BigEndian.Uint32(h[:]) != qcow2Magic {
		if err != nil && !errors.Is(err, io.EOF) {
			return qcow2{}, err
		}
		return qcow2{}, errNotQcow2
	}
	version := binary.BigEndian.Uint32(h[4:])
	headerLength := uint32(headerLengthV2)
	switch {
	case version == 3 && n == len(h):
		headerLength = binary.BigEndian.Uint32(h[offsetOfHeaderLen:])
	case version != 2:
		return qcow2{}, fmt.Errorf("qcow2 version %d is not 2 or 3, or its header is cut short", version)
	}
	clusterBits := binary.BigEndian.Uint32(h[20:])
	if clusterBits < minClusterBits || clusterBits > maxClusterBits {
		return qcow2{}, fmt.Errorf("clusters of 2^%d bytes are outside of the format", clusterBits)
	}
	cluster := uint64(1) << clusterBits
	q := qcow2{size: binary.BigEndian.Uint64(h[24:])}
	if q.size > math.MaxInt64 {
		return qcow2{}, fmt.Errorf("a size of %d bytes is outside of the format", q.size)
	}
	offset, length := binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint32(h[16:])
	if offset == 0 || length == 0 {
		return q, nil
	}
	if length > maxBackingName || offset > cluster-uint64(length) {
		return qcow2{}, fmt.Errorf("a backing file's name of %d bytes at %d is outside of the format", length, offset)
	}
	name := make([]byte, length)
	if _, err := r.ReadAt(name, int64(offset)); err != nil {
		return qcow2{}, fmt.Errorf("the backing file's name is cut short: %w", err)
	}
	q.backing = string(name)
	q.backingFormat, err = backingFormat(r, uint64(headerLength), min(offset, cluster))
	return q, err
}

// backingFormat looks for the backing format among the header's extensions,
// which lie between the header and the backing file's name: type, length, data
// padded to eight bytes.
func backingFormat(r io.ReaderAt, from, to uint64) (string, error) {
	for range maxExtensions {
		if from+8 > to {
			return "", nil
		}
		var h [8]byte
		if _, err := r.ReadAt(h[:], int64(from)); err != nil {
			return "", fmt.Errorf("the header's extensions are cut short: %w", err)
		}
		kind, length := binary.BigEndian.Uint32(h[:]), uint64(binary.BigEndian.Uint32(h[4:]))
		from += 8
		switch {
		case kind == extensionEnd:
			return "", nil
		case length > to-from:
			return "", fmt.Errorf("a header extension of %d bytes reaches beyond the header", length)
		case kind == extensionFormat && length > maxBackingFormat:
			return "", fmt.Errorf("a backing format's name of %d bytes is outside of the format", length)
		case kind == extensionFormat:
			name := make([]byte, length)
			if _, err := r.ReadAt(name, int64(from)); err != nil {
				return "", fmt.Errorf("the backing format's name is cut short: %w", err)
			}
			return string(name), nil
		}
		from += (length + 7) &^ 7
	}
	return "", fmt.Errorf("the header has more than %d extensions", maxExtensions)
}
