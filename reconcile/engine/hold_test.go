package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// manyBooks has so many VMs besides the one, which are stopped where nothing is seen.
func manyBooks(version string, more int) *sentral.Inventory {
	inv := books()
	inv.Version = version
	for i := range more {
		inv.VMs = append(inv.VMs, sentral.VM{ID: fmt.Sprintf("vm-%02d", i), Name: fmt.Sprintf("vm-%02d", i), Tenant: "acme", Project: "web", Site: "lab", Host: "hv-01", State: sentral.VMAbsent})
	}
	return inv
}

func TestTruncatedInventoryIsHeldUntilItRecovers(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Intend(manyBooks("whole", 40))
	expect(t, "whole", listEvents(e.Step(begin).Events), nil)
	e.Intend(manyBooks("cut", 10))
	expect(t, "cut", listEvents(e.Step(begin).Events), []string{"opened inventory.held"})
	if f := e.Findings()[0]; !strings.Contains(f.Message, "30 of 41 VMs are gone") || !strings.Contains(f.Message, "the inventory of 2026-11-01T12:00:00Z is used") {
		t.Errorf("it says: %s", f.Message)
	}
	if v := e.Accepted().Version; v != "whole" || e.Status(begin).Inventory.Held != "cut" {
		t.Errorf("%s is used, %s is held", v, e.Status(begin).Inventory.Held)
	}
	e.Intend(manyBooks("cut again", 9))
	expect(t, "still", list(e.Step(begin).Changed), []string{"open inventory.held test"})
	e.Intend(manyBooks("mended", 38))
	expect(t, "mended", listEvents(e.Step(begin).Events), []string{"resolved inventory.held"})
	if v := e.Accepted().Version; v != "mended" {
		t.Errorf("%s is used", v)
	}
}

func TestHeldInventoryIsConfirmed(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	if _, err := e.Confirm(""); !errors.Is(err, ErrNotHeld) {
		t.Errorf("nothing is held: %v", err)
	}
	e.Intend(manyBooks("whole", 40))
	e.Step(begin)
	e.Intend(manyBooks("cut", 0))
	e.Step(begin)
	if _, err := e.Confirm("whole"); err == nil {
		t.Error("a version that isn't held is confirmed")
	}
	was, err := e.Confirm("cut")
	if err != nil || len(was.Losses) == 0 {
		t.Errorf("%+v, %v", was, err)
	}
	if !e.Due(begin) {
		t.Error("no step is due")
	}
	expect(t, "confirmed", listEvents(e.Step(begin).Events), []string{"resolved inventory.held"})
}

// TestHeldInventoryIsHeldOverARestart: what is read first is held against what was
// in use, and that one is used, with its age.
func TestHeldInventoryIsHeldOverARestart(t *testing.T) {
	e := New("lab", policy)
	e.Recall(manyBooks("whole", 40))
	e.Intend(manyBooks("cut", 0))
	doc := shown(t, 1, 1, 2)
	e.Observe(doc, begin)
	e.Delivered()
	e.Listen(begin)
	e.Hear(beat(begin, 1, doc))
	expect(t, "after the restart", list(e.Step(begin).Changed), []string{"open inventory.held test"})
	if v := e.Accepted().Version; v != "whole" {
		t.Errorf("%s is used", v)
	}
}

func TestSourceThatCannotBeReadForLong(t *testing.T) {
	e := New("lab", policy)
	e.Recall(books())
	why := sentral.Problem{Where: "test", Error: "connection refused (there is none from before)"}
	e.Intend(&sentral.Inventory{Source: "test", Stale: "connection refused", Incomplete: true, Problems: []sentral.Problem{why}})
	doc := shown(t, 1, 1, 2)
	e.Observe(doc, begin)
	e.Delivered()
	e.Listen(begin)
	e.Hear(beat(begin, 1, doc))
	expect(t, "at once", list(e.Step(begin).Changed), []string{"pending inventory.stale test", "open inventory.invalid test"})
	later := begin.Add(policy.InventoryAge)
	e.Hear(beat(later, 1, doc))
	e.Observe(shown(t, 1, 2, 2), later)
	expect(t, "just before", listEvents(e.Step(later.Add(-time.Nanosecond)).Events), nil)
	if e.Due(later.Add(-time.Nanosecond)) || !e.Due(later) {
		t.Error("a step isn't due when it is too old")
	}
	out := e.Step(later)
	if events := listEvents(out.Events); len(events) != 1 || events[0] != "opened inventory.stale" {
		t.Errorf("after an hour: %v", events)
	}
	e.Intend(books())
	events := listEvents(e.Step(later).Events)
	expect(t, "read again", events, []string{"resolved inventory.stale", "resolved inventory.invalid"})
	if f := e.Findings(); f[0].State != reconcile.Resolved {
		t.Errorf("%v", list(f))
	}
}

