package agent

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// begin runs the agent over the wire, in a bubble, until the test ends it.
func begin(t *testing.T, a *Agent, w *fakeWire) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w.carry(a.heard)
	var tasks sync.WaitGroup
	for _, c := range a.o.Collectors {
		tasks.Go(func() { a.observe(ctx, c) })
	}
	tasks.Go(func() { a.serve(ctx, &w.wire) })
	return func() {
		cancel()
		tasks.Wait()
	}
}

// pass lets time go by, and everything that is due then be done.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestDocumentIsPublishedWhenItChangesAndEachRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network", links: []string{"eth0"}}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}}), newFakeWire()
		defer begin(t, a, w)()

		synctest.Wait()
		if got := len(w.docs()); got != 1 {
			t.Fatalf("at the start %d documents were published", got)
		}
		pass(5 * time.Minute)
		if got := len(w.docs()); got != 1 {
			t.Errorf("%d documents say the same", got)
		}
		if got := c.count(); got < 9 || got > 12 {
			t.Errorf("%d passes in 5 minutes", got)
		}
		c.show("eth0", "eth1")
		pass(34 * time.Second) // one interval and its jitter
		if got := len(w.docs()); got != 2 {
			t.Fatalf("after a change there are %d documents", got)
		}
		pass(time.Hour)
		docs := w.docs()
		for i := range docs {
			if docs[i].Gen != uint64(i+1) || docs[i].Host != a.o.Identity.ID() || docs[i].Site != bus.DefaultSite || docs[i].Epoch != 1 {
				t.Errorf("document %d is stamped %+v", i, docs[i])
			}
			if i > 1 && docs[i].Digest != docs[1].Digest {
				t.Errorf("document %d differs", i)
			}
			if i > 0 && w.at[i].Sub(w.at[i-1]) > DefaultRefresh {
				t.Errorf("there were %s between documents", w.at[i].Sub(w.at[i-1]))
			}
		}
		if len(docs) < 8 || len(docs) > 9 { // 2 and one each 9 to 10 minutes
			t.Errorf("%d documents were published", len(docs))
		}
	})
}

func TestSlowSourceDelaysItselfOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fakeCollector{source: "storage", slow: time.Hour}
		quick := &fakeCollector{source: "network"}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{slow, quick}, Timeout: 20 * time.Second}), newFakeWire()
		defer begin(t, a, w)()
		pass(10 * time.Minute)
		if got := quick.count(); got < 18 {
			t.Errorf("beside a slow source there were %d passes over the other", got)
		}
		outcomes := map[string]inventory.Outcome{}
		for _, o := range w.docs() {
			outcomes[o.Source] = o.Outcome
		}
		if outcomes["network"] != inventory.OutcomeComplete || outcomes["storage"] != inventory.OutcomeFailed {
			t.Errorf("outcomes are %v", outcomes)
		}
	})
}

func TestHeartbeatsSayWhatIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network", links: []string{"eth0"}}
		a := newAgent(t, Options{Collectors: []collectors.Collector{c}, Version: "1.2", BootID: "boot", Hostname: func() string { return "hv1" }})
		w := newFakeWire()
		defer begin(t, a, w)()
		pass(5 * time.Minute)
		if n := len(w.beats); n < 27 || n > 34 {
			t.Errorf("%d heartbeats in 5 minutes", n)
		}
		gaps := map[time.Duration]bool{}
		for i := 1; i < len(w.beatAt); i++ {
			gap := w.beatAt[i].Sub(w.beatAt[i-1])
			gaps[gap] = true
			if gap < 9*time.Second || gap > 11*time.Second {
				t.Errorf("there were %s between heartbeats", gap)
			}
		}
		if len(gaps) < 10 {
			t.Error("heartbeats have no jitter")
		}
		beat, doc := w.lastBeat(t), w.docs()[len(w.docs())-1]
		want := bus.SourceState{Source: "network", Gen: doc.Gen, Digest: doc.Digest, Outcome: inventory.OutcomeComplete}
		if len(beat.Sources) != 1 || beat.Sources[0] != want || beat.Host != a.o.Identity.ID() || beat.Hostname != "hv1" || beat.Version != "1.2" ||
			beat.BootID != "boot" || beat.Epoch != 1 || beat.Incarnation != a.incarnation || beat.Interval != DefaultBeat || beat.Problem != "" {
			t.Errorf("heartbeat is %+v", beat)
		}
	})
}

