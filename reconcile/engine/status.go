package engine

import (
	"time"
)

// Status is how things stand, in numbers.
type Status struct {
	At      time.Time `json:"at"`
	Site    string    `json:"site"`
	Ready   bool      `json:"ready"`             // it has judged, and can now
	Waiting string    `json:"waiting,omitempty"` // for what, if not
	Hosts   int       `json:"hosts"`             // on either side or both
	Silent  int       `json:"silent"`            // of them, those that stopped speaking
	VMs     int       `json:"vms"`               // on either side or both
	// Agreeing are the VMs that are on both sides and have no finding that is
	// pending or open.
	Agreeing  int             `json:"agreeing"`
	Findings  Counts          `json:"findings"`
	Inventory InventoryStatus `json:"inventory"`
	Holes     int             `json:"holes"` // documents that hosts have and that did not arrive
}

// Counts are findings by state.
type Counts struct {
	Open     int `json:"open"`
	Pending  int `json:"pending"`
	Resolved int `json:"resolved"`
}

// InventoryStatus says which inventory is used.
type InventoryStatus struct {
	Source   string    `json:"source"`
	Version  string    `json:"version"`
	ReadAt   time.Time `json:"readAt,omitzero"`
	Problems int       `json:"problems"`
	// Held is the version that was read and isn't used, as too much is gone in it.
	Held string `json:"held,omitempty"`
}

// Status gives how things stood at the last step.
func (e *Engine) Status(now time.Time) Status {
	holes := len(e.Holes(now))
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status(now, e.waiting(now))
	s.Holes = holes
	return s
}

func (e *Engine) status(now time.Time, waiting string) Status {
	s := Status{At: now, Site: e.site, Waiting: waiting}
	s.Ready = s.Waiting == "" && e.stepped
	if e.intended != nil {
		s.Inventory = InventoryStatus{Source: e.intended.Source, Version: e.intended.Version, ReadAt: e.intended.ReadAt, Problems: len(e.intended.Problems)}
		if e.held != nil {
			s.Inventory.Held = e.held.inventory.Version
		}
	} else {
		s.Inventory.Problems = len(e.unread)
	}
	s.Findings = e.lives.counts
	n := e.book.Numbers()
	s.Hosts, s.Silent, s.VMs = n.Hosts, n.Silent, n.VMs
	s.Agreeing = n.Matched - e.lives.differ(e.book.Rematched(), e.book.Matched)
	return s
}
