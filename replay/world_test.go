package replay

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
	"github.com/dataverket/avstem/sentral"
)

var start = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

const (
	beatEvery    = 10 * time.Second
	refreshEvery = 10 * time.Minute
	// between is when Sentral and policies change: between two ticks, as which of two
	// things at one moment comes first isn't kept.
	between = 500 * time.Millisecond
)

// world is a site with its agents, its reconciler and what NATS would keep of both,
// which is made up, a second a tick.
type world struct {
	tb     testing.TB
	now    time.Time
	live   *engine.Engine
	policy reconcile.Policy
	hosts  []*machine
	inv    *sentral.Inventory
	off    bool // everything is: the site is one machine that sleeps
	sleeps []Away

	documents []history.Entry // as AVSTEM_OBSERVED keeps them
	intended  []history.Entry
	events    []history.Event
	kept      map[sentral.RecordID]string
	gather    time.Time
	version   int
}

// machine is a host with its agent.
type machine struct {
	id         uuid.UUID
	name       string
	epoch, gen uint64
	vms        []inventory.VM
	failing    bool
	dead       time.Time // until when
	doc        *inventory.Observation
	said       time.Time
	beaten     time.Time
	changed    bool
}

func machineID(i int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("6f1c2a52-8a8e-4b57-9a3b-3c1d52a0e0%02d", i))
}
func vmID(i int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c00%02d", i))
}

// newWorld begins with hosts of two VMs each, which agree with their records.
func newWorld(tb testing.TB, hosts int, policy reconcile.Policy) *world {
	w := &world{tb: tb, now: start, policy: policy, live: engine.New("lab", policy), kept: map[sentral.RecordID]string{}}
	w.inv = &sentral.Inventory{Source: "test", Sites: []sentral.Site{{ID: "lab"}}, Projects: []sentral.Project{{Tenant: "acme", ID: "web"}}}
	for i := range hosts {
		m := &machine{id: machineID(i), name: fmt.Sprintf("hv-%02d", i), epoch: 1}
		w.hosts = append(w.hosts, m)
		w.inv.Hosts = append(w.inv.Hosts, sentral.Host{ID: m.name, HostID: m.id, Name: m.name, Site: "lab", State: sentral.HostActive, Platform: "libvirt"})
		for j := 2 * i; j < 2*i+2; j++ {
			two := 2
			name := fmt.Sprintf("web-%02d", j)
			w.inv.VMs = append(w.inv.VMs, sentral.VM{ID: vmID(j).String(), Name: name, Tenant: "acme", Project: "web", Site: "lab", Host: m.name,
				State: sentral.VMRunning, VCPUs: &two})
			m.vms = append(m.vms, inventory.VM{UUID: vmID(j), Name: name, State: inventory.StateRunning, VCPUs: &two,
				Placement: &inventory.Placement{VM: vmID(j).String(), Tenant: "acme", Project: "web"}})
		}
	}
	w.intend(func(*sentral.Inventory) {})
	w.decide(policy)
	w.live.Delivered()
	w.live.Listen(w.now)
	return w
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(time.Second)
		if w.off {
			continue
		}
		for _, m := range w.hosts {
			w.run(m)
		}
		if !w.gather.IsZero() && w.gather.Before(w.now) { // between two ticks
			w.step(w.gather)
		}
		w.step(w.now)
	}
}

func (w *world) step(at time.Time) {
	w.gather = time.Time{}
	if !w.live.Due(at) {
		return
	}
	for _, e := range w.live.Step(at).Events {
		w.events = append(w.events, history.Event{At: at.Add(3 * time.Millisecond), Action: string(e.Change), Finding: copied(w.tb, e.Finding)})
	}
}

