package history

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// WholeID names what is kept of an inventory as a whole, beside its records.
var WholeID = sentral.RecordID{Type: "inventory", ID: "inventory"}

// PolicyID names what is kept of the policy, beside the records that it judges.
var PolicyID = sentral.RecordID{Type: "policy", ID: "policy"}

// Judged gives a policy as an entry without a place in a stream. Why there is no
// newer one is no part of it.
func Judged(p reconcile.Policy) Entry {
	p.Problems = nil
	return Entry{Policy: &p, Cause: Cause{Side: Intended, Type: PolicyID.Type, ID: PolicyID.ID, Inventory: p.Source}}
}

// maxProblems is how many of an inventory's problems are kept with it.
const maxProblems = 100

// Said gives everything that an inventory says, as entries without a place in a
// stream: its records, those that can't be used, and then the whole.
func Said(inv *sentral.Inventory) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		say := func(id sentral.RecordID, e Entry) bool {
			e.Side, e.Type, e.ID = Intended, id.Type, id.ID
			e.Inventory, e.Version = inv.Source, inv.Version
			e.Where = inv.Places.Place(id, "").String()
			return yield(e)
		}
		for record := range inv.Records() {
			if !say(sentral.IDOf(record), Entry{Record: record}) {
				return
			}
		}
		for i := range inv.LeftOut {
			left := &inv.LeftOut[i]
			if id := (sentral.RecordID{Type: left.Type, ID: left.ID}); id.ID != "" && !say(id, Entry{Left: left}) {
				return
			}
		}
		yield(SaidOfAll(inv))
	}
}

// SaidOfAll gives what an inventory says as a whole.
func SaidOfAll(inv *sentral.Inventory) Entry {
	n := 0
	for range inv.Records() {
		n++
	}
	return Entry{
		Cause: Cause{Side: Intended, Type: WholeID.Type, ID: WholeID.ID, Inventory: inv.Source, Version: inv.Version},
		Whole: &Whole{
			Source: inv.Source, Version: inv.Version, Incomplete: inv.Incomplete, Records: n,
			Problems: inv.Problems[:min(len(inv.Problems), maxProblems)],
		},
	}
}

// Content is what the entry says, as JSON, and whether it is a record that can't
// be used; nil where there is no record any more.
func (e *Entry) Content() (text json.RawMessage, left bool, err error) {
	var value any
	switch {
	case e.Record != nil:
		value = e.Record
	case e.Left != nil:
		value, left = e.Left, true
	case e.Whole != nil:
		value = e.Whole
	case e.Policy != nil:
		value = e.Policy
	default:
		return nil, false, nil
	}
	text, err = json.Marshal(value)
	return text, left, err
}

// SetContent is the inverse of [Entry.Content].
func (e *Entry) SetContent(text json.RawMessage, left bool) error {
	var into any
	switch id := (sentral.RecordID{Type: e.Type, ID: e.ID}); {
	case len(text) == 0:
		e.Gone = true
		return nil
	case left:
		e.Left = new(sentral.LeftOut)
		into = e.Left
	case id == WholeID:
		e.Whole = new(Whole)
		into = e.Whole
	case id == PolicyID:
		e.Policy = new(reconcile.Policy)
		into = e.Policy
	default:
		if e.Record = sentral.NewRecord(e.Type); e.Record == nil {
			return fmt.Errorf("%q is not a type of record: upgrade avstem", e.Type)
		}
		into = e.Record
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read %s %s: %w", e.Type, e.ID, err)
	}
	if e.Record != nil {
		if id := sentral.IDOf(e.Record); id.ID != e.ID {
			return fmt.Errorf("read %s %s: it says that it is %s", e.Type, e.ID, id.ID)
		}
	}
	return nil
}
