package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

func TestWhatKeepsAnAgentFromPublishingIsAFinding(t *testing.T) {
	doc := shown(t, 1, 1, 2)
	e := started(t, begin, doc)
	e.Step(begin)
	now := begin
	says := func(speaker byte, problem string) []string {
		now = now.Add(5 * second)
		b := beat(now, 1, doc)
		b.Speaker, b.Problem = uuid.UUID{speaker}, problem
		e.Hear(b)
		if !e.Due(now) {
			return nil
		}
		// That two speak is a finding of its own: see speaker_test.go.
		events := slices.DeleteFunc(listEvents(e.Step(now).Events), func(event string) bool { return strings.HasSuffix(event, "identity.cloned") })
		return append([]string(nil), events...) // nil for none
	}
	expect(t, "first", says(1, "two use it, says 1"), []string{"opened observe.refused"})
	if got, want := e.Findings()[0].Message, "the agent of hv-01 publishes nothing: two use it, says 1"; got != want {
		t.Errorf("the finding says %q, want %q", got, want)
	}
	for range 5 { // the other one's words are no news
		expect(t, "the other", says(2, "two use it, says 2"), nil)
		expect(t, "again", says(1, "two use it, says 1"), nil)
	}
	for range 6 { // the first one was stopped: for half a minute it may be about to speak
		expect(t, "alone", says(2, "two use it, says 2"), nil)
	}
	expect(t, "alone for long", says(2, "two use it, says 2"), []string{"changed observe.refused"})
	expect(t, "over", says(2, ""), []string{"resolved observe.refused"})
}

func TestProblemStandsWhileTheHostIsSilent(t *testing.T) {
	doc := shown(t, 1, 1, 2)
	e := started(t, begin, doc)
	b := beat(begin, 1, doc)
	b.Problem = "two use it"
	e.Hear(b)
	e.Step(begin)
	e.Step(begin.Add(2 * policy.StaleAfter))
	expect(t, "findings", list(e.Findings()), []string{"open host.stale hv-01", "open observe.refused hv-01"})
}

func TestReasonsAreCut(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Refuse(reconcile.Refusal{Host: hostID, Site: "lab", Source: "a", Reason: strings.Repeat("ø", 1<<20), At: begin})
	e.Step(begin)
	if n := len(e.Findings()[0].Message); n > 2*maxWords {
		t.Errorf("a reason of %d bytes is told in %d", 2<<20, n)
	}
}

func TestRestartWithoutTheHostsDocumentsWaitsForThem(t *testing.T) {
	stranger := uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e009")
	doc := document(t, stranger, "runtime-libvirt", 1, 1, shown(t, 1, 1, 2).Body)
	first := started(t, begin, doc)
	b := beat(begin, 1, doc)
	b.Host = stranger
	first.Hear(b)
	first.Step(begin)
	kept := first.Findings()
	if len(kept) == 0 {
		t.Fatal("the test wants findings to begin with")
	}

	start := begin.Add(time.Hour)                                                 // and the stream of documents was lost meanwhile
	for _, order := range []string{"findings come first", "findings come last"} { // as they do where a lease is waited for
		e := New("lab", policy)
		if order == "findings come first" {
			e.Restore(kept)
		}
		e.Intend(books())
		e.Delivered()
		if order == "findings come last" {
			e.Restore(kept)
		}
		e.Listen(start)
		if out := e.Step(start.Add(second)); out.Waiting == "" {
			t.Errorf("%s: it judged without a document: %v", order, listEvents(out.Events))
		}
		if out := e.Step(start.Add(policy.StaleAfter + second)); out.Waiting != "" {
			t.Errorf("%s: it waits for ever: %s", order, out.Waiting)
		}
	}
}
