package network

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// words makes one of linux/if_link.h's struct ifla_vf_…, which are of 32-bit
// numbers.
func words(numbers ...uint32) (b []byte) {
	for _, n := range numbers {
		b = binary.NativeEndian.AppendUint32(b, n)
	}
	return b
}

func vfMAC(vf uint32, last byte) []byte {
	address := make([]byte, 32) // MAX_ADDR_LEN
	copy(address, []byte{0x52, 0x54, 0, 0xbb, 0, last})
	return attribute(unix.IFLA_VF_MAC, append(words(vf), address...)...)
}

// vfTag is a struct ifla_vf_vlan_info in its list.
func vfTag(vf, vlan uint32, protocol ...byte) []byte {
	v := append(words(vf, vlan, 0), protocol...)
	return attribute(unix.IFLA_VF_VLAN_LIST|unix.NLA_F_NESTED, attribute(unix.IFLA_VF_VLAN_INFO, append(v, 0, 0)...)...)
}

func vfInfo(attributes ...[]byte) []byte {
	return attribute(unix.IFLA_VF_INFO|unix.NLA_F_NESTED, bytes.Join(attributes, nil)...)
}

// What drivers may say beside what a real igb does (testdata/sriov.hex), written
// after linux/if_link.h and net/core/rtnetlink.c: not seen on real adapters.
func TestDecodeVFs(t *testing.T) {
	yes, no, id, outer := true, false, inventory.VLAN(110), inventory.VLAN(4094)
	const unknown = 1<<32 - 1
	tests := []struct {
		name string
		list [][]byte
		want []inventory.VirtualFunction
		ok   bool
	}{
		{"a function with everything",
			[][]byte{vfInfo(vfMAC(0, 7), attribute(unix.IFLA_VF_VLAN, words(0, 110, 0)...), attribute(unix.IFLA_VF_TX_RATE, words(0, 0)...),
				attribute(unix.IFLA_VF_SPOOFCHK, words(0, 1)...), attribute(unix.IFLA_VF_LINK_STATE, words(0, 2)...),
				attribute(unix.IFLA_VF_TRUST, words(0, 0)...), vfTag(0, 110, 0x81, 0x00))},
			[]inventory.VirtualFunction{{MAC: inventory.MAC{0x52, 0x54, 0, 0xbb, 0, 7}, VLAN: &id, Protocol: "802.1q", LinkState: "disable", SpoofCheck: &yes, Trust: &no}}, true},
		{"a driver without switches, and the next function",
			[][]byte{vfInfo(vfMAC(0, 1), attribute(unix.IFLA_VF_SPOOFCHK, words(0, unknown)...), attribute(unix.IFLA_VF_TRUST, words(0, unknown)...)),
				vfInfo(vfMAC(63, 2), vfTag(63, 4094, 0x88, 0xa8))},
			[]inventory.VirtualFunction{{MAC: inventory.MAC{0x52, 0x54, 0, 0xbb, 0, 1}},
				{Index: 63, MAC: inventory.MAC{0x52, 0x54, 0, 0xbb, 0, 2}, VLAN: &outer, Protocol: "802.1ad"}}, true},
		{"VLAN 0 is none", [][]byte{vfInfo(attribute(unix.IFLA_VF_VLAN, words(1, 0, 0)...), vfTag(1, 0, 0x81, 0x00))},
			[]inventory.VirtualFunction{{Index: 1}}, true},
		{"Linux before 4.10", [][]byte{vfInfo(attribute(unix.IFLA_VF_VLAN, words(1, 110, 3)...))},
			[]inventory.VirtualFunction{{Index: 1, VLAN: &id}}, true},
		{"link state without a word", [][]byte{vfInfo(attribute(unix.IFLA_VF_LINK_STATE, words(1, 9)...))},
			[]inventory.VirtualFunction{{Index: 1, LinkState: "9"}}, true},
		{"VLAN 4095", [][]byte{vfInfo(attribute(unix.IFLA_VF_VLAN, words(0, 4095, 0)...))}, nil, false},
		{"VLAN of 17 bits", [][]byte{vfInfo(attribute(unix.IFLA_VF_VLAN, words(0, 1<<16+110, 0)...))}, nil, false},
		{"function without an index", [][]byte{vfInfo()}, nil, false},
		{"index that can't be", [][]byte{vfInfo(vfMAC(1<<31, 1))}, nil, false},
		{"half a MAC", [][]byte{vfInfo(attribute(unix.IFLA_VF_MAC, words(0, 1)...))}, nil, false},
		{"half a tag", [][]byte{vfInfo(attribute(unix.IFLA_VF_VLAN_LIST, attribute(unix.IFLA_VF_VLAN_INFO, words(0, 1, 0)...)...))}, nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := decodeVFs(slices.Concat(tt.list...))
			if (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("functions (-want +got):\n%s", diff)
			}
		})
	}
}
