package history

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Side is one of the two books.
type Side string

// The two sides.
const (
	Intended Side = "intended"
	Observed Side = "observed"
)

// Cause is where something was said: a document of a host, or a version of a
// record.
type Cause struct {
	Side     Side      `json:"side"`
	At       time.Time `json:"at"` // when the stream took it, by the NATS server's clock
	Stream   string    `json:"stream,omitempty"`
	Sequence uint64    `json:"sequence,omitempty"`

	// Of a document: who said it and which of its documents it is.
	Host       uuid.UUID `json:"host,omitzero"`
	Source     string    `json:"source,omitempty"`
	Epoch      uint64    `json:"epoch,omitempty"`
	Gen        uint64    `json:"gen,omitempty"`
	ObservedAt time.Time `json:"observedAt,omitzero"` // by the host's clock

	// Of a record: which it is, where it stood and in which version of which
	// inventory.
	Type      string `json:"type,omitempty"`
	ID        string `json:"id,omitempty"`
	Where     string `json:"where,omitempty"`
	Inventory string `json:"inventory,omitempty"`
	Version   string `json:"version,omitempty"`
}

// Entry is one thing that was said. Of Document, Record, Left, Gone, Whole and Policy
// one is set.
type Entry struct {
	Cause
	Document *inventory.Observation
	Record   any              // as [sentral.NewRecord] makes it
	Left     *sentral.LeftOut // the record could not be used
	Gone     bool             // there was no such record any more
	// Whole is what was said of the inventory as a whole.
	Whole *Whole
	// Policy is what was judged by from then on.
	Policy *reconcile.Policy
}

// Whole is an inventory without its records.
type Whole struct {
	Source     string            `json:"source"`
	Version    string            `json:"version"`
	Incomplete bool              `json:"incomplete,omitempty"`
	Records    int               `json:"records"`
	Problems   []sentral.Problem `json:"problems,omitempty"` // the first of them
}

// Document makes the entry of a document.
func Document(o *inventory.Observation, stream string, sequence uint64, at time.Time) Entry {
	return Entry{Document: o, Cause: Cause{
		Side: Observed, At: at, Stream: stream, Sequence: sequence,
		Host: o.Host, Source: o.Source, Epoch: o.Epoch, Gen: o.Gen, ObservedAt: o.ObservedAt.UTC(),
	}}
}
