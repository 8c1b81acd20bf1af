package reconcile_test

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/history"
	"github.com/dataverket/avstem/reconcile/internal/seed"
)

// TestBookIsAPass holds a book to a full pass: whatever happened, in whatever
// order, what it found after each settling is what one pass over both books as
// they then are finds, every word of it.
func TestBookIsAPass(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		world := history.New(func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "") })
		book := reconcile.NewBook(world.Policy)
		for range rapid.IntRange(1, 40).Draw(rt, "settlings") {
			for range rapid.IntRange(1, 4).Draw(rt, "changes") {
				change := world.Change()
				rt.Logf("%s: %s", world.Now.Format(time.TimeOnly), change)
				tell(book, world, change)
			}
			changed := book.Settle(world.Now)
			in := world.Input()
			whole := reconcile.Reconcile(in)
			if diff := differs(t, whole.Findings, book.Findings()); diff != "" {
				rt.Fatalf("the book differs from a pass, of %d that changed:\n%s", len(changed), diff)
			}
		}
	})
}

// differs lists the findings that are not in both.
func differs(t *testing.T, pass, book []reconcile.Finding) string {
	if encode(t, pass) == encode(t, book) {
		return ""
	}
	byID := map[string]reconcile.Finding{}
	for _, f := range book {
		byID[f.ID] = f
	}
	text := ""
	for _, f := range pass {
		other, has := byID[f.ID]
		delete(byID, f.ID)
		if diff := gocmp.Diff(f, other); !has {
			text += "only the pass: " + f.Message + "\n"
		} else if diff != "" {
			text += "different: " + f.Message + "\n" + diff
		}
	}
	for _, f := range byID {
		text += "only the book: " + f.Message + "\n"
	}
	if text == "" {
		return "another order"
	}
	return text
}

// tell tells a book of a change of the world.
func tell(book *reconcile.Book, world *history.World, change history.Change) {
	switch {
	case change.Document != nil:
		book.Observe(reconcile.Document{Observation: change.Document, Received: world.Now})
	case change.Intended != nil:
		book.Intend(change.Intended)
	case change.Refused != nil:
		book.Refuse(*change.Refused)
	case change.Speakers != nil:
		book.Speak(*change.Speakers)
	case change.Task != nil:
		book.Follow(world.Tasks)
	case change.Gaps != nil:
		book.Gaps(*change.Gaps)
	case change.Clocks != nil:
		book.Clocks(*change.Clocks)
	case change.Policy != nil:
		book.Judge(*change.Policy)
	case change.Passed == 0 && change.Heard == [16]byte{}:
		book.Drop(change.Gone)
	}
	for host, at := range world.Heard {
		book.Hear(host, at)
	}
}
