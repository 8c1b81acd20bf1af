package network

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
)

// recorded reads a dump that a guest's kernel gave (see recordings).
func recorded(t testing.TB, file string) (messages [][]byte) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		m, err := hex.DecodeString(lines.Text())
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, m)
	}
	return messages
}

// attribute makes a netlink attribute, with its padding.
func attribute(kind uint16, value ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), value...)
	return append(b, make([]byte, -len(b)&3)...)
}

func linkMessage(name string, attributes ...[]byte) []byte {
	header := make([]byte, unix.SizeofIfInfomsg)
	header[2] = unix.ARPHRD_ETHER
	m := append(header, attribute(unix.IFLA_IFNAME, append([]byte(name), 0)...)...)
	// A driver's virtual link, so that sysfs isn't asked for it.
	m = append(m, attribute(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, []byte("tun\x00")...)...)...)
	return append(m, bytes.Join(attributes, nil)...)
}

func info(kind string, data ...[]byte) []byte {
	b := attribute(unix.IFLA_INFO_KIND, append([]byte(kind), 0)...)
	return attribute(unix.IFLA_LINKINFO, append(b, attribute(unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, bytes.Join(data, nil)...)...)...)
}

// port is what a port of a master says.
func port(master string, data ...[]byte) []byte {
	b := attribute(unix.IFLA_INFO_SLAVE_KIND, append([]byte(master), 0)...)
	return attribute(unix.IFLA_LINKINFO, append(b, attribute(unix.IFLA_INFO_SLAVE_DATA|unix.NLA_F_NESTED, bytes.Join(data, nil)...)...)...)
}

