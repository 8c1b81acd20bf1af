package reconcile

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Input is everything that one reconciliation rests on.
type Input struct {
	Intended *sentral.Inventory
	// Observed holds at most one document for each (host, source), the latest.
	Observed []Document
	// Heard is when each host last said anything, by the reconciler's clock. A
	// host that is not in it was last heard when its newest document came.
	Heard   map[uuid.UUID]time.Time
	Refused []Refusal
	// Speakers are the agents that speak under one host ID at one time, for those
	// IDs that several use.
	Speakers map[uuid.UUID][]Speaker
	Policy   Policy
	Now      time.Time
}

// Document is an observation with the time it reached the reconciler, by the
// reconciler's (or the stream's) clock: hosts' clocks may be wrong.
type Document struct {
	*inventory.Observation
	Received time.Time
}

// Refusal is a document that was not accepted, or, of a host and no source, why
// its agent publishes none.
type Refusal struct {
	Host   uuid.UUID `json:"host"` // zero where the subject didn't even say
	Site   string    `json:"site,omitempty"`
	Source string    `json:"source,omitempty"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Speaker is one agent among several that use one host ID.
type Speaker struct {
	Site     string `json:"site,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	// BootID tells machines apart that have one name: it is the kernel's
	// (/proc/sys/kernel/random/boot_id). Agents on one machine share it.
	BootID string `json:"bootID,omitempty"`
}

// Policy is what an operator may set about the judging itself.
type Policy struct {
	// StaleAfter is how long a host may be silent before nothing is concluded
	// from what it said.
	StaleAfter time.Duration
	// DocumentAge is how old a document may be although its host still speaks:
	// agents say everything again every ten minutes.
	DocumentAge time.Duration
	// KeepResolved is how long a resolved finding is kept.
	KeepResolved time.Duration
	// Overcommit is how much of what it has a host may promise its VMs.
	Overcommit Ratios
	// Grace overrides how long a kind's findings stay pending ([KindInfo.Grace]).
	Grace map[Kind]time.Duration
	// Severity overrides a kind's severity ([KindInfo.Severity]).
	Severity map[Kind]Severity
}

// DefaultPolicy is the policy where an operator has set nothing.
func DefaultPolicy() Policy {
	return Policy{
		StaleAfter: 30 * time.Second, DocumentAge: 25 * time.Minute, KeepResolved: 7 * 24 * time.Hour,
		Overcommit: Ratios{VCPUs: 4, Memory: 1, Storage: 1},
	}
}

func (p *Policy) grace(k Kind) time.Duration {
	if d, set := p.Grace[k]; set {
		return d
	}
	return k.Info().Grace
}

func (p *Policy) severity(k Kind) Severity {
	if s, set := p.Severity[k]; set {
		return s
	}
	return k.Info().Severity
}
