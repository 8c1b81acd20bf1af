package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"net"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Bytes is a size in bytes. As JSON and YAML it is written as a bare number,
// and read as a number or as text with a unit ("4GiB", "960 GB").
type Bytes uint64

// Binary units.
const (
	KiB Bytes = 1 << 10
	MiB Bytes = 1 << 20
	GiB Bytes = 1 << 30
	TiB Bytes = 1 << 40
)

var byteUnits = map[string]uint64{
	"":    1,
	"b":   1,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40, "pib": 1 << 50,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "pb": 1e15,
}

// ParseBytes reads a size: a whole number, or a decimal one, with an optional
// unit of B, KiB…PiB or kB…PB in any case. A fraction must come to whole bytes.
func ParseBytes(s string) (Bytes, error) {
	text := strings.TrimSpace(s)
	cut := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if cut < 0 {
		cut = len(text)
	}
	number, unit := text[:cut], strings.ToLower(strings.TrimSpace(text[cut:]))
	factor, known := byteUnits[unit]
	if !known || number == "" {
		return 0, fmt.Errorf("%q is not a size: want a number with B, KiB…PiB or kB…PB, such as 4GiB", s)
	}
	whole, fraction, _ := strings.Cut(number, ".")
	n, err := strconv.ParseUint(whole, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size: %w", s, errors.Unwrap(err))
	}
	high, total := bits.Mul64(n, factor)
	if high != 0 {
		return 0, fmt.Errorf("%q is not a size: it does not fit 64 bits", s)
	}
	part, err := fractionOf(factor, fraction)
	if err != nil {
		return 0, fmt.Errorf("%q is not a whole number of bytes", s)
	}
	total, carry := bits.Add64(total, part, 0)
	if carry != 0 {
		return 0, fmt.Errorf("%q is not a size: it does not fit 64 bits", s)
	}
	return Bytes(total), nil
}

// fractionOf gives unit × 0.digits, which must come out whole. It counts in
// integers, since 0.067 × 10⁹ is no whole number in floating point.
func fractionOf(unit uint64, digits string) (uint64, error) {
	digits = strings.TrimRight(digits, "0")
	if digits == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) > 18 {
		return 0, fmt.Errorf("%q is not a fraction of at most 18 digits", digits)
	}
	scale := uint64(1)
	for range digits {
		scale *= 10
	}
	high, low := bits.Mul64(n, unit)
	part, rest := bits.Div64(high, low, scale)
	if rest != 0 {
		return 0, errors.New("not whole")
	}
	return part, nil
}

// String writes the size in the largest binary unit that keeps it exact, or
// with one decimal where none from MiB up does ("20 GiB", "894.3 GiB", "512 B").
func (b Bytes) String() string {
	names := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	unit, size := 0, uint64(b)
	for unit < len(names)-1 && size >= 1024 && size%1024 == 0 {
		size /= 1024
		unit++
	}
	if size < 10240 {
		return fmt.Sprintf("%d %s", size, names[unit])
	}
	f := float64(size)
	for unit < len(names)-1 && f >= 1024 {
		f /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %s", f, names[unit])
}

// UnmarshalJSON reads a number of bytes or a text that [ParseBytes] reads.
func (b *Bytes) UnmarshalJSON(data []byte) error {
	text := string(data)
	if strings.HasPrefix(text, `"`) {
		if err := json.Unmarshal(data, &text); err != nil {
			return err
		}
	}
	n, err := ParseBytes(text)
	if err != nil {
		return err
	}
	*b = n
	return nil
}

// MAC is a 48-bit Ethernet address. Its text is lower case with colons.
type MAC [6]byte

// ParseMAC reads the spellings that net.ParseMAC reads, and refuses addresses
// that are not 48 bits wide (InfiniBand's are 160).
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(strings.TrimSpace(s))
	if err != nil || len(hw) != 6 {
		return MAC{}, fmt.Errorf("%q is not a MAC address: want six pairs of hex digits, such as 52:54:00:aa:00:01", s)
	}
	return MAC(hw), nil
}

// String gives the canonical spelling, and "" for the zero MAC.
func (m MAC) String() string {
	if m == (MAC{}) {
		return ""
	}
	return net.HardwareAddr(m[:]).String()
}

