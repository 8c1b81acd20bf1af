package reconcile_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/history"
)

// A book gives documents back as they were told, whatever it did with them meanwhile.
func TestBookGivesBackWhatItWasTold(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 0))
	world := history.New(random.IntN)
	book := reconcile.NewBook(world.Policy)
	wired := 0
	for range 150 {
		tell(book, world, world.Change())
		book.Settle(world.Now)
		told, back := world.Input().Observed, book.Input().Observed
		if len(back) != len(told) {
			t.Fatalf("%d documents are given back, of %d", len(back), len(told))
		}
		for _, want := range told {
			wired += len(want.Links)
			got, has := book.Document(want.Host, want.Source)
			if diff := gocmp.Diff(want, got); !has || diff != "" {
				t.Fatalf("%s of %s (-told +given back):\n%s", want.Source, want.Host, diff)
			}
			if !slices.ContainsFunc(back, func(d reconcile.Document) bool {
				return d.Host == want.Host && d.Source == want.Source && gocmp.Equal(d, want)
			}) {
				t.Fatalf("%s of %s is not in the input", want.Source, want.Host)
			}
		}
	}
	if wired == 0 {
		t.Error("no document had links")
	}
}
