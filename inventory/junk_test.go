package inventory

import (
	"testing"

	"github.com/google/uuid"
)

func TestJunkUUIDs(t *testing.T) {
	for text, want := range map[string]bool{
		// What SMBIOS says for "not there" and "not set yet".
		"00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"22222222-2222-2222-2222-222222222222": true, "20202020-2020-2020-2020-202020202020": true, "58585858-5858-5858-5858-585858585858": true,
		"fefefefe-fefe-fefe-fefe-fefefefefefe": true, "12121212-1212-1212-1212-121212121212": false,
		// Vendors' defaults, in both byte orders.
		"03000200-0400-0500-0006-000700080009": true, "00020003-0004-0005-0006-000700080009": true,
		"03020100-0504-0706-0809-0a0b0c0d0e0f": true, "00010203-0405-0607-0809-0a0b0c0d0e0f": true,
		"07090201-0103-0301-0807-060504030201": true, "10000000-0000-8000-0040-000000000000": true,
		"11223344-5566-7788-99aa-bbcc11223344": true, "44332211-6655-8877-99aa-bbccddeeff00": true,
		"8e275844-178f-44a8-aceb-a7d7e5178c63": true, "dc698397-fa54-4cf2-82c8-b1b5307a6a7f": true,
		// A service tag of blanks, and one that is none.
		"4c4c4544-0000-2010-8020-80c04f202020": true, "4c4c4544-0038-4b10-8052-b7c04f4d3034": false,
		// Four bytes of sixteen, and an address in its last six.
		"56f49712-ffff-ffff-ffff-ffffffffffff": true, "93309712-0000-0000-0000-000000000000": true,
		"00000000-0000-0000-0000-ac1f6b000001": false, "56f49712-ffff-ffff-ffff-fffffffffffe": false,
	} {
		if got := IsJunkUUID(uuid.MustParse(text)); got != want {
			t.Errorf("UUID %s is junk: %t, want %t", text, got, want)
		}
	}
}

func TestJunkSerials(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "  ": true, "0": true, "00000000": true, "xxxx": true, "........": true, "- - -": true, "N/A": true, "None": true, "<none>": true,
		"To be filled by O.E.M.": true, "To Be Filled By O.E.M": true, "to be filled  by OEM": true, "[Filled By OEM]": true, "O.E.M.": true,
		"Default string": true, "DEFAULT STRING ": true, "Default String.": true, "Not Specified": true, "NotSpecified": false,
		"System Serial Number": true, "Chassis Serial Number": true, "Base Board Serial Number": true, "MB-1234567890": true, "No Asset Tag": true,
		"0123456789": true, "123456789": true, "1234567890": true, "01234567890123456789": true, "0123456789ABCDEF": true, "00020003000400050006000700080009": true,
		"78KRM04": false, ".78KRM04.CNFCP0034F00A1.": false, "S6PTNZ0R620739": false, "CN-0F7V2X": false, "DV-004711": false,
		"1": true, "10": false, "none-42": false, "1234": false, "123456788": false, "1234567890X": false, "9876543210": false,
	} {
		if got := IsJunkSerial(text); got != want {
			t.Errorf("serial %q is junk: %t, want %t", text, got, want)
		}
	}
}
