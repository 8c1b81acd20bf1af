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

// Recall takes the inventory that was in use when the reconciler ended last: what
// is read first is held against it. It is called before [Engine.Intend].
func (e *Engine) Recall(inv *sentral.Inventory) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recalled = inv
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
	if previous := e.previous(); previous != nil {
		if losses := reconcile.Guard(previous, inv, e.policy.Mass); len(losses) > 0 {
			e.held = &held{inv, losses}
			e.use(previous)
			return
		}
	}
	e.held = nil
	e.use(inv)
}

// previous is the inventory in use, or the one that was when we ended last.
func (e *Engine) previous() *sentral.Inventory {
	if e.intended == nil {
		return e.recalled
	}
	return e.intended
}

func (e *Engine) use(inv *sentral.Inventory) { e.intended, e.presented, e.recalled = inv, nil, nil }

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
	e.held, e.dirty = nil, true
	e.use(inv)
	return was, nil
}

// present gives the inventory in use with what is to be said of it: that a newer
// one is held back, or that its source can't be read for long.
func (e *Engine) present(now time.Time) *sentral.Inventory {
	if e.unreadable != "" && e.staleAt.IsZero() {
		e.staleAt = now
	}
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
	if e.unreadable != "" && now.Sub(e.staleAt) >= e.policy.InventoryAge {
		said = append(said, sentral.Problem{Where: source, Stale: true,
			Error: fmt.Sprintf("it can't be read since %s at least, and the inventory of %s is used: %s", e.staleAt.UTC().Format(time.RFC3339), used, e.unreadable)})
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
