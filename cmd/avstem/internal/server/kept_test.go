package server

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/dataverket/avstem/sentral"
)

// What the source says is kept at once, or after a rest where it says something else
// all the time.
func TestInventoryThatChangesOftenIsKeptNowAndThen(t *testing.T) {
	s := New(Options{Site: "lab", Keep: filepath.Join(t.TempDir(), "inventory.json")})
	kept := func(want string) {
		t.Helper()
		if inv, err := readKept(s.o.Keep); err != nil || inv.Version != want {
			t.Fatalf("kept is %v, %v; want version %s", inv, err, want)
		}
	}
	s.intend(&sentral.Inventory{Version: "1", ReadAt: time.Now()})
	kept("1")
	s.kept.next = time.Now().Add(time.Hour)
	s.intend(&sentral.Inventory{Version: "2", ReadAt: time.Now()})
	s.keepSoon()
	kept("1")
	s.kept.next = time.Time{}
	s.keepSoon()
	kept("2")
}