func TestOnlyTheNewestIsKeptWhileTheServerIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network", links: []string{"eth0"}}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}}), newFakeWire()
		w.refuseWith(func(*inventory.Observation) error { return errAway })
		defer begin(t, a, w)()
		for _, links := range [][]string{{"eth0"}, {"eth0", "eth1"}, {"eth2"}} {
			c.show(links...)
			pass(time.Minute)
		}
		w.refuseWith(nil)
		pass(40 * time.Second) // the longest wait between two tries
		docs := w.docs()
		if len(docs) != 1 || len(docs[0].Links) != 1 || docs[0].Links[0].Name != "eth2" || docs[0].Gen != 3 {
			t.Fatalf("published was %+v", docs)
		}
	})
}

func TestReconnectSaysEverythingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "network"}, &fakeCollector{source: "storage"}}}), newFakeWire()
		defer begin(t, a, w)()
		synctest.Wait()
		w.again <- struct{}{}
		synctest.Wait()
		docs := w.docs()
		// In the order of their sources, whichever pass was done first.
		if len(docs) != 4 || w.forgotten != 1 || !slices.Contains(docs[:2], docs[2]) || !slices.Contains(docs[:2], docs[3]) || docs[2] == docs[3] {
			t.Errorf("%d documents were published and the stream forgotten %d times", len(docs), w.forgotten)
		}
	})
}

func TestOneDocumentThatIsRefusedKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "a-first"}, &fakeCollector{source: "z-last"}}})
		w := newFakeWire()
		w.refuseWith(func(o *inventory.Observation) error {
			if o.Source == "a-first" {
				return errAway
			}
			return nil
		})
		defer begin(t, a, w)()
		pass(time.Minute)
		if docs := w.docs(); len(docs) != 1 || docs[0].Source != "z-last" {
			t.Errorf("published was %+v", docs)
		}
	})
}

func TestDocumentTooLargeIsSaidInTheHeartbeatAndTriedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network", links: []string{"eth0"}}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}}), newFakeWire()
		tries := 0
		w.refuseWith(func(o *inventory.Observation) error {
			tries++
			return &bus.TooLargeError{Subject: o.Source, Size: 2, Limit: 1}
		})
		defer begin(t, a, w)()
		pass(5 * time.Minute)
		if tries != 1 {
			t.Errorf("it was tried %d times", tries)
		}
		if beat := w.lastBeat(t); !strings.Contains(beat.Sources[0].Problem, "max_payload") {
			t.Errorf("heartbeat is %+v", beat)
		}
		w.refuseWith(nil)
		c.show("eth1")
		pass(time.Minute)
		if beat := w.lastBeat(t); len(w.docs()) != 1 || beat.Sources[0].Problem != "" {
			t.Errorf("after it got smaller: %d documents, heartbeat %+v", len(w.docs()), beat)
		}
	})
}

