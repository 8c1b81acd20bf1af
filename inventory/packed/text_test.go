package packed_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dataverket/avstem/inventory/packed"
)

func TestTextsTakeWhatIsNewInThem(t *testing.T) {
	p := packed.New[[]string]()
	for _, test := range []struct {
		texts []string
		most  int // bytes, for the last of them
	}{
		{[]string{"", ""}, 2},
		{[]string{"/var/lib/libvirt/images/web-001.qcow2", "/var/lib/libvirt/images/web-002.qcow2"}, 9},
		{[]string{"same", "same"}, 2},
		{[]string{"longer than the next", "longer"}, 2},
		{[]string{"7c9e6679-7425-40de-944b-e07fc1f90ae7", "7c9e6679-7425-40de-944b-e07fc1f90ae8"}, 17},
		{[]string{"7C9E6679-7425-40DE-944B-E07FC1F90AE7"}, 38},
		{[]string{"7c9e667907425-40de-944b-e07fc1f90ae7"}, 38},
		{[]string{"52:54:00:12:34:56"}, 7},
		{[]string{"52-54-00-12-34-56"}, 19},
		{[]string{"52:54:00:12:34:5g"}, 19},
		{[]string{"sha256:" + strings.Repeat("0f", 32), "sha256:" + strings.Repeat("1e", 32)}, 35},
		{[]string{"abc", "abcdef0"}, 4},
		{[]string{"\xff\x00", "\xff\x01"}, 3},
		{[]string{strings.Repeat("long ", 99), strings.Repeat("long ", 98) + "short"}, 8},
	} {
		last := len(test.texts) - 1
		text := p.Pack(&test.texts)
		if back := *p.Unpack(text); !slices.Equal(back, test.texts) {
			t.Errorf("%q becomes %q", test.texts, back)
		}
		before := test.texts[:last]
		if size := len(text) - len(p.Pack(&before)); size > test.most {
			t.Errorf("%q: the last takes %d bytes, want at most %d", test.texts, size, test.most)
		}
	}
}

func TestDictionariesTakeTheirValues(t *testing.T) {
	p := packed.New[[]struct{ IDs map[string]string }]()
	port := func(vm, mac string) struct{ IDs map[string]string } {
		return struct{ IDs map[string]string }{map[string]string{"vm-uuid": vm, "attached-mac": mac, "iface-status": "active"}}
	}
	one := p.Pack(&[]struct{ IDs map[string]string }{port("7c9e6679-7425-40de-944b-e07fc1f90ae7", "52:54:00:12:34:56")})
	two := p.Pack(&[]struct{ IDs map[string]string }{port("7c9e6679-7425-40de-944b-e07fc1f90ae7", "52:54:00:12:34:56"), port("16fd2706-8baf-433b-82eb-8c7fada847da", "52:54:00:65:43:21")})
	if more := len(two) - len(one); more > 28 {
		t.Errorf("a port more takes %d bytes, want at most 28", more)
	}
}
