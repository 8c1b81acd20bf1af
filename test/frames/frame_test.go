package frames

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// tag is a VLAN tag on the wire.
type tag struct {
	vlan    int
	service bool // 802.1ad
}

// stack is a frame's tags, the outermost first.
type stack []tag

func (s stack) String() string {
	if len(s) == 0 {
		return "untagged"
	}
	words := make([]string, len(s))
	for i, t := range s {
		words[i] = fmt.Sprint(t.vlan)
		if t.service {
			words[i] += "(802.1ad)"
		}
	}
	return "tagged " + strings.Join(words, ".")
}

const (
	etherType   = 0x88b5 // local experimental (IEEE 802)
	tagType     = 0x8100
	serviceType = 0x88a8
	magic       = 0x61767374
)

// encode makes a broadcast frame that carries a number.
func encode(source byte, tags stack, number uint32) []byte {
	b := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0xbb, 0, source}
	for _, t := range tags {
		kind := uint16(tagType)
		if t.service {
			kind = serviceType
		}
		b = binary.BigEndian.AppendUint16(b, kind)
		b = binary.BigEndian.AppendUint16(b, uint16(t.vlan))
	}
	b = binary.BigEndian.AppendUint16(b, etherType)
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, number)
	return append(b, make([]byte, 60)...)
}

// decode reads the tags and the number; frames that the test didn't send are not
// ok.
func decode(b []byte) (tags stack, number uint32, ok bool) {
	if len(b) < 14 {
		return nil, 0, false
	}
	b = b[12:]
	for len(b) >= 4 {
		switch kind := binary.BigEndian.Uint16(b); kind {
		case tagType, serviceType:
			tags = append(tags, tag{int(binary.BigEndian.Uint16(b[2:]) & 0xfff), kind == serviceType})
			b = b[4:]
		case etherType:
			if len(b) < 10 || binary.BigEndian.Uint32(b[2:]) != magic {
				return nil, 0, false
			}
			return tags, binary.BigEndian.Uint32(b[6:]), true
		default:
			return nil, 0, false
		}
	}
	return nil, 0, false
}
