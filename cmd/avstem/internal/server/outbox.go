package server

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"sync"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// maxEvents bounds what waits while NATS is away, at about a kilobyte each. The
// findings themselves are not in it: of each there is the last state only.
const maxEvents = 50_000

// maxBatch is how many events are taken out at a time to be told.
const maxBatch = 512

// outbox holds what is to be written.
type outbox struct {
	wake chan struct{} // holds one when there is something

	mu     sync.Mutex
	events []event
	number uint64                        // of the last event
	states map[string]*reconcile.Finding // by ID; nil to remove it
	lost   int                           // events that there was no room for
}

type event struct {
	bus.DriftEvent
	number  uint64 // in the order of coming; 0 of what an earlier turn left
	finding reconcile.Finding
}

func newEvent(e reconcile.Event, site string) event {
	return event{finding: e.Finding, DriftEvent: bus.DriftEvent{
		ID: eventID(e), Action: bus.DriftAction(e.Change), Kind: string(e.Finding.Kind), Site: site,
		Subject: e.Finding.ID, Time: e.Finding.LastSeen,
	}}
}

func newOutbox() *outbox {
	return &outbox{wake: make(chan struct{}, 1), states: map[string]*reconcile.Finding{}}
}

// add takes what a step came to.
func (b *outbox) add(out engine.Outcome, site string) {
	if len(out.Changed)+len(out.Gone)+len(out.Events) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range out.Events {
		b.number++
		next := newEvent(e, site)
		next.number = b.number
		b.events = append(b.events, next)
	}
	if over := len(b.events) - maxEvents; over > 0 {
		b.events = slices.Delete(b.events, 0, over)
		b.lost += over
	}
	for _, f := range out.Changed {
		b.states[f.ID] = &f
	}
	for _, id := range out.Gone {
		b.states[id] = nil
	}
	b.signal()
}

// signal wakes the writer.
func (b *outbox) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// eventID is the same where the same event is told again after a crash: opened
// and resolved happen once in each life of a finding.
func eventID(e reconcile.Event) string {
	f := &e.Finding
	id := fmt.Sprintf("%s.%s.%d.%d", f.ID, e.Change, f.FirstSeen.UnixMilli(), f.Flaps)
	if e.Change == reconcile.Changed {
		hash := fnv.New64a()
		fmt.Fprintf(hash, "%s\x00%s\x00%s\x00%s\x00%d", f.State, f.Severity, f.Verdict, f.Message, f.LastSeen.Unix())
		if f.Acknowledged != nil {
			fmt.Fprintf(hash, "\x00%d", f.Acknowledged.At.UnixNano())
		}
		id += fmt.Sprintf(".%x", hash.Sum64())
	} else if f.Suppression != nil { // it is opened once more when that lapses
		hash := fnv.New64a()
		fmt.Fprintf(hash, "%s\x00%s", f.Suppression.ID, f.Suppression.Lapsed)
		id += fmt.Sprintf(".%x", hash.Sum64())
	}
	return id
}

// nextEvents gives the oldest, up to the one with a number and some of them only;
// they stay until they are done.
func (b *outbox) nextEvents(upTo uint64) []event {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < min(len(b.events), maxBatch) && b.events[n].number <= upTo {
		n++
	}
	return slices.Clone(b.events[:n])
}

// eventDone drops an event that was told. It is the oldest, unless that has gone for
// want of room meanwhile.
func (b *outbox) eventDone(e *event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.events) > 0 && b.events[0].number == e.number && b.events[0].ID == e.ID {
		b.events = b.events[1:]
	}
	if len(b.events) == 0 {
		b.events = nil
	}
}

// takeStates gives all states and forgets them; those that could not be written
// come back by putBack. Events has, by finding, which events are to be told of it, the
// oldest first: of each what happened and its ID. Last is the number of the last of
// them: what comes later tells of states that were not taken yet.
func (b *outbox) takeStates() (states map[string]*reconcile.Finding, events map[string][]string, last uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	states, b.states = b.states, map[string]*reconcile.Finding{}
	events = make(map[string][]string, len(b.events))
	for i := range b.events {
		e := &b.events[i]
		events[e.Subject] = append(events[e.Subject], string(e.Action)+" "+e.ID)
	}
	return states, events, b.number
}

// tell puts events before those that wait.
func (b *outbox) tell(events []event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(events, b.events...)
	b.signal()
}

// clear drops everything: it is another one's to write now.
func (b *outbox) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events, b.states, b.lost = nil, map[string]*reconcile.Finding{}, 0
}

// putBack takes states that were not written, unless there are newer ones.
func (b *outbox) putBack(states map[string]*reconcile.Finding) {
	b.mu.Lock()
	defer b.mu.Unlock()
	newer := b.states
	b.states = maps.Clone(states)
	maps.Copy(b.states, newer)
}

func (b *outbox) takeLost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	lost := b.lost
	b.lost = 0
	return lost
}

func (b *outbox) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.events) + len(b.states)
}

// encode is a finding as its readers get it.
func encode(f *reconcile.Finding) (json.RawMessage, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode finding %s: %w", f.ID, err)
	}
	return data, nil
}
