package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/seed"
	"github.com/dataverket/avstem/sentral"
)

func TestStepGivesFindingsEventsAndStatus(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	e := started(t, begin, doc)
	out := e.Step(begin)
	expect(t, "findings", list(e.Findings()), []string{"open vm.vcpus web-01"})
	expect(t, "changed", list(out.Changed), []string{"open vm.vcpus web-01"})
	expect(t, "events", listEvents(out.Events), []string{"opened vm.vcpus"})
	want := Status{At: begin, Site: "lab", Ready: true, Hosts: 1, VMs: 1, Findings: Counts{Open: 1},
		Inventory: InventoryStatus{Source: "test", Version: "1", ReadAt: begin}}
	if diff := cmp.Diff(want, out.Status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}

	again := e.Step(begin.Add(second))
	if len(again.Changed)+len(again.Gone)+len(again.Events) > 0 {
		t.Errorf("a step without news stores %v, removes %v and tells %v", list(again.Changed), again.Gone, listEvents(again.Events))
	}

	e.Observe(shown(t, 1, 2, 2), begin.Add(2*second))
	out = e.Step(begin.Add(2 * second))
	expect(t, "events", listEvents(out.Events), []string{"resolved vm.vcpus"})
	if out.Status.Agreeing != 1 || out.Status.Findings != (Counts{Resolved: 1}) {
		t.Errorf("status is %+v", out.Status)
	}

	// What was resolved is removed when it has been kept for long enough.
	later := begin.Add(3*second + policy.KeepResolved)
	e.Hear(beat(later, 1, doc))
	e.Observe(shown(t, 1, 3, 2), later)
	out = e.Step(later)
	if len(out.Gone) != 1 || len(e.Findings()) != 0 {
		t.Errorf("gone: %v, left: %v", out.Gone, list(e.Findings()))
	}
}

func TestNothingIsJudgedBeforeItCanBe(t *testing.T) {
	open := started(t, begin, shown(t, 1, 1, 4))
	open.Step(begin)
	kept := open.Findings()
	start := begin.Add(time.Hour)

	prepare := map[string]func(e *Engine){
		"delivered": func(e *Engine) { e.Observe(shown(t, 1, 1, 4), start); e.Delivered() },
		"intended":  func(e *Engine) { e.Intend(books()) },
		"listening": func(e *Engine) { e.Listen(start) },
		"heard":     func(e *Engine) { e.Hear(beat(start, 1, shown(t, 1, 1, 4))) },
	}
	names := []string{"delivered", "intended", "listening", "heard"}
	for _, missing := range names {
		t.Run("without "+missing, func(t *testing.T) {
			e := New("lab", policy)
			e.Restore(kept)
			for _, name := range names {
				if name != missing {
					prepare[name](e)
				}
			}
			out := e.Step(start.Add(second))
			if out.Waiting == "" || len(out.Changed)+len(out.Gone)+len(out.Events) > 0 {
				t.Errorf("it judged: %+v", out)
			}
			expect(t, "findings", list(e.Findings()), []string{"open vm.vcpus web-01"})
			prepare[missing](e)
			if out = e.Step(start.Add(2 * second)); out.Waiting != "" {
				t.Errorf("it still waits: %s", out.Waiting)
			}
		})
	}
}

func TestRestartTellsNothingAnew(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	first := started(t, begin, doc)
	first.Step(begin)

	start := begin.Add(time.Hour)
	e := New("lab", policy)
	e.Restore(first.Findings())
	e.Intend(books())
	e.Observe(doc, start)
	e.Delivered()
	e.Listen(start)
	e.Hear(beat(start, 1, doc))
	out := e.Step(start)
	if out.Waiting != "" || len(out.Events) > 0 {
		t.Errorf("waiting %q, events %v", out.Waiting, listEvents(out.Events))
	}
	if got := e.Findings()[0].FirstSeen; !got.Equal(begin) {
		t.Errorf("first seen at %s, not at %s", got, begin)
	}
}

