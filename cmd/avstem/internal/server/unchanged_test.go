package server

import (
	"strings"
	"testing"

	"github.com/dataverket/avstem/sentral"
)

func TestUnchangedVMs(t *testing.T) {
	// Records are written as their IDs, with = where they say something else.
	read := func(text string) *sentral.Inventory {
		inv := new(sentral.Inventory)
		for _, word := range strings.Fields(text) {
			id, name, _ := strings.Cut(word, "=")
			inv.VMs = append(inv.VMs, sentral.VM{ID: id, Name: name})
		}
		return inv
	}
	for _, c := range []struct{ name, before, now, unchanged string }{
		{"the same", "a b c", "a b c", "a b c"},
		{"the first", "", "a b", ""},
		{"one changed", "a b c", "a b=x c", "a c"},
		{"one is gone", "a b c", "b c", "b c"},
		{"one is new", "a b", "a x b", "a b"},
		{"one is another", "a b c", "a x c", "a c"},
		{"two changed places", "a b c", "b a c", "b c"},
		{"all changed", "a b", "a=x b=x", ""},
	} {
		same, got := unchangedVMs(read(c.before)), []string{}
		now := read(c.now)
		for i := range now.VMs {
			if same(&now.VMs[i]) {
				got = append(got, now.VMs[i].ID)
			}
		}
		if got := strings.Join(got, " "); got != c.unchanged {
			t.Errorf("%s: %q of %q are unchanged since %q, want %q", c.name, got, c.now, c.before, c.unchanged)
		}
	}
	if unchangedVMs(nil)(&sentral.VM{ID: "a"}) {
		t.Error("a record of the first inventory is unchanged")
	}
}
