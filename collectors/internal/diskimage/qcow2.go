package diskimage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// header is what we read of an image's header.
type header struct {
	size          uint64 // of the disk that the guest sees, in bytes
	backing       string // "" for none; as written, so it may be relative
	backingFormat string // "" where the header doesn't say
	dataFile      string // that holds the data in this image's place
}

const (
	qcow2Magic        = 0x514649fb // "QFI\xfb"
	extensionEnd      = 0
	extensionFormat   = 0xe2792aca // name of the backing file's format
	extensionDataFile = 0x44415441 // name of the external data file
	maxBackingName    = 1023
	maxBackingFormat  = 63
	headerLengthV2    = 72
	minClusterBits    = 9
	maxClusterBits    = 21
	maxExtensions     = 64
	offsetOfHeaderLen = 100
	offsetOfFeatures  = 72
	featureDataFile   = 1 << 2 // of the incompatible ones
)

// parseQcow2 reads a header of version 2 or 3 (QEMU's docs/interop/qcow2.txt). It
// reads only what the header leads to within the image's first cluster, and
// refuses what the format does.
func parseQcow2(r io.ReaderAt) (header, error) {
	var h [104]byte
	n, err := r.ReadAt(h[:], 0)
	if n < headerLengthV2 || binary.BigEndian.Uint32(h[:]) != qcow2Magic {
		return header{}, notA("qcow2", h[:n], err)
	}
	version := binary.BigEndian.Uint32(h[4:])
	headerLength, external := uint32(headerLengthV2), false
	switch {
	case version == 1:
		return header{}, notA("qcow2", h[:n], nil)
	case version == 3 && n == len(h):
		headerLength = binary.BigEndian.Uint32(h[offsetOfHeaderLen:])
		external = binary.BigEndian.Uint64(h[offsetOfFeatures:])&featureDataFile != 0
	case version != 2:
		return header{}, fmt.Errorf("qcow2 version %d is not 2 or 3, or its header is cut short", version)
	}
	clusterBits := binary.BigEndian.Uint32(h[20:])
	if clusterBits < minClusterBits || clusterBits > maxClusterBits {
		return header{}, fmt.Errorf("clusters of 2^%d bytes are outside of the format", clusterBits)
	}
	cluster := uint64(1) << clusterBits
	q := header{size: binary.BigEndian.Uint64(h[24:])}
	if q.size > math.MaxInt64 {
		return header{}, fmt.Errorf("a size of %d bytes is outside of the format", q.size)
	}
	extensionsEnd := cluster
	if offset, length := binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint32(h[16:]); offset != 0 && length != 0 {
		if length > maxBackingName || offset > cluster-uint64(length) {
			return header{}, fmt.Errorf("a backing file's name of %d bytes at %d is outside of the format", length, offset)
		}
		name := make([]byte, length)
		if _, err := r.ReadAt(name, int64(offset)); err != nil {
			return header{}, fmt.Errorf("the backing file's name is cut short: %w", err)
		}
		q.backing, extensionsEnd = string(name), offset
	}
	if q.backing == "" && !external {
		return q, nil
	}
	err = q.readExtensions(r, uint64(headerLength), extensionsEnd)
	return q, err
}

// readExtensions looks for names among the header's extensions, which lie between
// the header and the backing file's name: type, length, data padded to eight bytes.
func (q *header) readExtensions(r io.ReaderAt, from, to uint64) error {
	for range maxExtensions {
		if from+8 > to {
			return nil
		}
		var h [8]byte
		if _, err := r.ReadAt(h[:], int64(from)); err != nil {
			return fmt.Errorf("the header's extensions are cut short: %w", err)
		}
		kind, length := binary.BigEndian.Uint32(h[:]), uint64(binary.BigEndian.Uint32(h[4:]))
		from += 8
		if kind == extensionEnd {
			return nil
		}
		if length > to-from {
			return fmt.Errorf("a header extension of %d bytes reaches beyond the header", length)
		}
		name, limit := (*string)(nil), uint64(0)
		switch kind {
		case extensionFormat:
			name, limit = &q.backingFormat, maxBackingFormat
		case extensionDataFile:
			name, limit = &q.dataFile, maxBackingName
		}
		if name != nil {
			if length > limit {
				return fmt.Errorf("a name of %d bytes in the header's extensions is outside of the format", length)
			}
			text := make([]byte, length)
			if _, err := r.ReadAt(text, int64(from)); err != nil {
				return fmt.Errorf("the header's extensions are cut short: %w", err)
			}
			*name = string(text)
		}
		from += (length + 7) &^ 7
	}
	return fmt.Errorf("the header has more than %d extensions", maxExtensions)
}

// notA says that what was read doesn't begin as an image of the format does, and
// what it begins like, for whoever has to find out what happened to it. That is
// only ever said, never believed.
func notA(format string, start []byte, err error) error {
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for _, known := range signatures {
		if known.at+len(known.text) <= len(start) && string(start[known.at:][:len(known.text)]) == known.text {
			return fmt.Errorf("%w %s image: it begins like a %s one", errNotA, format, known.format)
		}
	}
	return fmt.Errorf("%w %s image", errNotA, format)
}

var errNotA = errors.New("it is no")

// signatures are how images begin.
var signatures = []struct {
	format string
	at     int
	text   string
}{
	{"qcow2", 0, "QFI\xfb\x00\x00\x00\x02"}, {"qcow2", 0, "QFI\xfb\x00\x00\x00\x03"}, {"qcow", 0, "QFI\xfb"},
	{"qed", 0, qedMagic}, {"vmdk", 0, vmdkMagic}, {"vmdk", 0, "# Disk DescriptorFile"},
	{"vdi", 64, "\x7f\x10\xda\xbe"}, {"vhdx", 0, "vhdxfile"}, {"vpc", 0, "conectix"}, {"luks", 0, "LUKS\xba\xbe"},
}
