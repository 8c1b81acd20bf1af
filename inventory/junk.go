package inventory

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// junkUUIDs are those that firmware gave to every board of a kind, as people who
// keep inventories came upon them (osquery, KubeVirt, client management). Some tools
// show them with their first three groups' bytes the other way round.
var junkUUIDs = inBothOrders(
	uuid.MustParse("00010203-0405-0607-0809-0a0b0c0d0e0f"),
	uuid.MustParse("01020304-0506-0708-090a-0b0c0d0e0f10"),
	uuid.MustParse("03000200-0400-0500-0006-000700080009"), // AMI's default
	uuid.MustParse("07090201-0103-0301-0807-060504030201"),
	uuid.MustParse("10000000-0000-8000-0040-000000000000"),
	uuid.MustParse("11223344-5566-7788-99aa-bbcc11223344"),
	uuid.MustParse("11223344-5566-7788-99aa-bbccddeeff00"),
	uuid.MustParse("12345678-1234-5678-90ab-cddeefaabbcc"),
	uuid.MustParse("20202020-2020-2020-2020-202020202020"), // spaces
	uuid.MustParse("4c4c4544-0000-2010-8020-80c04f202020"), // Dell's, without a service tag
	uuid.MustParse("58585858-5858-5858-5858-585858585858"), // "X"
	uuid.MustParse("890e2d14-cacd-45d1-ae66-bc80e8bfeb0f"),
	uuid.MustParse("8e275844-178f-44a8-aceb-a7d7e5178c63"),
	uuid.MustParse("dc698397-fa54-4cf2-82c8-b1b5307a6a7f"),
	uuid.MustParse("fefefefe-fefe-fefe-fefe-fefefefefefe"),
)

func inBothOrders(ids ...uuid.UUID) map[uuid.UUID]bool {
	both := make(map[uuid.UUID]bool, 2*len(ids))
	for _, id := range ids {
		both[id], both[SwapUUID(id)] = true, true
	}
	return both
}

// IsJunkUUID says whether the value can't tell one machine from another: all
// digits the same, nothing but the first group set, or one of the values that
// firmware vendors ship unset.
func IsJunkUUID(id uuid.UUID) bool {
	if junkUUIDs[id] {
		return true
	}
	// Boards that set four bytes of sixteen: 56f49712-ffff-ffff-ffff-ffffffffffff.
	if rest := id[4:]; (rest[0] == 0 || rest[0] == 0xff) && !slices.ContainsFunc(rest, func(b byte) bool { return b != rest[0] }) {
		return true
	}
	digit := id[0] & 0xf
	return !slices.ContainsFunc(id[:], func(b byte) bool { return b != digit<<4|digit })
}

// junkSerials are placeholders, in the spelling that plainText gives.
var junkSerials = map[string]bool{
	"none": true, "n/a": true, "na": true, "null": true, "nil": true, "unknown": true, "undefined": true, "empty": true, "invalid": true, "tbd": true, "todo": true,
	"not specified": true, "not applicable": true, "not available": true, "not provided": true, "not set": true, "not settable": true, "not present": true, "none provided": true,
	"default": true, "default string": true, "empty string": true, "string": true, "evaluation sample": true, "standard": true, "test": true,
	"to be filled by oem": true, "to be filled by o.e.m": true, "tobefilledbyoem": true, "filled by oem": true, "fill by oem": true, "oem": true, "o.e.m": true, "oem default": true,
	"system serial number": true, "system product name": true, "system manufacturer": true, "system version": true, "sys-1234567890": true,
	"chassis serial number": true, "chassis-1234567890": true, "base board serial number": true, "baseboard serial number": true, "board serial number": true, "mb-1234567890": true,
	"serial": true, "serial number": true, "serialnumber": true, "sernum": true, "s/n": true, "sn": true, "no serial": true, "no serial number": true,
	"asset tag": true, "assettag": true, "no asset tag": true, "no asset information": true, "asset-1234567890": true, "chassis asset tag": true,
	"1234567890abcdef": true, "0123456789abcdef": true, "abcdefghij": true, "00020003000400050006000700080009": true,
}

// IsJunkSerial says whether a serial or asset tag is a placeholder: empty, one
// character repeated, digits counted up, or one of the texts that vendors leave
// in place.
func IsJunkSerial(s string) bool {
	text := plainText(s)
	switch {
	case text == "", junkSerials[text], isCounted(text):
		return true
	}
	return strings.Trim(text, text[:1]) == "" || strings.Trim(text, "-. ") == ""
}

// plainText is lower case with single spaces, and without what is typed round a
// text: "To be filled  by O.E.M." is "to be filled by o.e.m".
func plainText(s string) string {
	if isPlain(s) {
		return s
	}
	text := strings.Join(strings.Fields(strings.ToLower(s)), " ")
	if trimmed := strings.Trim(text, " .\"'<>[]()"); trimmed != "" {
		return trimmed
	}
	return text
}

// isPlain says whether the text is letters, digits and hyphens that nothing is to be
// done to, as nearly every serial is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// isCounted says whether the text is digits that count up, such as 123456789 and
// 01234567890123456789: six at least, as shorter ones are somebody's number.
func isCounted(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' || i > 0 && (text[i-1]-'0'+1)%10 != text[i]-'0' {
			return false
		}
	}
	return len(text) >= 6
}
