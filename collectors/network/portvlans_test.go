package network

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/inventory"
)

// The kernel lists VLANs as ranges or one by one, as it was asked. Either way
// they are the same, and a trunk of all VLANs is one entry.
func TestVLANsAreTheSameFoldedOrNot(t *testing.T) {
	ranged := append(vlanEntry(vlanIsPVID|vlanIsUntagged, 1),
		append(vlanEntry(vlanBeginsRange, 2), vlanEntry(vlanEndsRange, 4094)...)...)
	single := vlanEntry(vlanIsPVID|vlanIsUntagged, 1)
	for id := inventory.VLAN(2); id <= 4094; id++ {
		single = append(single, vlanEntry(0, id)...)
	}
	want := []inventory.PortVLAN{{ID: 1, PVID: true, Untagged: true}, {ID: 2, Last: 4094}}
	for name, spec := range map[string][]byte{"ranged": ranged, "single": single} {
		header := make([]byte, unix.SizeofIfInfomsg)
		binary.NativeEndian.PutUint32(header[4:], 7)
		index, vlans, err := decodePortVLANs(append(header, attribute(unix.IFLA_AF_SPEC, spec...)...))
		if err != nil || index != 7 {
			t.Fatalf("%s: link %d, %v", name, index, err)
		}
		if diff := cmp.Diff(want, vlans); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