func TestNothingIsPublishedWhileAnotherUsesTheIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network"}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}, BootID: "here"}), newFakeWire()
		defer begin(t, a, w)()
		synctest.Wait()
		stranger := bus.Heartbeat{Host: a.o.Identity.ID(), Site: bus.DefaultSite, Epoch: 7, Incarnation: uuid.New(), BootID: "here"}
		for i := range 10 { // the other one beats for 100 s
			c.show(strings.Repeat("x", i+1))
			a.heard(stranger)
			pass(10 * time.Second)
		}
		if got := len(w.docs()); got != 1 {
			t.Errorf("%d documents were published", got)
		}
		if beat := w.lastBeat(t); !strings.Contains(beat.Problem, "another agent publishes as host") {
			t.Errorf("heartbeat is %+v", beat)
		}
		pass(2 * time.Minute) // it was stopped
		docs := w.docs()
		if len(docs) < 2 || docs[len(docs)-1].Epoch != 8 || a.o.Identity.Epoch() != 8 {
			t.Fatalf("after it stopped, published is %+v", docs)
		}
		if !slices.IsSortedFunc(docs, func(x, y *inventory.Observation) int {
			if y.Supersedes(x) {
				return -1
			}
			return 1
		}) {
			t.Error("the order goes back")
		}
		if beat := w.lastBeat(t); beat.Problem != "" || beat.Epoch != 8 {
			t.Errorf("heartbeat is %+v", beat)
		}
	})
}

// An agent of another machine may be the one that the identity belongs to, or
// not: its silence says nothing about that.
func TestAgentOnAnotherMachineStopsUsForGood(t *testing.T) {
	for name, boots := range map[string][2]string{"another": {"here", "there"}, "not known": {"", ""}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &fakeCollector{source: "network"}
				a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}, BootID: boots[0]}), newFakeWire()
				defer begin(t, a, w)()
				synctest.Wait()
				stranger := bus.Heartbeat{Host: a.o.Identity.ID(), Site: bus.DefaultSite, Incarnation: uuid.New(), BootID: boots[0]}
				if boots[0] != "" {
					a.heard(stranger) // and one beside us, which is another matter
				}
				stranger.BootID, stranger.Incarnation = boots[1], uuid.New()
				a.heard(stranger)
				c.show("eth0")
				pass(time.Hour)
				if got := len(w.docs()); got != 1 {
					t.Errorf("%d documents were published", got)
				}
				if beat := w.lastBeat(t); !strings.Contains(beat.Problem, "on another machine") {
					t.Errorf("heartbeat is %+v", beat)
				}
			})
		})
	}
}

// Who hears nothing at all, being cut off or asleep, has not heard the other be
// silent.
func TestSilenceCountsOnlyWhileHeartbeatsComeThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &fakeCollector{source: "network"}
		a, w := newAgent(t, Options{Collectors: []collectors.Collector{c}, BootID: "here"}), newFakeWire()
		defer begin(t, a, w)()
		synctest.Wait()
		a.heard(bus.Heartbeat{Host: a.o.Identity.ID(), Site: bus.DefaultSite, Incarnation: uuid.New(), BootID: "here"})
		c.show("eth0")
		w.carry(nil)
		pass(time.Hour)
		if got := len(w.docs()); got != 1 {
			t.Errorf("%d documents were published", got)
		}
		w.carry(a.heard)
		pass(time.Minute)
		if got := len(w.docs()); got != 2 {
			t.Errorf("after it heard nobody %d documents were published", got)
		}
	})
}

func TestOwnHeartbeatIsNoStranger(t *testing.T) {
	a := newAgent(t, Options{Collectors: []collectors.Collector{&fakeCollector{source: "network"}}})
	a.heard(a.heartbeat())
	if a.clone.why() != "" {
		t.Error(a.clone.why())
	}
}

func TestAgentThatCannotWorkIsNotMade(t *testing.T) {
	id := newIdentity(t, t.TempDir())
	connect := func(context.Context) (*bus.Conn, error) { return nil, errAway }
	network := []collectors.Collector{&fakeCollector{source: "network"}}
	for name, o := range map[string]Options{
		"no collectors": {Identity: id, Connect: connect},
		"no identity":   {Collectors: network, Connect: connect},
		"no connection": {Collectors: network, Identity: id},
		"site":          {Collectors: network, Identity: id, Connect: connect, Site: "*"},
		"source":        {Collectors: []collectors.Collector{&fakeCollector{source: "a.b"}}, Identity: id, Connect: connect},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
}
