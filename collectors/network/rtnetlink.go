package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// The notation of rtnetlink's messages (rtnetlink(7)): a fixed header, and
// attributes that may hold attributes.

var (
	errShort = errors.New("message ends too early")
	errFound = errors.New("found") // ends a search
)

// attributes calls f with each attribute of a netlink message's tail.
func attributes(b []byte, f func(kind uint16, value []byte) error) error {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return fmt.Errorf("attribute of %d bytes where %d are left: %w", size, len(b), errShort)
		}
		kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
		if err := f(kind, b[unix.SizeofRtAttr:size]); err != nil {
			return err
		}
		b = b[min(len(b), (size+3)&^3):]
	}
	return nil
}

// word reads an 8-bit code; one without a word stays a number.
func word(v []byte, words []string) (string, error) {
	if len(v) < 1 {
		return "", errShort
	}
	return wordOf(int(v[0]), words), nil
}

// word32 is word for a 32-bit code.
func word32(v []byte, words []string) (string, error) {
	code, err := number(v)
	if err != nil {
		return "", err
	}
	return wordOf(code, words), nil
}

func wordOf(code int, words []string) string {
	if code >= 0 && code < len(words) {
		return words[code]
	}
	return strconv.Itoa(code)
}

// flag8 reads an 8-bit truth value, flag32 a 32-bit one.
func flag8(v []byte) (*bool, error) {
	if len(v) < 1 {
		return nil, errShort
	}
	set := v[0] != 0
	return &set, nil
}

func flag32(v []byte) (*bool, error) {
	n, err := number(v)
	if err != nil {
		return nil, err
	}
	set := n != 0
	return &set, nil
}

func text(v []byte) string {
	v, _, _ = bytes.Cut(v, []byte{0})
	return string(v)
}

// mac reads a 48-bit address; others (InfiniBand's, a tunnel's) aren't MACs.
func mac(v []byte) inventory.MAC {
	if len(v) != 6 {
		return inventory.MAC{}
	}
	return inventory.MAC(v)
}

func number(v []byte) (int, error) {
	if len(v) < 4 {
		return 0, errShort
	}
	return int(int32(binary.NativeEndian.Uint32(v))), nil
}

func vlan(v []byte) (*inventory.VLAN, error) {
	if len(v) < 2 {
		return nil, errShort
	}
	id := inventory.VLAN(binary.NativeEndian.Uint16(v))
	if id != 0 && !id.Valid() {
		return nil, fmt.Errorf("%d is not a VLAN ID", id)
	}
	return &id, nil
}

// tagProtocol reads an Ethertype, big-endian.
func tagProtocol(v []byte) (string, error) {
	if len(v) < 2 {
		return "", errShort
	}
	switch p := binary.BigEndian.Uint16(v); p {
	case unix.ETH_P_8021Q:
		return "802.1q", nil
	case unix.ETH_P_8021AD:
		return "802.1ad", nil
	default:
		return fmt.Sprintf("%#04x", p), nil
	}
}
