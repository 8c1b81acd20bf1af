// Package bundle is everything that is needed to debug one mismatch elsewhere, in
// one file: the documents and records that it rests on, the policy, the findings
// with their history, and what avstem explain said.
//
// It exists so that somebody without access to the site can run the core over the
// same input and get the same findings, and so that what leaves a site is what
// was meant to: credentials are taken out of every text, and what isn't needed of
// other tenants is left out ([Narrow]); the manifest says what.
//
// A bundle is a zip file with plain JSON in it. A file comes from anywhere, so
// [Read] takes nothing that [Write] doesn't give. Nothing here knows NATS or
// locks.
package bundle

import (
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Schema is the version of the manifest and of what it lists.
const Schema = "avstem.bundle/v1"

// Bundle is what a file holds.
type Bundle struct {
	Manifest Manifest
	Observed []*inventory.Observation
	Intended *sentral.Inventory
	Rest     Rest
	// Findings are those about the subject, as the reconciler had them, and Events
	// what happened to them.
	Findings []reconcile.Finding
	Events   []history.Event
	// Timeline is what changed about the subject.
	Timeline *history.Timeline
	// Explanation is what avstem explain said.
	Explanation *reconcile.Explanation
}

// Manifest says what a bundle is about, how it was made and what isn't in it.
type Manifest struct {
	Schema  string    `json:"schema"`
	Made    time.Time `json:"made"`
	By      string    `json:"by"` // the version of avstem
	Site    string    `json:"site"`
	Query   string    `json:"query"` // as it was asked for
	Subject Subject   `json:"subject"`
	// Reproduces says whether the core, run over what is in the bundle, gave the
	// findings that the reconciler had; Differs what it gave otherwise.
	Reproduces bool     `json:"reproduces"`
	Differs    []string `json:"differs,omitempty"`
	LeftOut    []string `json:"leftOut"` // sentences
	Files      []File   `json:"files"`
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // in hex
}

// Subject is what a bundle is about: findings about anything else can't be judged
// by it.
type Subject struct {
	history.Thing
	// Finding is the one that was asked for, if one was.
	Finding string `json:"finding,omitempty"`
}

// Rest is the core's input beside both books.
type Rest struct {
	Now       time.Time                         `json:"now"`
	Received  []Receipt                         `json:"received"`
	Heard     map[uuid.UUID]time.Time           `json:"heard"`
	Refused   []reconcile.Refusal               `json:"refused,omitempty"`
	Speakers  map[uuid.UUID][]reconcile.Speaker `json:"speakers,omitempty"`
	Tasks     []reconcile.Task                  `json:"tasks,omitempty"`
	Policy    reconcile.Policy                  `json:"policy"`
	Inventory Inventory                         `json:"inventory"`
}

// Receipt is when a document reached the reconciler.
type Receipt struct {
	Host   uuid.UUID `json:"host"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// Inventory is what an inventory says of itself, which its records don't.
type Inventory struct {
	Source     string            `json:"source"`
	Version    string            `json:"version"`
	ReadAt     time.Time         `json:"readAt"`
	Incomplete bool              `json:"incomplete,omitempty"`
	Stale      string            `json:"stale,omitempty"`
	Problems   []sentral.Problem `json:"problems,omitempty"`
	LeftOut    []sentral.LeftOut `json:"leftOut,omitempty"`
}

// Set takes the core's input apart.
func (b *Bundle) Set(in *reconcile.Input) {
	inv := in.Intended
	if inv == nil {
		inv = &sentral.Inventory{}
	}
	b.Intended, b.Observed = inv, nil
	b.Rest = Rest{
		Now: in.Now, Heard: in.Heard, Refused: in.Refused, Speakers: in.Speakers, Tasks: in.Tasks, Policy: in.Policy,
		Inventory: Inventory{inv.Source, inv.Version, inv.ReadAt, inv.Incomplete, inv.Stale, inv.Problems, inv.LeftOut},
	}
	for _, d := range in.Observed {
		b.Observed = append(b.Observed, d.Observation)
		b.Rest.Received = append(b.Rest.Received, Receipt{d.Host, d.Source, d.Received})
	}
}

// Input gives the core what it had.
func (b *Bundle) Input() *reconcile.Input {
	in := &reconcile.Input{Heard: b.Rest.Heard, Refused: b.Rest.Refused, Speakers: b.Rest.Speakers, Tasks: b.Rest.Tasks, Policy: b.Rest.Policy, Now: b.Rest.Now}
	inv, about := *b.Intended, b.Rest.Inventory
	inv.Source, inv.Version, inv.ReadAt, inv.Incomplete = about.Source, about.Version, about.ReadAt, about.Incomplete
	inv.Stale, inv.Problems, inv.LeftOut = about.Stale, about.Problems, about.LeftOut
	in.Intended = &inv
	type key struct {
		host   uuid.UUID
		source string
	}
	received := map[key]time.Time{}
	for _, r := range b.Rest.Received {
		received[key{r.Host, r.Source}] = r.At
	}
	for _, o := range b.Observed {
		in.Observed = append(in.Observed, reconcile.Document{Observation: o, Received: received[key{o.Host, o.Source}]})
	}
	return in
}