func TestRestartWaitsForWhatARestartedAgentIsAboutToSay(t *testing.T) {
	e := New("lab", policy)
	e.Intend(books())
	e.Observe(shown(t, 1, 7, 4), begin)
	e.Delivered()
	e.Listen(begin)
	e.Hear(beat(begin, 2)) // it has seen nothing yet
	if out := e.Step(begin.Add(second)); out.Waiting == "" {
		t.Errorf("it judged a document from before the agent's restart: %v", list(e.Findings()))
	}
	e.Observe(shown(t, 2, 1, 2), begin.Add(2*second))
	if out := e.Step(begin.Add(2 * second)); out.Waiting != "" || len(e.Findings()) > 0 {
		t.Errorf("waiting %q, findings %v", out.Waiting, list(e.Findings()))
	}
}

func TestSilentHostIsKnownAfterARestartToo(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	first := started(t, begin, doc)
	first.Step(begin)
	first.Step(begin.Add(40 * second))
	expect(t, "findings", list(first.Findings()), []string{"open host.stale hv-01", "open vm.vcpus web-01 unknown"})

	start := begin.Add(50 * second)
	e := New("lab", policy)
	e.Restore(first.Findings())
	e.Intend(books())
	e.Observe(doc, start)
	e.Delivered()
	e.Listen(start)
	if out := e.Step(start.Add(policy.StaleAfter)); !strings.Contains(out.Waiting, "not heard again yet: 1 of 1") {
		t.Errorf("it doesn't wait for the host: %q", out.Waiting)
	}
	out := e.Step(start.Add(policy.StaleAfter + second))
	if out.Waiting != "" || len(out.Events) > 0 {
		t.Errorf("waiting %q, events %v", out.Waiting, listEvents(out.Events))
	}
	expect(t, "findings", list(e.Findings()), []string{"open host.stale hv-01", "open vm.vcpus web-01 unknown"})
}

func TestSilenceAndReturn(t *testing.T) {
	doc := shown(t, 1, 1, 0)
	e := started(t, begin, doc)
	e.Step(begin)
	expect(t, "at first", list(e.Findings()), []string{"pending vm.missing web-01"})
	silent := begin.Add(policy.StaleAfter)
	if e.Due(begin.Add(10 * second)) {
		t.Error("a step is due although nothing changed")
	}
	for at := begin; !at.After(silent); at = at.Add(second) {
		e.Step(at)
	}
	expect(t, "while it spoke", list(e.Findings()), []string{"open vm.missing web-01"})
	if e.Due(silent) || !e.Due(silent.Add(1)) {
		t.Error("a step is not due at the moment when the host counts as silent")
	}
	out := e.Step(silent.Add(1))
	expect(t, "silent", list(e.Findings()), []string{"open host.stale hv-01", "open vm.missing web-01 unknown"})
	expect(t, "events of silence", listEvents(out.Events), []string{"opened host.stale"})

	back := silent.Add(time.Minute)
	if !e.Hear(beat(back, 1, doc)) {
		t.Error("a host that is back is no news")
	}
	out = e.Step(back)
	expect(t, "back", list(e.Findings()), []string{"resolved host.stale hv-01", "open vm.missing web-01"})
}

func TestDeafnessIsNotSilence(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	e := started(t, begin, doc)
	e.Step(begin)
	e.Deafen(begin.Add(10 * second))
	out := e.Step(begin.Add(10 * time.Minute))
	if out.Waiting != "NATS is away" {
		t.Errorf("waiting %q", out.Waiting)
	}
	back := begin.Add(11 * time.Minute)
	e.Listen(back)
	if out := e.Step(back.Add(second)); out.Waiting == "" {
		t.Error("it doesn't wait for the host to speak again")
	}
	e.Hear(beat(back.Add(2*second), 1, doc))
	if out := e.Step(back.Add(2 * second)); out.Waiting != "" || len(out.Events) > 0 {
		t.Errorf("waiting %q, events %v", out.Waiting, listEvents(out.Events))
	}
}