// copied is a finding as it comes from a stream.
func copied(tb testing.TB, f reconcile.Finding) (back reconcile.Finding) {
	tb.Helper()
	data, err := json.Marshal(f)
	if err == nil {
		err = json.Unmarshal(data, &back)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return back
}

// run is a second of an agent's.
func (w *world) run(m *machine) {
	if w.now.Before(m.dead) {
		return
	}
	if m.doc == nil || m.changed || w.now.Sub(m.said) >= refreshEvery {
		w.publish(m)
	}
	if w.now.Sub(m.beaten) >= beatEvery {
		m.beaten = w.now
		w.live.Hear(engine.Heartbeat{Host: m.id, Site: "lab", At: w.now, Epoch: m.epoch, Sources: []engine.SourceState{
			{Source: m.doc.Source, Position: engine.Position{Epoch: m.doc.Epoch, Gen: m.doc.Gen, Digest: m.doc.Digest}}}})
	}
}

func (w *world) publish(m *machine) {
	m.gen++
	body := inventory.Body{Runtime: &inventory.Runtime{Name: "libvirt-qemu", Platform: "libvirt"}, VMs: slices.Clone(m.vms)}
	o := &inventory.Observation{Schema: inventory.Schema, Host: m.id, Site: "lab", Source: "runtime-libvirt", Epoch: m.epoch, Gen: m.gen,
		ObservedAt: w.now, Outcome: inventory.OutcomeComplete, Complete: true, Body: body}
	if m.failing {
		o.Outcome, o.Complete, o.VMs = inventory.OutcomeFailed, false, nil
		o.Problems = []inventory.Problem{{Call: "virConnectOpen", Why: inventory.WhyBroken, Error: "timed out"}}
	}
	if err := o.Seal(); err != nil {
		w.tb.Fatal(err)
	}
	m.doc, m.said, m.changed = o, w.now, false
	w.documents = append(w.documents, history.Document(o, "AVSTEM_OBSERVED", uint64(len(w.documents)+1), w.now))
	w.live.Observe(o, w.now.Add(2*time.Millisecond))
	w.gather = w.now.Add(settle + 2*time.Millisecond)
}

// die has a host be silent for so long.
func (w *world) die(m *machine, d time.Duration) { m.dead = w.now.Add(d) }

// restart has an agent begin again.
func (w *world) restart(m *machine) {
	m.epoch, m.gen, m.changed = m.epoch+1, 0, true
}

// sleep has the whole site sleep for so long. Not when something is about to open:
// nobody knows to the second when it fell asleep.
func (w *world) sleep(d time.Duration) {
	for w.live.Next().Sub(w.now) < 4*time.Second {
		w.pass(time.Second)
	}
	w.sleeps = append(w.sleeps, Away{w.now, w.now.Add(d)})
	w.live.Deafen(w.now)
	w.off = true
	w.pass(d)
	w.off = false
	w.live.Listen(w.now)
	for _, m := range w.hosts {
		w.restart(m)
	}
}

// intend has Sentral say something else.
func (w *world) intend(change func(*sentral.Inventory)) {
	w.version++
	data, err := json.Marshal(w.inv)
	if err != nil {
		w.tb.Fatal(err)
	}
	next := &sentral.Inventory{}
	if err := json.Unmarshal(data, next); err != nil {
		w.tb.Fatal(err)
	}
	change(next)
	next.Source, next.Version, next.ReadAt = "test", fmt.Sprint(w.version), w.now
	w.inv = next
	w.live.Intend(next)
	_, _ = w.live.Confirm("") // somebody does at once, if it is held back
	w.gather = w.now.Add(between + settle)
	there := map[sentral.RecordID]bool{}
	for e := range history.Said(next) {
		w.write(e, there)
	}
	for id := range w.kept {
		if !there[id] && id.Type != history.PolicyID.Type {
			w.write(history.Entry{Gone: true, Cause: history.Cause{Side: history.Intended, Type: id.Type, ID: id.ID, Version: next.Version}}, there)
		}
	}
}

// decide has the reconciler judge by another policy.
func (w *world) decide(p reconcile.Policy) {
	w.policy = p
	w.live.Judge(p)
	w.gather = w.now.Add(between + settle)
	w.write(history.Judged(p), map[sentral.RecordID]bool{})
}

// write keeps an entry unless it is what is kept.
func (w *world) write(e history.Entry, there map[sentral.RecordID]bool) {
	id := sentral.RecordID{Type: e.Type, ID: e.ID}
	there[id] = true
	text, left, err := e.Content()
	if err != nil {
		w.tb.Fatal(err)
	}
	if w.kept[id] == string(text) && !e.Gone {
		return
	}
	if e.Gone {
		delete(w.kept, id)
	} else {
		w.kept[id] = string(text)
	}
	back := history.Entry{Cause: e.Cause}
	if err := back.SetContent(text, left); err != nil {
		w.tb.Fatal(err)
	}
	back.At = w.now.Add(between + time.Duration(len(w.intended)%100)*time.Millisecond/10)
	w.intended = append(w.intended, back)
}

// start gives what a replay of the world from a time on begins with.
func (w *world) start(begin time.Time) Start {
	s := Start{Site: "lab", At: begin, Books: history.NewBooks(), Recorded: NewRecorded(begin, w.now), Then: reconcile.DefaultPolicy()}
	for _, e := range w.intended {
		if e.At.After(begin) {
			s.Intended = append(s.Intended, e)
		} else {
			s.Books.Take(e)
		}
	}
	for _, e := range w.documents {
		if !e.At.After(begin) {
			s.Books.Take(e)
		}
	}
	for _, e := range w.events {
		if e.At.After(begin) {
			s.Recorded.Event(e)
		}
	}
	for _, f := range w.live.Findings() {
		s.Recorded.Kept(copied(w.tb, f))
	}
	if by := s.Books.Policy(); by != nil {
		s.Then = *by
	}
	return s
}

// replay replays it from a time on, by a policy.
func (w *world) replay(begin time.Time, tried reconcile.Policy, against *reconcile.Policy) *Comparison {
	w.tb.Helper()
	s := w.start(begin)
	s.Tried, s.Against = tried, against
	r := New(s)
	for _, e := range w.documents {
		if e.At.After(begin) {
			if err := r.Take(w.tb.Context(), e); err != nil {
				w.tb.Fatal(err)
			}
		}
	}
	out, err := r.End(w.tb.Context(), w.now)
	if err != nil {
		w.tb.Fatal(err)
	}
	return Compare([]*Outcome{out}, Options{Asked: begin, Until: w.now, Policy: "new.yaml", Tried: tried})
}