func TestDecodeLinkValues(t *testing.T) {
	ptr := func(id inventory.VLAN) *inventory.VLAN { return &id }
	u16 := func(n uint16) []byte { return binary.NativeEndian.AppendUint16(nil, n) }
	down, yes, vni := false, true, 1<<24-1
	tests := []struct {
		name       string
		attributes [][]byte
		want       inventory.Link
		fails      bool
	}{
		{"InfiniBand's address is no MAC", [][]byte{attribute(unix.IFLA_ADDRESS, make([]byte, 20)...)}, inventory.Link{Kind: "tun"}, false},
		{"operState without a word", [][]byte{attribute(unix.IFLA_OPERSTATE, 9)}, inventory.Link{Kind: "tun", OperState: "9"}, false},
		{"bond mode without a word", [][]byte{info("bond", attribute(unix.IFLA_BOND_MODE, 7))}, inventory.Link{Kind: "bond", BondMode: "7"}, false},
		{"VLAN 0", [][]byte{info("vlan", attribute(unix.IFLA_VLAN_ID, 0, 0))}, inventory.Link{Kind: "vlan", VLAN: ptr(0)}, false},
		{"VLAN 4094", [][]byte{info("vlan", attribute(unix.IFLA_VLAN_ID, u16(4094)...))}, inventory.Link{Kind: "vlan", VLAN: ptr(4094)}, false},
		{"VLAN 4095", [][]byte{info("vlan", attribute(unix.IFLA_VLAN_ID, u16(4095)...))}, inventory.Link{Kind: "vlan"}, true},
		{"tag of another Ethertype", [][]byte{info("vlan", attribute(unix.IFLA_VLAN_PROTOCOL, 0x91, 0x00))}, inventory.Link{Kind: "vlan", Protocol: "0x9100"}, false},
		{"VLAN's attribute in another kind", [][]byte{info("dummy", attribute(unix.IFLA_VLAN_ID, u16(4095)...))}, inventory.Link{Kind: "dummy"}, false},
		{"macvlan without a word", [][]byte{info("macvlan", attribute(unix.IFLA_MACVLAN_MODE, 32, 0, 0, 0))}, inventory.Link{Kind: "macvlan", Mode: "32"}, false},
		{"vxlan in external mode", [][]byte{info("vxlan", attribute(unix.IFLA_VXLAN_ID, 0, 0, 0, 0))}, inventory.Link{Kind: "vxlan"}, false},
		{"vxlan over IPv6", [][]byte{info("vxlan", attribute(unix.IFLA_VXLAN_ID, 0xff, 0xff, 0xff, 0),
			attribute(unix.IFLA_VXLAN_GROUP6, netip.MustParseAddr("2001:db8::2").AsSlice()...), attribute(unix.IFLA_VXLAN_LOCAL6, make([]byte, 16)...))},
			inventory.Link{Kind: "vxlan", VNI: &vni, Remote: "2001:db8::2"}, false},
		{"vxlan to five bytes", [][]byte{info("vxlan", attribute(unix.IFLA_VXLAN_GROUP, 1, 2, 3, 4, 5))}, inventory.Link{Kind: "vxlan"}, true},
		{"port of a team", [][]byte{port("team", attribute(unix.IFLA_BOND_SLAVE_STATE, 1))}, inventory.Link{Kind: "tun"}, false},
		{"port state without a word", [][]byte{port("bridge", attribute(unix.IFLA_BRPORT_STATE, 9))}, inventory.Link{Kind: "tun", PortState: "9"}, false},
		{"STP by a daemon", [][]byte{info("bridge", attribute(unix.IFLA_BR_STP_STATE, 2, 0, 0, 0))}, inventory.Link{Kind: "bridge", STP: &yes}, false},
		{"carrier of a link that is down", [][]byte{attribute(unix.IFLA_CARRIER, 1)}, inventory.Link{Kind: "tun"}, false},
		{"device without a bus", [][]byte{attribute(unix.IFLA_PARENT_DEV_NAME, []byte("x\x00")...)}, inventory.Link{Kind: "tun"}, false},
		{"attribute that ends too late", [][]byte{{40, 0, 4, 0, 1}}, inventory.Link{Kind: "tun"}, true},
		{"attribute of no size", [][]byte{{0, 0, 4, 0}}, inventory.Link{Kind: "tun"}, true},
		{"MTU of two bytes", [][]byte{attribute(unix.IFLA_MTU, 1, 2)}, inventory.Link{Kind: "tun"}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Name, tt.want.Up = "x0", &down
			got, err := decodeLink(linkMessage("x0", tt.attributes...))
			if (err != nil) != tt.fails {
				t.Errorf("error %v", err)
			}
			got.MTU = nil
			if diff := cmp.Diff(tt.want, got.Link); diff != "" {
				t.Errorf("link (-want +got):\n%s", diff)
			}
		})
	}
}

func addressMessage(bits byte, flags uint32, attributes ...[]byte) []byte {
	header := make([]byte, unix.SizeofIfAddrmsg)
	header[0], header[1], header[4] = unix.AF_INET6, bits, 7
	m := append(header, attribute(unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags)...)...)
	return append(m, bytes.Join(attributes, nil)...)
}

func TestDecodeAddress(t *testing.T) {
	ip := func(s string) []byte { return netip.MustParseAddr(s).AsSlice() }
	tests := []struct {
		name    string
		message []byte
		want    string
		fails   bool
	}{
		{"IPv6", addressMessage(64, 0, attribute(unix.IFA_ADDRESS, ip("2001:db8::1")...)), "2001:db8::1/64", false},
		{"point to point", addressMessage(32, 0, attribute(unix.IFA_ADDRESS, ip("192.0.2.2")...), attribute(unix.IFA_LOCAL, ip("192.0.2.1")...)), "192.0.2.1/32", false},
		{"link-local", addressMessage(64, 0, attribute(unix.IFA_ADDRESS, ip("fe80::1")...)), "", false},
		{"link-local IPv4", addressMessage(16, 0, attribute(unix.IFA_LOCAL, ip("169.254.3.4")...)), "", false},
		{"temporary", addressMessage(64, unix.IFA_F_TEMPORARY, attribute(unix.IFA_ADDRESS, ip("2001:db8::2")...)), "", false},
		{"prefix too long", addressMessage(129, 0, attribute(unix.IFA_ADDRESS, ip("2001:db8::1")...)), "", true},
		{"three bytes", addressMessage(8, 0, attribute(unix.IFA_ADDRESS, 1, 2, 3)), "", true},
		{"none", addressMessage(8, 0), "", true},
		{"short", []byte{1}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, got, err := decodeAddress(tt.message)
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("decoded %q with error %v, want %q", got, err, tt.want)
			}
		})
	}
}

