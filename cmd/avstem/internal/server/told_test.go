package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

// leading makes a server that leads, of which nothing runs. The one before leads no
// more then, and knows it when it looks.
func (r *rig) leading(name string) *Server {
	r.t.Helper()
	s := New(Options{Conn: r.connect(name), Site: "lab"})
	r.endTurn()
	lease, err := s.o.Conn.AwaitLease(r.t.Context(), "lab", s.store.self, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- lease.Keep(ctx) }()
	r.turn = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	r.t.Cleanup(r.endTurn)
	if err := s.takeUp(r.t.Context(), lease); err != nil {
		r.t.Fatal(err)
	}
	return s
}

// endTurn ends that of the last server that leads by itself.
func (r *rig) endTurn() {
	if r.turn != nil {
		r.turn()
	}
	r.turn = nil
}

// opens is what a step comes to that opens findings.
func opens(ids ...string) engine.Outcome {
	var out engine.Outcome
	now := time.Now().UTC()
	for _, id := range ids {
		f := reconcile.Finding{ID: id, Kind: reconcile.VMState, State: reconcile.Open, Verdict: reconcile.Confirmed, FirstSeen: now, Since: now, LastSeen: now,
			Subject: reconcile.Subject{Type: "vm", ID: id, Site: "lab"}}
		out.Changed = append(out.Changed, f)
		out.Events = append(out.Events, reconcile.Event{Change: reconcile.Opened, Finding: f})
	}
	return out
}

// told gives the findings of which was told, in the stream's order.
func (r *rig) told() (ids []string) {
	r.t.Helper()
	if _, err := r.reader.DriftEvents(r.t.Context(), "lab", time.Now().Add(-time.Hour), func(e bus.DriftEvent) { ids = append(ids, e.Subject) }); err != nil {
		r.t.Fatal(err)
	}
	return ids
}

