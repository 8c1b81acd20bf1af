package reconcile

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Input is everything that one reconciliation rests on.
type Input struct {
	// Site is the one whose hosts are observed; "" is all. It is for the reconcilers of
	// other sites to find which hosts of theirs are missing.
	Site     string
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
	// Tasks are what Maskin has running, or has ended of late.
	Tasks []Task
	// Gaps are documents that are known not to have arrived, Clocks how far hosts'
	// clocks are ahead of the reconciler's, of those that are off.
	Gaps   []Gap
	Clocks map[uuid.UUID]time.Duration
	Policy Policy
	Now    time.Time
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

// RefusedEnrolment is the source of a [Refusal] that is of no document, but of
// somebody who asked for credentials as that host.
const RefusedEnrolment = "enrolment"

// Speaker is one agent among several that use one host ID.
type Speaker struct {
	Site     string `json:"site,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	// BootID tells machines apart that have one name: it is the kernel's
	// (/proc/sys/kernel/random/boot_id). Agents on one machine share it.
	BootID string `json:"bootID,omitempty"`
}