// vlanEntry is a struct bridge_vlan_info.
func vlanEntry(flags uint16, id inventory.VLAN) []byte {
	b := binary.NativeEndian.AppendUint16(nil, flags)
	return attribute(bridgeVLANInfo, binary.NativeEndian.AppendUint16(b, uint16(id))...)
}

// Whatever the kernel folds, what comes out holds exactly the VLANs that went in,
// and no two entries that could be one.
func TestReadVLANsKeepsWhatTheKernelFolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfNDistinct(rapid.Uint16Range(1, 200), 0, 150, rapid.ID[uint16]).Draw(t, "vlans")
		slices.Sort(ids)
		var spec []byte
		for i := 0; i < len(ids); {
			end := i
			for end+1 < len(ids) && ids[end+1] == ids[end]+1 && rapid.Bool().Draw(t, "fold") {
				end++
			}
			if end == i {
				spec = append(spec, vlanEntry(0, inventory.VLAN(ids[i]))...)
			} else {
				spec = append(spec, vlanEntry(vlanBeginsRange, inventory.VLAN(ids[i]))...)
				spec = append(spec, vlanEntry(vlanEndsRange, inventory.VLAN(ids[end]))...)
			}
			i = end + 1
		}
		got, err := readVLANs(spec)
		if err != nil {
			t.Fatal(err)
		}
		for id := range uint16(202) {
			held := 0
			for _, v := range got {
				if v.Holds(inventory.VLAN(id)) {
					held++
				}
			}
			if want := slices.Contains(ids, id); held > 1 || (held == 1) != want {
				t.Fatalf("VLAN %d is held by %d entries of %v, want %t", id, held, got, want)
			}
		}
		for i := 1; i < len(got); i++ {
			if max(got[i-1].ID, got[i-1].Last)+1 == got[i].ID {
				t.Fatalf("%v and %v are not one range", got[i-1], got[i])
			}
		}
	})
}

func TestReadVLANsRefuses(t *testing.T) {
	var flood []byte
	for range maxPortVLANs + 1 {
		flood = append(flood, vlanEntry(0, 1)...)
	}
	tests := map[string][]byte{
		"a range that begins nowhere": vlanEntry(vlanEndsRange, 10),
		"a range that runs backwards": append(vlanEntry(vlanBeginsRange, 20), vlanEntry(vlanEndsRange, 10)...),
		"VLAN 4095":                   vlanEntry(0, 4095),
		"half an entry":               attribute(bridgeVLANInfo, 1, 2),
		"more VLANs than there are":   flood,
	}
	for name, spec := range tests {
		if vlans, err := readVLANs(spec); err == nil {
			t.Errorf("%s: %d VLANs and no error", name, len(vlans))
		}
	}
}

// Whatever a message holds, decoding it ends, and what it gives can be published
// and read again.
func FuzzRtnetlink(f *testing.F) {
	for file := range recordings {
		for _, m := range recorded(f, file) {
			f.Add(m)
		}
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		l, err := decodeLink(message)
		if name := linkName(message); err == nil && name != "" && l.Name == "" {
			t.Errorf("link %q lost its name", name)
		}
		if _, cidr, err := decodeAddress(message); err == nil && cidr != "" {
			if _, err := netip.ParsePrefix(cidr); err != nil {
				t.Error(err)
			}
		}
		if _, l.PortVLANs, err = decodePortVLANs(message); err == nil && len(l.PortVLANs) > maxPortVLANs {
			t.Errorf("%d VLANs", len(l.PortVLANs))
		}
		data, err := json.Marshal(l.Link)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, new(inventory.Link)); err != nil {
			t.Errorf("read back %s: %v", data, err)
		}
	})
}
