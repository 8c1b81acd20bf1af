package reconcile

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dataverket/avstem/reconcile/internal/seed"
)

// TestIndex holds the index to a map, with marks that lie on the same places, on
// neighbouring ones and on those round the end of a piece.
func TestIndex(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(t *rapid.T) {
		var x index
		has := map[uint64][]*thing{}
		var things []*thing
		mark := rapid.Custom(func(t *rapid.T) uint64 {
			piece, rest := rapid.SampledFrom([]uint64{0, 255}).Draw(t, "piece"), rapid.SampledFrom([]uint64{0, 0, 1<<31 - 8, 1<<32 - 16}).Draw(t, "rest")
			return piece<<56 | (rest+2*rapid.Uint64Range(0, 7).Draw(t, "next"))<<24 | rapid.Uint64Range(0, 1).Draw(t, "junk")
		})
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch {
			case len(things) == 0 || rapid.IntRange(0, 3).Draw(t, "what") == 0:
				one := new(thing)
				x.enter(one)
				things = append(things, one)
			case rapid.Bool().Draw(t, "add"):
				m, one := mark.Draw(t, "mark"), rapid.SampledFrom(things).Draw(t, "thing")
				if !slices.Contains(has[m], one) {
					x.add(m, one.number)
					has[m] = append(has[m], one)
				}
			default:
				m, one := mark.Draw(t, "mark"), rapid.SampledFrom(things).Draw(t, "thing")
				x.remove(m, one) // which it may not have
				has[m] = slices.DeleteFunc(has[m], func(other *thing) bool { return other == one })
			}
			for m, want := range has {
				var got []*thing
				x.each(m, func(found *thing) { got = append(got, found) })
				if len(got) != len(want) || slices.ContainsFunc(want, func(w *thing) bool { return !slices.Contains(got, w) }) {
					t.Fatalf("mark %x has %d things, and should have %d", m, len(got), len(want))
				}
			}
		}
	})
}
