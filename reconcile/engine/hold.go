package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// held is an inventory that was read and isn't used: too much is gone in it.
type held struct {
	inventory *sentral.Inventory
	losses    []reconcile.Loss
}

// Held is what is said of an inventory that isn't used.
type Held struct {
	Source  string           `json:"source"`
	Version string           `json:"version"`
	ReadAt  time.Time        `json:"readAt"`
	Losses  []reconcile.Loss `json:"losses"`
}

// ErrNotHeld says that there is nothing to confirm.
var ErrNotHeld = errors.New("no inventory is held back")

// Recall takes the inventories that were in use when reconcilers of the site ended
// last, as each kept it: what is read first is held against the newest of them, as an
// older one says nothing of what has come since. It is called before [Engine.Intend].
func (e *Engine) Recall(invs ...*sentral.Inventory) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, inv := range invs {
		if e.recalled == nil || inv.ReadAt.After(e.recalled.ReadAt) {
			e.recalled = inv
		}
	}
	if e.recalled != nil {
		e.taken = map[string]bool{e.recalled.Version: true}
	}
}

// UsedElsewhere notes that another reconciler of the site uses a version: somebody has
// confirmed it there, or it never lost much. It says whether that was held back
// here, and is used from now on.
func (e *Engine) UsedElsewhere(version string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taken = map[string]bool{version: true}
	if version == "" || e.held == nil || e.held.inventory.Version != version {
		return false
	}
	inv := e.held.inventory
	e.dirty = true
	e.accept(inv)
	return true
}

// HeldBack is the version that was read and isn't used, "" where none is.
func (e *Engine) HeldBack() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held == nil {
		return ""
	}
	return e.held.inventory.Version
}

// Accepted is the inventory in use, nil where there is none. It is to be recalled
// after a restart.
func (e *Engine) Accepted() *sentral.Inventory {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.intended
}

// guard uses an inventory that was read, unless too much is gone in it.
func (e *Engine) guard(inv *sentral.Inventory) {
	if losses := e.losses(inv); len(losses) > 0 {
		e.held = &held{inv, losses}
		e.use(e.previous())
		return
	}
	e.accept(inv)
}

// losses are what is gone in an inventory that was read; none where it may be used.
func (e *Engine) losses(inv *sentral.Inventory) []reconcile.Loss {
	before := e.previous()
	if before == nil || inv.Version != "" && e.taken[inv.Version] {
		return nil
	}
	return reconcile.Guard(before, inv, e.policy.Mass)
}

// previous is the inventory in use, or the one that was when we ended last.
func (e *Engine) previous() *sentral.Inventory {
	if e.intended == nil {
		return e.recalled
	}
	return e.intended
}

func (e *Engine) use(inv *sentral.Inventory) { e.intended, e.presented = inv, nil }

// accept uses what was read.
func (e *Engine) accept(inv *sentral.Inventory) {
	e.held, e.recalled = nil, nil
	e.use(inv)
}

// Confirm has the inventory used that is held back; it must be the version that is
// named, unless none is.
func (e *Engine) Confirm(version string) (Held, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.held == nil {
		return Held{}, ErrNotHeld
	}
	inv := e.held.inventory
	if version != "" && version != inv.Version {
		return Held{}, fmt.Errorf("confirm inventory %s: what is held back is %s by now", version, inv.Version)
	}
	was := Held{inv.Source, inv.Version, inv.ReadAt, e.held.losses}
	e.dirty = true
	e.taken[inv.Version] = true
	e.accept(inv)
	return was, nil
}

// present gives the inventory in use with what is to be said of it: that a newer
// one is held back, or that its source can't be read.
func (e *Engine) present() *sentral.Inventory {
	var said []sentral.Problem
	source, used := e.intended.Source, e.intended.ReadAt.UTC().Format(time.RFC3339)
	if e.held != nil {
		words := make([]string, len(e.held.losses))
		for i, loss := range e.held.losses {
			words[i] = loss.String()
		}
		source = e.held.inventory.Source
		said = append(said, sentral.Problem{Where: source, Held: true,
			Error: fmt.Sprintf("%s in what was read at %s; the inventory of %s is used", strings.Join(words, ", "), e.held.inventory.ReadAt.UTC().Format(time.RFC3339), used)})
	}
	if e.unreadable != "" { // for how long is told by the finding's life, which outlives us
		said = append(said, sentral.Problem{Where: source, Stale: true,
			Error: fmt.Sprintf("it can't be read, and the inventory of %s is used: %s", used, e.unreadable)})
	}
	if len(said) == 0 {
		return e.intended
	}
	if e.presented == nil || !slices.Equal(e.presented.Problems[:len(said)], said) {
		with := *e.intended
		with.Problems = append(said, e.intended.Problems...)
		e.presented = &with
	}
	return e.presented
}