// Identifies says whether the address can tell one NIC from another: it is not
// a group address, not all zero, and not one of the values that firmware and
// virtual switches hand out to everybody (ee:ee:ee:ee:ee:ee is Calico's,
// fe:ff:ff:ff:ff:ff Xen's).
func (m MAC) Identifies() bool {
	switch {
	case m == MAC{}, m[0]&1 == 1, m == MAC{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}, m == MAC{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}:
		return false
	}
	return true
}

// MarshalText writes the canonical spelling.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what ParseMAC reads; an empty text is the zero MAC.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	if m.readCanonical(text) {
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// readCanonical reads the spelling that MarshalText writes, and says whether it is that.
// A fleet's documents have millions of them.
func (m *MAC) readCanonical(text []byte) bool {
	if len(text) != 17 {
		return false
	}
	var read MAC
	for i := range read {
		at := 3 * i
		high, low := hexDigit(text[at]), hexDigit(text[at+1])
		if high > 15 || low > 15 || i < 5 && text[at+2] != ':' {
			return false
		}
		read[i] = high<<4 | low
	}
	*m = read
	return true
}

// hexDigit gives the value of a hexadecimal digit in lower case, and more than 15 of
// anything else.
func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// VLAN is an IEEE 802.1Q VLAN ID, 1 to 4094. Zero means untagged.
type VLAN uint16

// Valid says whether the ID is one that a frame may carry (IEEE 802.1Q table 9-2
// reserves 0 and 4095).
func (v VLAN) Valid() bool { return v >= 1 && v <= 4094 }

// UnmarshalJSON refuses what is not a VLAN ID, and reads 0 as untagged.
func (v *VLAN) UnmarshalJSON(data []byte) error {
	n, err := strconv.ParseUint(string(data), 10, 64)
	if err != nil || n > 4094 {
		return fmt.Errorf("%s is not a VLAN ID: want a number from 1 to 4094", data)
	}
	*v = VLAN(n)
	return nil
}

// ParseUUID reads a UUID in any spelling that RFC 9562 and libvirt allow and
// refuses the rest.
func ParseUUID(s string) (uuid.UUID, error) {
	text := strings.TrimSpace(s)
	id, err := uuid.Parse(text)
	const bracedLength = 38 // uuid.Parse takes any two characters for the braces
	if err != nil || len(text) == bracedLength && (text[0] != '{' || text[bracedLength-1] != '}') {
		return uuid.Nil, fmt.Errorf("%q is not a UUID", s)
	}
	return id, nil
}

// SwapUUID returns the UUID with its first three groups in the other byte
// order. SMBIOS before 2.6 wrote them little-endian, so that one board has two
// spellings (SMBIOS reference specification 7.2.1).
func SwapUUID(id uuid.UUID) uuid.UUID {
	return uuid.UUID{id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6],
		id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]}
}

// CanonicalWWN strips the prefixes that tools put before a World Wide Name
// (naa., eui., 0x, wwn-0x, nvme. stays: it is no WWN) and lowers its case.
func CanonicalWWN(s string) string {
	text := strings.ToLower(strings.TrimSpace(s))
	for _, prefix := range []string{"wwn-", "naa.", "eui.", "0x"} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// CanonicalMachine maps QEMU's versioned machine types onto their family, since
// libvirt replaces an alias with the newest version it knows when a VM is
// defined: pc-q35-7.2 and q35 are "q35", pc-i440fx-7.2 and pc are "pc".
func CanonicalMachine(s string) string {
	text := strings.ToLower(strings.TrimSpace(s))
	for prefix, family := range map[string]string{"pc-q35-": "q35", "pc-i440fx-": "pc", "virt-": "virt"} {
		if strings.HasPrefix(text, prefix) {
			return family
		}
	}
	return text
}

// CanonicalBus maps the names that runtimes give to one disk bus onto one.
func CanonicalBus(s string) string {
	text := strings.ToLower(strings.TrimSpace(s))
	switch text {
	case "virtio-blk", "virtio-blk-pci", "virtio":
		return "virtio"
	case "virtio-scsi", "scsi":
		return "scsi"
	case "ahci", "sata":
		return "sata"
	}
	return text
}

// CanonicalNICModel maps the names that runtimes give to one NIC model onto one.
func CanonicalNICModel(s string) string {
	text := strings.ToLower(strings.TrimSpace(s))
	switch text {
	case "virtio-net", "virtio-net-pci", "virtio-transitional", "virtio-non-transitional":
		return "virtio"
	}
	return text
}