func TestDeafnessDoesNotWaitForWhoWasSilentBefore(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	e.Step(begin.Add(time.Minute))
	e.Deafen(begin.Add(2 * time.Minute))
	e.Listen(begin.Add(3 * time.Minute))
	if out := e.Step(begin.Add(3 * time.Minute)); out.Waiting != "" {
		t.Errorf("it waits: %s", out.Waiting)
	}
}

func TestLostInventoryKeepsTheLastGoodOne(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	e.Step(begin)
	e.Intend(&sentral.Inventory{Source: "test", Incomplete: true, Problems: []sentral.Problem{{Where: "test", Error: "it is gone"}}})
	out := e.Step(begin.Add(second))
	expect(t, "findings", list(e.Findings()), []string{"open inventory.invalid test", "open vm.vcpus web-01"})
	if out.Status.Inventory.Problems != 1 || !out.Status.Inventory.ReadAt.Equal(begin) {
		t.Errorf("status says %+v", out.Status.Inventory)
	}
	e.Intend(books())
	e.Step(begin.Add(2 * second))
	expect(t, "when it is back", list(e.Findings()), []string{"resolved inventory.invalid test", "open vm.vcpus web-01"})
}

func TestObserveSaysWhatBecameOfADocument(t *testing.T) {
	e := started(t, begin, shown(t, 2, 5, 2))
	for _, step := range []struct {
		doc  *inventory.Observation
		want Reception
	}{
		{shown(t, 2, 5, 2), Again},
		{shown(t, 2, 4, 2), Older},
		{shown(t, 1, 9, 2), Older},
		{shown(t, 2, 5, 3), Refused},
		{shown(t, 2, 6, 2), Newer},
		{shown(t, 3, 1, 2), Newer},
	} {
		if got := e.Observe(step.doc, begin); got != step.want {
			t.Errorf("epoch %d gen %d: %s, not %s", step.doc.Epoch, step.doc.Gen, got, step.want)
		}
	}
}

// What arrives late, twice or out of order leaves what arriving in order leaves.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		type key struct {
			host   int
			source string
		}
		latest := map[key]*inventory.Observation{}
		var sent []*inventory.Observation
		for range rapid.IntRange(1, 12).Draw(rt, "documents") {
			host := rapid.IntRange(0, 2).Draw(rt, "host")
			source := rapid.SampledFrom([]string{"runtime-libvirt", "runtime-qemu"}).Draw(rt, "source")
			before := latest[key{host, source}]
			epoch, gen := uint64(1), uint64(1)
			if before != nil {
				epoch, gen = before.Epoch, before.Gen+1
				if rapid.Bool().Draw(rt, "restarted") {
					epoch, gen = before.Epoch+1, 1
				}
			}
			cpus := rapid.IntRange(0, 3).Draw(rt, "cpus")
			o := shown(t, epoch, gen, cpus)
			o.Host, o.Source = uuid.UUID{0: 1, 15: byte(host + 1)}, source
			if host == 0 {
				o.Host = hostID
			}
			if err := o.Seal(); err != nil {
				rt.Fatal(err)
			}
			latest[key{host, source}] = o
			sent = append(sent, o)
		}
		inOrder, shuffled := started(t, begin), started(t, begin)
		for _, o := range sent {
			inOrder.Observe(o, begin)
		}
		repeats := rapid.SliceOfN(rapid.SampledFrom(sent), 0, 6).Draw(rt, "repeats")
		for _, o := range rapid.Permutation(append(slices.Clone(sent), repeats...)).Draw(rt, "arrivals") {
			shuffled.Observe(o, begin)
		}
		inOrder.Step(begin.Add(second))
		shuffled.Step(begin.Add(second))
		if diff := cmp.Diff(inOrder.Findings(), shuffled.Findings()); diff != "" {
			rt.Errorf("findings differ (-in order +shuffled):\n%s", diff)
		}
	})
}

