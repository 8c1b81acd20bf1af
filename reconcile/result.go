package reconcile

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// Result is what one reconciliation came to: the findings, and every match and
// comparison they were made from, equal ones too.
type Result struct {
	Findings []Finding   `json:"findings"`
	Hosts    []HostMatch `json:"hosts"` // by Sentral's key, then host ID
	VMs      []VMMatch   `json:"vms"`   // by tenant, project, name, ID
	Tasks    []TaskMatch `json:"tasks,omitempty"`

	// intended knows which records can't be used: what was found of them can't
	// be judged now.
	intended *intended
}

// HostMatch is one host on either side or on both.
type HostMatch struct {
	Intended *sentral.Host `json:"intended,omitempty"`
	Observed *ObservedHost `json:"observed,omitempty"`
	// Former are other host IDs under which the same hardware spoke before.
	Former      []uuid.UUID  `json:"former,omitempty"`
	Match       *MatchBasis  `json:"match,omitempty"`
	Evidence    []Evidence   `json:"evidence,omitempty"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
	// Record is the record that may be its, where that can't be used.
	Record *UnusableRecord `json:"unusableRecord,omitempty"`
	// Blind is the finding that says why nothing is concluded from what the host
	// does not show.
	Blind string `json:"blind,omitempty"`

	blindPaths bool // some NIC there could not be followed: nothing ends by that
}

// ObservedHost is a host as its documents show it.
type ObservedHost struct {
	ID        uuid.UUID       `json:"id"`
	Site      string          `json:"site,omitempty"`
	Identity  *inventory.Host `json:"identity,omitempty"`
	LastHeard time.Time       `json:"lastHeard,omitzero"`
	// ClockAhead is how far its clock is ahead of the reconciler's, where that was
	// measured.
	ClockAhead *time.Duration `json:"clockAheadNanos,omitempty"`
	Stale      bool           `json:"stale"`
	Sources    []SourceStatus `json:"sources"`
}

// SourceStatus is how well one source of a host was seen.
type SourceStatus struct {
	Source     string              `json:"source"`
	Outcome    inventory.Outcome   `json:"outcome"`
	Complete   bool                `json:"complete"`
	ObservedAt time.Time           `json:"observedAt,omitzero"`
	Received   time.Time           `json:"received,omitzero"`
	Old        bool                `json:"old,omitempty"` // it should have been said again since
	Epoch      uint64              `json:"epoch"`
	Gen        uint64              `json:"gen"`
	Problems   []inventory.Problem `json:"problems,omitempty"`
	Runtime    *inventory.Runtime  `json:"runtime,omitempty"`
	// RunningOnly says that the source shows no VM that is stopped.
	RunningOnly bool `json:"runningOnly,omitempty"`
}

// VMMatch is one VM on either side or on both.
type VMMatch struct {
	Intended *sentral.VM `json:"intended,omitempty"`
	Observed *ObservedVM `json:"observed,omitempty"`
	// Copies are further places where the same VM was seen.
	Copies      []ObservedVM `json:"copies,omitempty"`
	Match       *MatchBasis  `json:"match,omitempty"`
	Evidence    []Evidence   `json:"evidence,omitempty"`
	Comparisons []Comparison `json:"comparisons,omitempty"`
	Paths       []NICPath    `json:"paths,omitempty"`
	DiskPaths   []DiskPath   `json:"diskPaths,omitempty"`
	// Uncovered says why nothing is concluded from a VM's absence, where so.
	Uncovered []string `json:"uncovered,omitempty"`
	// Record is the record that may be its, where that can't be used.
	Record *UnusableRecord `json:"unusableRecord,omitempty"`

	blindConfig bool // nor what it is started from next
	blindScope  bool // not all that tells whose it is could be read: nothing ends by that
}

// UnusableRecord is a record that is left out.
type UnusableRecord struct {
	Label  string   `json:"record"` // as in [sentral.Problem.Record]
	Faults []string `json:"faults"` // where it stands, and what is wrong with it
}

// ObservedVM is a VM with where it was seen.
type ObservedVM struct {
	inventory.VM
	HostID     uuid.UUID `json:"hostID"`
	Host       string    `json:"host"` // Sentral's key where known, else the hostname, else the ID
	Site       string    `json:"site,omitempty"`
	Source     string    `json:"source"`
	Also       []string  `json:"also,omitempty"` // further sources on that host that see it
	Platform   string    `json:"platform,omitempty"`
	ObservedAt time.Time `json:"observedAt,omitzero"`
	Fresh      bool      `json:"fresh"`
}

// Evidence is one rung of the ladder on which two sides were matched or not.
type Evidence struct {
	Rung     string `json:"rung"` // sentral-id, runtime-uuid, smbios-uuid, macs, disk-serials, name …
	Intended string `json:"intended,omitempty"`
	Observed string `json:"observed,omitempty"`
	Says     string `json:"says"` // agrees, disagrees or nothing
	Note     string `json:"note,omitempty"`
}

// What a rung can say.
const (
	Agrees    = "agrees"
	Disagrees = "disagrees"
	Nothing   = "nothing" // one side doesn't have it
)

// Class is what comparing one field came to.
type Class string

// The classes of a comparison.
const (
	Equal      Class = "equal"
	Mismatched Class = "mismatched"
	Missing    Class = "missing"    // intended and not there
	Unexpected Class = "unexpected" // there and not intended
	Unknown    Class = "unknown"    // could not be compared
)

// Comparison is one field held side by side.
type Comparison struct {
	Field      inventory.Field `json:"field"` // nic.vlan
	Path       string          `json:"path"`  // nics[52:54:00:aa:00:01].vlan
	Intended   any             `json:"intended"`
	Observed   any             `json:"observed"`
	Class      Class           `json:"class"`
	Reason     string          `json:"reason,omitempty"` // why it is unknown, or which value was taken
	Finding    string          `json:"finding,omitempty"`
	Provenance *Provenance     `json:"provenance,omitempty"`
}
