package reconcile

import (
	"math"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Policy is what an operator may set about the judging itself. Package
// reconcile/policy reads it from a file; docs/policy.md explains every key.
type Policy struct {
	// StaleAfter is how long a host may be silent before nothing is concluded
	// from what it said.
	StaleAfter time.Duration
	// DocumentAge is how old a document may be although its host still speaks:
	// agents say everything again every ten minutes.
	DocumentAge time.Duration
	// KeepResolved is how long a resolved finding is kept.
	KeepResolved time.Duration
	// InventoryAge is how long the inventory's source may be unreadable before
	// that is a finding.
	InventoryAge time.Duration
	// Grace overrides how long a kind's findings stay pending ([KindInfo.Grace]).
	Grace map[Kind]time.Duration
	// Severity overrides a kind's severity ([KindInfo.Severity]).
	Severity map[Kind]Severity
	// Tolerance is how far two sizes may be apart and still agree, by the kind of
	// finding that they would make: vm.memory and disk.size.
	Tolerance map[Kind]Tolerance
	// ClockSkew is how far a host's clock may be off; zero is any distance.
	ClockSkew time.Duration
	// Overcommit is how much of a host's capacity may be promised to VMs.
	Overcommit   Ratios
	Flapping     Flapping
	TaskGrace    time.Duration // how long a task's fields stay pending after it has ended, at least
	Mass         Mass
	Suppressions []Suppression

	// Source is where it was read, Problems why a newer one can't be used.
	Source   string
	Problems []sentral.Problem
}

// Tolerance is how far two sizes may be apart: by so many bytes, or by so large a
// share of the intended one, whichever allows more.
type Tolerance struct {
	Bytes inventory.Bytes
	Share float64 // 0.01 is one percent
}

// Flapping says when a finding that comes and goes stays open.
type Flapping struct {
	Times  int           // so often it came back
	Within time.Duration // in so long
	Calm   time.Duration // then it must be gone for so long to be resolved
}

// Mass says when so much is gone at once that it is taken for a fault of the
// source and not for the truth: a share, and at least so many.
type Mass struct {
	Share   float64 // 0.3 is thirty percent
	Records int     // of an inventory
	Hosts   int     // that fall silent
}

// DefaultPolicy is the policy where an operator has set nothing.
func DefaultPolicy() Policy {
	return Policy{
		StaleAfter: 30 * time.Second, DocumentAge: 25 * time.Minute, KeepResolved: 7 * 24 * time.Hour,
		InventoryAge: time.Hour,
		ClockSkew:    5 * time.Second,
		Overcommit:   Ratios{VCPUs: 4, Memory: 1, Storage: 1},
		// An hour holds a few passes of everything that is done at an interval.
		Flapping: Flapping{Times: 3, Within: time.Hour, Calm: 15 * time.Minute},
		// As long as a pass over a host is apart from the next one.
		TaskGrace: 30 * time.Second,
		Mass:      Mass{Share: 0.3, Records: 10, Hosts: 3},
	}
}

func (p *Policy) grace(k Kind) time.Duration {
	if d, set := p.Grace[k]; set {
		return d
	}
	if k == InventoryStale {
		return p.InventoryAge
	}
	return k.Info().Grace
}

func (p *Policy) severity(k Kind) Severity {
	if s, set := p.Severity[k]; set {
		return s
	}
	return k.Info().Severity
}

// tolerates says whether two sizes that differ are near enough to each other not
// to make a finding of the kind.
func (p *Policy) tolerates(k Kind, intended, observed inventory.Bytes) bool {
	t, set := p.Tolerance[k]
	if !set {
		return intended == observed
	}
	apart := max(intended, observed) - min(intended, observed)
	return apart <= t.Bytes || float64(apart) <= t.Share*float64(intended)
}

// isMass says whether lost of so many is more than may go at once.
func (m Mass) isMass(lost, of, least int) bool {
	return m.Share > 0 && lost >= max(least, 1) && lost >= int(math.Ceil(m.Share*float64(of)))
}
