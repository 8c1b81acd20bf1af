package history

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Books are both sides at one moment: the newest that was said of each thing.
type Books struct {
	documents map[docKey]Entry
	records   map[sentral.RecordID]Entry
	whole     *Entry
	policy    *reconcile.Policy // nil while none was said
}

type docKey struct {
	host   uuid.UUID
	source string
}

// NewBooks makes empty books.
func NewBooks() *Books {
	return &Books{documents: map[docKey]Entry{}, records: map[sentral.RecordID]Entry{}}
}

// Take notes what was said next. It says whether that is anything new, and
// whether it is the first that is known of what it is about.
func (b *Books) Take(e Entry) (news, first bool) {
	switch {
	case e.Document != nil:
		key := docKey{e.Document.Host, e.Document.Source}
		held, has := b.documents[key]
		if has && !e.Document.Supersedes(held.Document) {
			return false, false
		}
		same := has && held.Document.Digest == e.Document.Digest && e.Document.Digest != ""
		b.documents[key] = e
		return !same, !has
	case e.Policy != nil: // it changes no side
		first := b.policy == nil
		b.policy = e.Policy
		return false, first
	case e.Whole != nil:
		news := b.whole == nil || b.whole.Whole.Incomplete != e.Whole.Incomplete
		b.whole = &e
		return news, false
	}
	key := sentral.RecordID{Type: e.Type, ID: e.ID}
	_, has := b.records[key]
	b.records[key] = e
	return true, !has
}

// before is when what a document replaces was said; zero for all else.
func (b *Books) before(e Entry) time.Time {
	if e.Document == nil {
		return time.Time{}
	}
	return b.documents[docKey{e.Document.Host, e.Document.Source}].At
}

// Policy is what was judged by; nil where that isn't known.
func (b *Books) Policy() *reconcile.Policy { return b.policy }

// Input gives the core both sides as they stand, to be judged as of a time, by the
// policy of then; where that isn't known, by the one that is given.
//
// Heartbeats aren't kept. A host counts as heard if one of its documents came
// within the age that the policy allows them: agents repeat each.
func (b *Books) Input(now time.Time, policy reconcile.Policy) reconcile.Input {
	if b.policy != nil {
		policy = *b.policy
	}
	in := reconcile.Input{Intended: b.Inventory(), Heard: map[uuid.UUID]time.Time{}, Policy: policy, Now: now}
	for _, key := range slices.SortedFunc(maps.Keys(b.documents), docKey.compare) {
		e := b.documents[key]
		in.Observed = append(in.Observed, reconcile.Document{Observation: e.Document, Received: e.At})
		heard := e.At
		if now.Sub(e.At) <= policy.DocumentAge {
			heard = now
		}
		if heard.After(in.Heard[key.host]) {
			in.Heard[key.host] = heard
		}
	}
	return in
}

// Inventory gives the intended side as it stands.
func (b *Books) Inventory() *sentral.Inventory {
	inv := &sentral.Inventory{}
	if b.whole != nil {
		w := b.whole.Whole
		inv.Source, inv.Version, inv.ReadAt, inv.Incomplete, inv.Problems = w.Source, w.Version, b.whole.At, w.Incomplete, w.Problems
	}
	for _, id := range slices.SortedFunc(maps.Keys(b.records), compareIDs) {
		switch e := b.records[id]; {
		case e.Record != nil:
			inv.Add(e.Record)
		case e.Left != nil:
			inv.LeftOut = append(inv.LeftOut, *e.Left)
		}
	}
	return inv
}

// Observed lists the documents that are held, by host and source.
func (b *Books) Observed() []Entry {
	var all []Entry
	for _, key := range slices.SortedFunc(maps.Keys(b.documents), docKey.compare) {
		all = append(all, b.documents[key])
	}
	return all
}

// Record gives what was said last of a record.
func (b *Books) Record(id sentral.RecordID) (Entry, bool) {
	e, has := b.records[id]
	return e, has
}

func (k docKey) compare(other docKey) int {
	return cmp.Or(bytes.Compare(k.host[:], other.host[:]), cmp.Compare(k.source, other.source))
}

func compareIDs(a, b sentral.RecordID) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID))
}