func TestHoles(t *testing.T) {
	held, newer := shown(t, 1, 1, 2), shown(t, 1, 2, 4)
	e := started(t, begin, held)
	e.Hear(beat(begin, 1, newer))
	if holes := e.Holes(begin.Add(second)); len(holes) != 0 {
		t.Errorf("a document that is on its way is a hole: %v", holes)
	}
	e.Hear(beat(begin.Add(10*second), 1, newer))
	want := []Hole{{Host: hostID, Site: "lab", Source: newer.Source, Said: Position{1, 2, newer.Digest}, Held: Position{1, 1, held.Digest}, Since: begin}}
	if diff := cmp.Diff(want, e.Holes(begin.Add(10*second))); diff != "" {
		t.Errorf("holes (-want +got):\n%s", diff)
	}
	e.Observe(newer, begin.Add(11*second))
	if holes := e.Holes(begin.Add(30 * second)); len(holes) != 0 {
		t.Errorf("it has come: %v", holes)
	}
	e.Hear(beat(begin.Add(12*second), 1, held)) // overtaken by the document
	if holes := e.Holes(begin.Add(30 * second)); len(holes) != 0 {
		t.Errorf("what the host said before is a hole: %v", holes)
	}
}

func TestRefusalsAreBoundedAndEnd(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	for i := range MaxRefusals + 10 {
		e.Refuse(reconcile.Refusal{Host: uuid.UUID{0: 2, 14: byte(i >> 8), 15: byte(i)}, Site: "lab", Source: "network", Reason: "forged", At: begin.Add(time.Duration(i))})
	}
	if len(e.refused) != MaxRefusals {
		t.Errorf("%d refusals are kept", len(e.refused))
	}
	e.Refuse(reconcile.Refusal{Host: hostID, Site: "lab", Source: "runtime-libvirt", Reason: "too new", At: begin.Add(second)})
	e.Step(begin.Add(second))
	ours := func(f reconcile.Finding) bool { return f.Kind == reconcile.ObserveRefused && f.Subject.ID == "hv-01" }
	if !slices.ContainsFunc(e.Findings(), ours) {
		t.Error("a refusal makes no finding")
	}
	e.Observe(shown(t, 1, 2, 2), begin.Add(2*second))
	later := begin.Add(policy.DocumentAge + time.Minute)
	e.Hear(beat(later, 1))
	e.Step(begin.Add(2 * second))
	if slices.ContainsFunc(e.Findings(), func(f reconcile.Finding) bool { return ours(f) && f.State == reconcile.Open }) {
		t.Error("a good document doesn't end the refusal")
	}
	e.Step(later)
	if len(e.refused) != 0 {
		t.Errorf("%d refusals are kept although they were not repeated", len(e.refused))
	}
}

func TestHostsInNobodysBookAreForgotten(t *testing.T) {
	stranger := uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e099")
	e := started(t, begin, shown(t, 1, 1, 2), document(t, stranger, "storage", 1, 1, inventory.Body{}))
	e.Hear(Heartbeat{Host: stranger, Site: "lab", At: begin, Epoch: 1})
	e.Step(begin)
	later := begin.Add(ForgetAfter + second)
	if !e.Due(later) {
		t.Error("no step is due when a host is to be forgotten")
	}
	e.Step(later)
	if e.hosts[stranger] != nil {
		t.Error("a host that Sentral doesn't have is kept after a week of silence")
	}
	if e.hosts[hostID] == nil {
		t.Error("a host that Sentral has is forgotten")
	}
}