// TestAgeOfAnInventoryOutlivesARestart: for how long the source can't be read is
// known by what is stored, whoever reconciles.
func TestAgeOfAnInventoryOutlivesARestart(t *testing.T) {
	unreadable := &sentral.Inventory{Source: "test", Stale: "connection refused", Incomplete: true}
	start := func(kept []reconcile.Finding, now time.Time, gen uint64) *Engine {
		e := New("lab", policy)
		e.Recall(books())
		e.Restore(kept)
		e.Intend(unreadable)
		doc := shown(t, 1, gen, 2)
		e.Observe(doc, now)
		e.Delivered()
		e.Listen(now)
		e.Hear(beat(now, 1, doc))
		return e
	}
	e := start(nil, begin, 1)
	e.Step(begin)
	half := begin.Add(policy.InventoryAge / 2)
	e = start(e.Findings(), half, 2)
	expect(t, "after half of it", listEvents(e.Step(half).Events), nil)
	end := begin.Add(policy.InventoryAge)
	e = start(e.Findings(), end, 3)
	expect(t, "after all of it", listEvents(e.Step(end).Events), []string{"opened inventory.stale"})
	later := end.Add(time.Minute)
	e = start(e.Findings(), later, 4)
	expect(t, "once more", listEvents(e.Step(later).Events), nil)
}

// TestVersionThatAnotherOneTookIsUsed: somebody confirmed it there.
func TestVersionThatAnotherOneTookIsUsed(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Intend(manyBooks("whole", 40))
	e.Intend(manyBooks("cut", 0))
	if e.HeldBack() != "cut" || e.UsedElsewhere("whole") || e.HeldBack() != "cut" {
		t.Errorf("held back: %q", e.HeldBack())
	}
	if !e.UsedElsewhere("cut") || e.HeldBack() != "" || e.Accepted().Version != "cut" {
		t.Errorf("held back: %q, used: %s", e.HeldBack(), e.Accepted().Version)
	}
	e.Intend(manyBooks("whole", 40))
	e.Intend(manyBooks("cut", 0)) // as it was decided
	if e.HeldBack() != "" {
		t.Errorf("%q is held back although it was taken", e.HeldBack())
	}
}

// TestInventoryIsHeldAgainstTheNewestThatWasInUse: one from before that was as small
// doesn't make it right.
func TestInventoryIsHeldAgainstTheNewestThatWasInUse(t *testing.T) {
	for name, c := range map[string]struct {
		older, newer, read int
		held               bool
	}{
		"little is gone":             {40, 2, 1, false},
		"much is gone":               {41, 40, 1, true},
		"much is gone, as once":      {2, 40, 2, true},
		"much is gone, but not new":  {40, 2, 2, false},
		"more has come since":        {2, 40, 41, false},
		"as few as before, but more": {40, 2, 3, false},
	} {
		older, newer := manyBooks("older", c.older), manyBooks("newer", c.newer)
		newer.ReadAt = older.ReadAt.Add(time.Hour)
		for _, recalled := range [][]*sentral.Inventory{{older, newer}, {newer, older}} {
			e := New("lab", policy)
			e.Recall(recalled...)
			read := manyBooks("read", c.read)
			if c.read == c.older {
				read.Version = "older"
			}
			e.Intend(read)
			if held := e.HeldBack() != ""; held != c.held {
				t.Errorf("%s: held back is %q, used %s", name, e.HeldBack(), e.Accepted().Version)
			}
		}
	}
}

// TestConfirmedVersionIsNotAskedAgain: it was decided, whatever is between.
func TestConfirmedVersionIsNotAskedAgain(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Intend(manyBooks("whole", 40))
	e.Intend(manyBooks("cut", 0))
	if _, err := e.Confirm("cut"); err != nil {
		t.Fatal(err)
	}
	e.Intend(manyBooks("whole", 40))
	e.Intend(manyBooks("cut", 0))
	if e.HeldBack() != "" {
		t.Errorf("%q is held back although it was confirmed", e.HeldBack())
	}
}
