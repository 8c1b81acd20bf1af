package server

import (
	"fmt"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// A host whose clock is an hour behind is judged like any other, and the clock is
// found; so is a document of which it speaks and that isn't there.
func TestWrongClockAndLostDocument(t *testing.T) {
	r := newRig(t)
	r.skew = -time.Hour
	r.shows(2)
	r.reconciler(nil)
	found := func(kind reconcile.Kind, so func(*reconcile.Finding) bool) func() error {
		return func() error {
			findings, lines, err := r.stored()
			if err != nil {
				return err
			}
			for _, f := range findings {
				if f.Kind == kind && so(&f) {
					return nil
				}
			}
			return fmt.Errorf("there are %v", lines)
		}
	}
	r.until("the clock is found", found(reconcile.ObserveClock, func(f *reconcile.Finding) bool {
		return f.State != reconcile.Resolved && f.Observed == "at least 42m40s behind"
	}))
	r.shows(4) // newer by (epoch, gen), whatever the clock says
	r.until("the newer document is judged", found(reconcile.VMVCPUs, func(f *reconcile.Finding) bool { return fmt.Sprint(f.Observed) == "4" }))
	r.lost = []bus.SourceState{{Source: "network", Gen: 7, Digest: "sha256:lost"}}
	r.until("the gap is found", found(reconcile.ObserveGap, func(f *reconcile.Finding) bool {
		return f.Field == "network" && f.State != reconcile.Resolved
	}))
}

// What passes while nobody tries the connection is no time in which hosts were
// silent: a process that was stopped, a machine that slept, a clock that was set.
func TestHearingBreaks(t *testing.T) {
	begin := time.Now().UTC()
	for _, c := range []struct {
		name   string
		after  time.Duration // since it was tried last
		broken bool
	}{
		{"a moment", time.Second, false},
		{"a try that took as long as it may", listenEvery + listenWithin, false},
		{"a minute", time.Minute, true},
		{"a clock that was put right by little", -time.Second, false},
		{"a clock that was set back", -time.Hour, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h hearing
			if broken, _ := h.breaks(begin); broken {
				t.Error("it is broken before it was tried")
			}
			h.note(begin, true)
			now := begin.Add(c.after)
			broken, news := h.breaks(now)
			if broken != c.broken || news != c.broken {
				t.Errorf("broken: %v, news: %v", broken, news)
			}
			if again, news := h.breaks(now); again != c.broken || news {
				t.Errorf("asked again: broken: %v, news: %v", again, news)
			}
			h.note(now, false)
			if broken, _ := h.breaks(now.Add(time.Second)); broken {
				t.Error("it is broken once it was tried again")
			}
			if !h.last().Equal(begin) {
				t.Errorf("heard last: %s", h.last())
			}
		})
	}
}

// One that was held up for longer than hosts may be silent says nothing of them: it
// hears them first.
func TestHeldUpReconcilerFindsNobodySilent(t *testing.T) {
	r := &rig{t: t, cpus: 2}
	var log logs
	s := New(Options{Site: "lab", Policy: reconcile.DefaultPolicy(), Logger: log.logger()})
	begin := time.Now().UTC()
	s.engine.Intend(r.books())
	doc := &inventory.Observation{Schema: inventory.Schema, Host: hostID, Site: "lab", Source: "network", Epoch: 1, Gen: 1, ObservedAt: begin,
		Outcome: inventory.OutcomeComplete, Complete: true}
	s.engine.Observe(doc, begin)
	s.engine.Delivered()
	beat := func(at time.Time) {
		s.engine.Hear(heartbeat(bus.Heartbeat{Host: hostID, Site: "lab", Epoch: 1, Incarnation: agentID, At: at,
			Sources: []bus.SourceState{{Source: doc.Source, Gen: doc.Gen, Digest: doc.Digest}}}, at))
	}
	listen := func(at time.Time) {
		s.checkHearing(at)
		s.hearing.note(at, true)
		s.engine.Listen(at)
	}
	listen(begin)
	beat(begin)
	if out := s.engine.Step(begin); out.Waiting != "" {
		t.Fatal(out.Waiting)
	}
	// Whichever comes first when it goes on: a step, or a look at the connection.
	for i, first := range []func(time.Time){s.checkHearing, listen} {
		now := begin.Add(time.Duration(i+1) * time.Minute)
		first(now)
		if out := s.engine.Step(now); out.Waiting == "" && len(out.Events) > 0 {
			t.Errorf("it judges before it has heard anybody: %+v", out.Events)
		}
		listen(now.Add(time.Second))
		beat(now.Add(2 * time.Second))
		out := s.engine.Step(now.Add(3 * time.Second))
		for _, e := range out.Events {
			if e.Finding.Kind == reconcile.HostStale || e.Finding.Kind == reconcile.ObserveSilence {
				t.Errorf("%s %s: %s", e.Change, e.Finding.Kind, e.Finding.Message)
			}
		}
		if out.Waiting != "" {
			t.Errorf("it waits: %s", out.Waiting)
		}
	}
	if !log.has("held up") {
		t.Error("it doesn't say so")
	}
}
