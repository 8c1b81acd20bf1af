package sentral

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Source is where an inventory comes from: a directory, an API, a bucket.
type Source interface {
	// Read reads it once. Problems with records are in the inventory; an error
	// means that the source as a whole can't be used.
	Read(ctx context.Context) (*Inventory, error)
	// Watch calls fn with the inventory as it is, and then each time that it
	// differs, until ctx ends. While the source can't be used, the inventory is
	// the last one with [Inventory.Stale] and a problem that say so, and its
	// ReadAt tells how old it is; that is zero where there is none from before.
	// Calls of fn don't overlap.
	Watch(ctx context.Context, fn func(*Inventory))
}

// Keeper stands between a source and who watches it: it keeps the last good
// inventory, and tells of nothing twice. One goroutine may use it.
type Keeper struct {
	source      string
	fn          func(*Inventory)
	good, given *Inventory
}

// NewKeeper makes a keeper for a source, named as in [Inventory.Source].
func NewKeeper(source string, fn func(*Inventory)) *Keeper {
	return &Keeper{source: source, fn: fn}
}

// Take is told how reading the source went.
func (k *Keeper) Take(inv *Inventory, err error) {
	if err != nil {
		inv = k.stale(err)
	} else {
		k.good = inv
	}
	if !same(k.given, inv) {
		k.given = inv
		k.fn(inv)
	}
}

// stale is the last inventory with the reason why there is no newer one.
func (k *Keeper) stale(err error) *Inventory {
	inv := Inventory{Source: k.source}
	what := "there is none from before"
	if k.good != nil {
		inv = *k.good
		what = "the inventory of " + inv.ReadAt.Format(time.RFC3339) + " is used"
	}
	inv.Incomplete = true
	inv.Stale = err.Error()
	inv.Problems = append(slices.Clone(inv.Problems), Problem{Where: k.source, Error: fmt.Sprintf("%v (%s)", err, what)})
	return &inv
}

// same says that nobody needs to be told of the second inventory.
func same(a, b *Inventory) bool {
	return a != nil && b != nil && a.Version == b.Version &&
		a.Incomplete == b.Incomplete && a.Stale == b.Stale && slices.Equal(a.Problems, b.Problems)
}
