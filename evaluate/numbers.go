package evaluate

import "time"

// Numbers are how well one platform, or a part of it, can be seen and
// reconciled.
type Numbers struct {
	// Platform is what an operator would choose, Runtime what runs the VMs.
	Platform string `json:"platform"`
	// Type is "" for virtual machines, and container for those that some runtimes
	// have beside them and Sentral doesn't know.
	Type    string `json:"type,omitempty"`
	Runtime string `json:"runtime"`
	Version string `json:"version,omitempty"` // "" where several are taken together
	Host    string `json:"host,omitempty"`
	Site    string `json:"site,omitempty"`

	// Hosts are those with the runtime, on Have of which it could be listed whole;
	// VMs are the guests of the type that it showed.
	Hosts Share `json:"hosts"`
	VMs   int   `json:"vms"`
	// HostIdentity are the hosts that Sentral has, Have of them recognised by
	// something that lasts.
	HostIdentity Share `json:"hostIdentity"`

	// Observability is the mean, over the needed fields that anything should
	// have, of the share on which each was really seen; Observable is the same
	// where what nobody has set counts as seen.
	Observability *float64 `json:"observability"`
	Observable    *float64 `json:"observable"`
	// Reconcilability is the mean, over the fields that Sentral states, of the
	// share on which both sides could be compared.
	Reconcilability *float64 `json:"reconcilability"`
	// Paths are the NICs whose way off the host could be followed, Have of them
	// without taking the runtime's word for it.
	Paths Share `json:"paths"`

	Identity IdentityShare `json:"identity"`

	Fields   []FieldShare `json:"fields"`   // observability, as in [askedFields]
	Compared []FieldShare `json:"compared"` // reconcilability, by field
}

// IdentityShare is how the VMs that Sentral has were recognised.
type IdentityShare struct {
	// Durable are the VMs matched on Sentral's ID, the runtime's UUID or the
	// SMBIOS UUID, of all that were matched.
	Durable Share `json:"durable"`
	// By counts matches by the rung that made them.
	By map[string]int `json:"by,omitempty"`
	// Unknown are shown by the runtime and not in Sentral, or not settled;
	// Missing are in Sentral and concluded to be absent, Unseen could not be
	// looked for. The last two count for the platform of the record's host.
	Unknown int `json:"unknown,omitempty"`
	Missing int `json:"missing,omitempty"`
	Unseen  int `json:"unseen,omitempty"`
}

// led is how many VMs the runtime was the one to be reconciled by: those that
// Sentral has and those that it doesn't.
func (s *IdentityShare) led() int { return s.Durable.Of + s.Unknown }

// By is what numbers are made for.
type By string

// The groups that numbers are made for.
const (
	ByPlatform By = "platform"
	ByVersion  By = "version"
	ByHost     By = "host"
)

// Known says whether numbers can be made for it.
func (b By) Known() bool { return b == ByPlatform || b == ByVersion || b == ByHost }

// Answer is what a reconciler says when it is asked for numbers.
type Answer struct {
	At      time.Time `json:"at"` // of the pass that was counted
	Numbers []Numbers `json:"numbers"`
}