// What a step comes to while another one's events are being told is told after it
// was written: a crash in between would leave an event of a finding that nobody knows
// of, and the next leader would open that anew.
func TestNothingIsToldThatIsNotWritten(t *testing.T) {
	r := newRig(t)
	s := r.leading("one")
	s.out.add(opens("f-1"), "lab")
	last, err := s.flushStates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.out.add(opens("f-2"), "lab")
	if err := s.flushEvents(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	findings, _, err := r.stored()
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range r.told() {
		if _, is := findings[id]; !is {
			t.Errorf("an event tells of %s, which isn't written", id)
		}
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f-1", "f-2"}, r.told()); diff != "" {
		t.Errorf("told in the end (-want +got):\n%s", diff)
	}
}

// However much was written since, what a crash left untold is told, and nothing else
// again: not even where the stream of events was emptied meanwhile.
func TestWhatIsUntoldIsKnownBySequence(t *testing.T) {
	r := newRig(t)
	first := r.leading("first")
	first.out.add(opens("f-1", "f-2"), "lab")
	if err := first.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.store.keepTold(t.Context(), first.store.written(), 0); err != nil {
		t.Fatal(err)
	}
	stream, err := r.reader.JetStream().Stream(t.Context(), bus.StreamDrift)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.out.add(opens("f-3"), "lab")
	if _, err := first.flushStates(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, turn := range []struct {
		leader string
		untold []string
	}{{"second", []string{"f-3"}}, {"third", []string{"f-3"}}, {"fourth", nil}} {
		next := r.leading(turn.leader)
		var untold []string
		for _, e := range next.out.nextEvents(0) {
			untold = append(untold, e.Subject)
		}
		if diff := cmp.Diff(turn.untold, untold); diff != "" {
			t.Errorf("untold when the %s takes over (-want +got):\n%s", turn.leader, diff)
		}
		if turn.leader == "third" {
			if err := next.flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if diff := cmp.Diff([]string{"f-3"}, r.told()); diff != "" {
		t.Errorf("told since (-want +got):\n%s", diff)
	}
}

// One that wakes up after another took over, between looking at its lease and
// sending, tells nothing that wasn't told.
func TestFormerLeaderTellsNothingTwice(t *testing.T) {
	r := newRig(t)
	former := r.leading("former")
	former.out.add(opens("f-1"), "lab")
	if _, err := former.flushStates(t.Context()); err != nil {
		t.Fatal(err)
	}
	late := former.out.nextEvents(1)[0]
	next := r.leading("next")
	if err := next.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	late.Finding = []byte("{}")
	acknowledged, err := former.o.Conn.SendDrift(late.DriftEvent)
	if err == nil {
		err = acknowledged(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"f-1"}, r.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	// What it judged since, it can't write, and so it doesn't tell of it.
	former.out.add(opens("f-2"), "lab")
	if err := former.flush(t.Context()); err == nil {
		t.Error("a former leader writes")
	}
	if diff := cmp.Diff([]string{"f-1"}, r.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// Marks go with what somebody purges: that holds up nothing.
func TestFindingsAreWrittenWhenMarksAreGone(t *testing.T) {
	r := newRig(t)
	s := r.leading("one")
	for i, name := range []string{bus.StreamDrift, bus.StreamFindings} {
		stream, err := r.reader.JetStream().Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.out.add(opens(fmt.Sprintf("f-%d", i)), "lab")
		if err := s.flush(t.Context()); err != nil {
			t.Errorf("after %s was purged: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"f-0", "f-1"}, r.told()); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// Sequences begin anew where the stream of findings is made anew: what is noted of the
// former one would hide what a crash leaves untold.
func TestWhatIsUntoldIsKnownInAnotherStream(t *testing.T) {
	r := newRig(t)
	first := r.leading("first")
	for range 30 { // so that the other stream is well behind
		first.out.add(opens("f-1"), "lab")
		if err := first.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.reader.JetStream().DeleteStream(t.Context(), bus.StreamFindings); err != nil {
		t.Fatal(err)
	}
	if err := r.reader.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.out.add(opens("f-2"), "lab")
	if err := first.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.store.keepTold(t.Context(), first.store.written(), 0); err != nil {
		t.Fatal(err)
	}
	first.out.add(opens("f-3"), "lab")
	if _, err := first.flushStates(t.Context()); err != nil {
		t.Fatal(err)
	}
	var untold []string
	for _, e := range r.leading("second").out.nextEvents(0) {
		untold = append(untold, e.Subject)
	}
	if diff := cmp.Diff([]string{"f-3"}, untold); diff != "" {
		t.Errorf("untold (-want +got):\n%s", diff)
	}
}

// A replica that doesn't have yet what was written before the marks isn't believed.
func TestFindingsAreReadAsFarAsTheMarks(t *testing.T) {
	r := newRig(t)
	s := r.leading("one")
	raised := *s.store.fence
	if _, err := s.store.readFenced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.lease.Raise(t.Context()); err != nil { // marks that s doesn't know of
		t.Fatal(err)
	}
	if _, err := s.store.readFenced(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.store.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	stream, err := r.reader.JetStream().Stream(t.Context(), bus.StreamFindings)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(t.Context()); err != nil { // as far behind as can be
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := s.store.readFenced(ctx); err == nil || !strings.Contains(err.Error(), "up to 0 only") && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, with marks up to %d", err, raised.Last())
	}
}

// Many events are told in order, some at once.
func TestEventsAreToldInOrder(t *testing.T) {
	r := newRig(t)
	s := r.leading("one")
	var ids []string
	for i := range 2 * maxBatch {
		ids = append(ids, fmt.Sprintf("f-%03d", i/2)) // two of each finding, one after the other
	}
	s.out.add(opens(ids...), "lab")
	for i := range s.out.events { // else the second is the first, told again
		s.out.events[i].ID += fmt.Sprint(i)
	}
	if err := s.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.told(); !slices.Equal(got, ids) {
		t.Errorf("told: %v", got)
	}
}
