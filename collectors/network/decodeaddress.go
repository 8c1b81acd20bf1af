package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// decodeAddress reads an RTM_NEWADDR payload: the link's index and its address
// in CIDR notation, or "" for one that isn't the host's own for good: link-local
// ones, and IPv6's temporary ones, which change every day (RFC 8981).
func decodeAddress(b []byte) (index int, cidr string, err error) {
	if len(b) < unix.SizeofIfAddrmsg {
		return 0, "", fmt.Errorf("decode address: %w", errShort)
	}
	family, bits, flags := b[0], int(b[1]), uint32(b[2])
	index = int(int32(binary.NativeEndian.Uint32(b[4:])))
	var local, address []byte
	err = attributes(b[unix.SizeofIfAddrmsg:], func(kind uint16, v []byte) error {
		switch kind {
		case unix.IFA_LOCAL:
			local = v
		case unix.IFA_ADDRESS:
			address = v
		case unix.IFA_FLAGS:
			if len(v) >= 4 {
				flags = binary.NativeEndian.Uint32(v)
			}
		}
		return nil
	})
	if err != nil {
		return index, "", fmt.Errorf("decode address: %w", err)
	}
	if local == nil { // on a link that isn't point-to-point IPv6 has IFA_ADDRESS alone
		local = address
	}
	ip, ok := netip.AddrFromSlice(local)
	prefix := netip.PrefixFrom(ip, bits)
	switch {
	case !ok, !prefix.IsValid():
		return index, "", fmt.Errorf("decode address: %d bytes with a prefix of %d are none", len(local), bits)
	case ip.IsLinkLocalUnicast(), family == unix.AF_INET6 && flags&unix.IFA_F_TEMPORARY != 0:
		return index, "", nil
	}
	return index, prefix.String(), nil
}