// Whoever stands by may do so for months.
func TestHostsInNobodysBookAreForgottenByWhoStandsBy(t *testing.T) {
	stranger := uuid.MustParse("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e099")
	e := started(t, begin, shown(t, 1, 1, 2), document(t, stranger, "storage", 1, 1, inventory.Body{}))
	e.Hear(Heartbeat{Host: stranger, Site: "lab", At: begin, Epoch: 1})
	e.Stand(begin)
	later := begin.Add(ForgetAfter + second)
	if !e.Due(later) {
		t.Error("nothing is due when a host is to be forgotten")
	}
	e.Stand(later)
	if e.hosts[stranger] != nil || e.hosts[hostID] == nil {
		t.Errorf("kept: %v", e.hosts)
	}
}

func TestHostsOfOtherSitesAreNotMissingHere(t *testing.T) {
	inv := books()
	inv.Hosts = append(inv.Hosts, sentral.Host{ID: "hv-far", Site: "far", State: sentral.HostActive})
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Intend(inv)
	e.Step(begin)
	expect(t, "findings", list(e.Findings()), nil)
}

func TestExplain(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	e := New("lab", policy)
	_, err := e.Explain("web-01", begin)
	if _, notReady := errors.AsType[*NotReadyError](err); !notReady {
		t.Errorf("before the first step: %v", err)
	}
	e = started(t, begin, doc)
	e.Step(begin)
	heard := begin.Add(20 * second)
	e.Hear(beat(heard, 1, doc))

	vm, err := e.Explain(" web-01", heard)
	if err != nil || vm.VM == nil || len(vm.Findings) != 1 {
		t.Errorf("web-01: %+v, %v", vm, err)
	}
	host, err := e.Explain("hv-01", heard)
	if err != nil || host.Host == nil || !host.Host.Observed.LastHeard.Equal(heard) {
		t.Errorf("hv-01: %+v, %v", host, err)
	}
	for query, near := range map[string][]string{
		"wbe-01": {"web-01"}, "WEB-01": {"web-01"}, "web": {"web-01"}, "hv-02": {"hv-01"}, "nothing-like-it": nil, "": nil,
	} {
		_, err := e.Explain(query, heard)
		notKnown, ok := errors.AsType[*NotKnownError](err)
		if !ok || !errors.Is(err, reconcile.ErrNotKnown) {
			t.Errorf("%q: %v", query, err)
			continue
		}
		if diff := cmp.Diff(near, notKnown.Near); diff != "" {
			t.Errorf("%q: near (-want +got):\n%s", query, diff)
		}
	}
}

// Everything may be called at once; the race detector is the judge.
func TestConcurrentUse(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	docs := []*inventory.Observation{shown(t, 1, 2, 2), shown(t, 1, 3, 4)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			now := begin.Add(time.Duration(i) * second)
			e.Step(now)
			e.Due(now)
		}
	}()
	for i := range 50 {
		now := begin.Add(time.Duration(i) * second)
		e.Observe(docs[i%2], now)
		e.Hear(beat(now, 1, docs...))
		e.Intend(books())
		_, _ = e.Explain("web-01", now)
		e.Status(now)
		e.Findings()
	}
	<-done
}

func TestSourcesOfAHostAreBounded(t *testing.T) {
	e := started(t, begin)
	var said []*inventory.Observation
	for i := range MaxSources + 1 {
		o := document(t, hostID, fmt.Sprintf("source-%d", i), 1, 1, inventory.Body{})
		said = append(said, o)
		want := Newer
		if i == MaxSources {
			want = Refused
		}
		if got := e.Observe(o, begin); got != want {
			t.Errorf("source %d: %s, not %s", i, got, want)
		}
	}
	e.Hear(beat(begin, 1, said...))
	if n := len(e.hosts[hostID].said); n != MaxSources {
		t.Errorf("%d sources of a heartbeat are kept", n)
	}
	e.Step(begin)
	if !slices.ContainsFunc(e.Findings(), func(f reconcile.Finding) bool { return f.Kind == reconcile.ObserveRefused }) {
		t.Errorf("no finding says so: %v", list(e.Findings()))
	}
}
