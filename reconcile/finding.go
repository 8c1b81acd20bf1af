package reconcile

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Kind is what a finding is about, such as "nic.vlan". docs/findings.md has an
// entry for each.
type Kind string

// Severity orders findings by what they can cost.
type Severity string

// The severities, worst first.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Info     Severity = "info"
)

// State is where a finding is in its life.
type State string

// The states of a finding.
const (
	Pending    State = "pending" // seen, within its kind's grace
	Open       State = "open"
	Suppressed State = "suppressed"
	Resolved   State = "resolved"
)

// Verdict is how sure a finding is.
type Verdict string

// The verdicts.
const (
	Confirmed Verdict = "confirmed"
	Potential Verdict = "potential" // on a derived value or a weak match
	Undecided Verdict = "unknown"
)

// Finding is a difference or a failed check with a stable ID and a life. Its
// JSON is a contract: CONTRACTS.md §4.
type Finding struct {
	ID          string       `json:"id"` // "f-" and 80 bits over kind, subject and field, in base32
	Kind        Kind         `json:"kind"`
	Severity    Severity     `json:"severity"`
	State       State        `json:"state"`
	Verdict     Verdict      `json:"verdict"`
	Subject     Subject      `json:"subject"`
	Field       string       `json:"field"`
	Intended    any          `json:"intended"`
	Observed    any          `json:"observed"`
	Message     string       `json:"message"`
	Match       *MatchBasis  `json:"match,omitempty"`
	Provenance  *Provenance  `json:"provenance,omitempty"`
	Evidence    []string     `json:"evidence,omitempty"` // sentences, most telling first
	Resolutions []Resolution `json:"resolutions"`
	CausedBy    string       `json:"causedBy,omitempty"` // the finding that this one follows from
	// Hosts are all those that it was seen on, where they are several: it can't
	// be judged again before each of them is seen.
	Hosts     []string  `json:"hosts,omitempty"`
	FirstSeen time.Time `json:"firstSeen,omitzero"`
	Since     time.Time `json:"since,omitzero"` // when it entered its State
	LastSeen  time.Time `json:"lastSeen,omitzero"`
	// Flaps is how often it came back after it was gone, Returns when it last
	// did, the newest last, as far as policy asks for that.
	Flaps   int         `json:"flaps"`
	Returns []time.Time `json:"returns,omitempty"`
	// Gone is since when one that flaps is not found, although it stays open.
	Gone time.Time `json:"gone,omitzero"`
	// Acknowledged is who has taken it up. It says nothing about the state.
	Acknowledged *Acknowledgement `json:"acknowledged,omitempty"`
	// Suppression is the entry of policy that speaks of it.
	Suppression *Suppressing `json:"suppression,omitempty"`
	// Task is the task of Maskin's that keeps it pending, or that it is about.
	Task *Task `json:"task,omitempty"`
}

// Acknowledgement is a person's word that a finding is known and looked after.
type Acknowledgement struct {
	By     string    `json:"by"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"` // it ends by itself then
}

// Suppressing is what an entry of policy means for one finding.
type Suppressing struct {
	ID      string    `json:"id"` // of the entry
	Reason  string    `json:"reason"`
	Owner   string    `json:"owner"`
	Expires time.Time `json:"expires"`
	// Lapsed says why it doesn't suppress the finding; "" if it does.
	Lapsed string `json:"lapsed,omitempty"`
}

// Subject is what a finding is about.
type Subject struct {
	Type        string `json:"type"` // vm, host, network, project, inventory or runtime
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Site        string `json:"site,omitempty"`
	Host        string `json:"host,omitempty"` // Sentral's key where known, else the hostname
	Platform    string `json:"platform,omitempty"`
	Tenant      string `json:"tenant,omitempty"`
	Project     string `json:"project,omitempty"`
	Environment string `json:"environment,omitempty"`
}

// MatchBasis is the rung on which the two sides were matched.
type MatchBasis struct {
	By   string `json:"by"`
	Weak bool   `json:"weak"`
}

// Provenance is where the observed value came from.
type Provenance struct {
	Collector  string    `json:"collector"`
	Source     string    `json:"source"` // API call and element, or file
	ObservedAt time.Time `json:"observedAt"`
	Host       uuid.UUID `json:"host,omitzero"`
}

// Resolution is one way to make both sides agree. avstem never carries it out.
type Resolution struct {
	Side string `json:"side"` // runtime or sentral
	Do   string `json:"do"`
	How  string `json:"how,omitempty"` // live, reboot, person or impossible
}

// findingID is stable: the same kind about the same field of the same subject
// always has the same ID, whatever its values.
func findingID(kind Kind, subject Subject, field string) string {
	hash := sha256.Sum256([]byte(strings.Join([]string{string(kind), subject.Type, subject.Site, subject.ID, field}, "\x00")))
	return "f-" + strings.ToLower(base32.HexEncoding.EncodeToString(hash[:10]))
}

// Rank orders severities: 0 is the worst.
func (s Severity) Rank() int {
	if i := slices.Index([]Severity{Critical, High, Medium, Low, Info}, s); i >= 0 {
		return i
	}
	return 5 // an unknown one comes last
}

// SortFindings sorts by severity, kind, subject and field.
func SortFindings(findings []Finding) {
	slices.SortFunc(findings, func(a, b Finding) int { return CompareFindings(&a, &b) })
}

// CompareFindings orders findings by severity, kind, subject and field.
func CompareFindings(a, b *Finding) int {
	return cmp.Or(
		cmp.Compare(a.Severity.Rank(), b.Severity.Rank()),
		cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Subject.Name, b.Subject.Name),
		cmp.Compare(a.Subject.ID, b.Subject.ID),
		cmp.Compare(a.Subject.Site, b.Subject.Site),
		cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.ID, b.ID),
	)
}
