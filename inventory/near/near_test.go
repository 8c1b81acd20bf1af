package near

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSlips(t *testing.T) {
	for _, test := range []struct {
		a, b        string
		limit, want int
	}{
		{"", "", 2, 0}, {"abc", "abc", 2, 0}, {"abc", "abd", 2, 1}, {"abc", "acb", 2, 1}, {"abc", "ab", 2, 1}, {"abc", "xabc", 2, 1},
		{"memroy", "memory", 2, 1}, {"abc", "xyz", 2, 3}, {"abc", "", 2, 3}, {"kitten", "sitting", 5, 3},
		{strings.Repeat("a", 65), strings.Repeat("a", 65), 2, 3},
	} {
		if got, back := Slips(test.a, test.b, test.limit), Slips(test.b, test.a, test.limit); got != test.want || back != test.want {
			t.Errorf("%q and %q are %d and %d apart, want %d", test.a, test.b, got, back, test.want)
		}
	}
}

func TestNames(t *testing.T) {
	all := []string{"web-02", "web-01", "", "web-01", "db-01", "Proxmox", "cache-of-web-01"}
	for wanted, want := range map[string][]string{
		"web-1": {"web-01", "web-02", "db-01"}, "wbe-01": {"web-01", "web-02"}, "proxmx": {"Proxmox"}, "web": {"cache-of-web-01", "web-01", "web-02"},
		"nothing": nil, "": nil, "w": nil,
	} {
		got := Names(wanted, slices.Values(all), 3)
		if wanted == "web-1" || wanted == "wbe-01" {
			got = got[:1] // the rest is a matter of taste
			want = want[:1]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", wanted, diff)
		}
	}
}
