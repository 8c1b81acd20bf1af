// Package history makes long and nasty histories for tests: hosts and records whose
// IDs, names, addresses, serials and disks are drawn from pools so small that
// everything collides with everything.
//
// A [World] is both books as they stand. [World.Change] changes one thing of it, as
// drawn; the same draws give the same history.
package history

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// Begin is when every history begins.
var Begin = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// Pick draws a number below n.
type Pick func(n int) int

// World is both books.
type World struct {
	Now       time.Time
	Documents map[Key]reconcile.Document
	Heard     map[uuid.UUID]time.Time
	Inventory *sentral.Inventory
	Refused   []reconcile.Refusal
	Speakers  map[uuid.UUID][]reconcile.Speaker
	Tasks     []reconcile.Task
	Gaps      []reconcile.Gap
	Clocks    map[uuid.UUID]time.Duration
	Policy    reconcile.Policy

	pick Pick
	gens map[Key]uint64
}

// Key is where a document is from.
type Key struct {
	Host   uuid.UUID
	Source string
}

// Change is one change. Exactly one of its fields is set.
type Change struct {
	Document *inventory.Observation // a newer one, which came at the world's time
	Heard    uuid.UUID              // a host that speaks
	Gone     uuid.UUID              // a host that is forgotten with all that it said
	Intended *sentral.Inventory
	Refused  *[]reconcile.Refusal
	Speakers *map[uuid.UUID][]reconcile.Speaker
	Task     *reconcile.Task // one of Maskin's begins or ends
	Gaps     *[]reconcile.Gap
	Clocks   *map[uuid.UUID]time.Duration
	Policy   *reconcile.Policy
	Passed   time.Duration
}

// String says in a line what it is.
func (c Change) String() string {
	var value any = c.Passed
	switch {
	case c.Document != nil:
		value = c.Document
	case c.Intended != nil:
		value = c.Intended
	case c.Refused != nil:
		value = c.Refused
	case c.Speakers != nil:
		value = c.Speakers
	case c.Task != nil:
		value = c.Task
	case c.Gaps != nil:
		value = c.Gaps
	case c.Clocks != nil:
		value = c.Clocks
	case c.Policy != nil:
		value = c.Policy
	case c.Heard != uuid.Nil:
		value = map[string]uuid.UUID{"heard": c.Heard}
	case c.Gone != uuid.Nil:
		value = map[string]uuid.UUID{"gone": c.Gone}
	default:
		value = c.Passed.String()
	}
	text, err := json.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// New makes an empty world.
func New(pick Pick) *World {
	return &World{
		Now: Begin, Documents: map[Key]reconcile.Document{}, Heard: map[uuid.UUID]time.Time{}, Inventory: &sentral.Inventory{},
		Policy: reconcile.DefaultPolicy(), pick: pick, gens: map[Key]uint64{},
	}
}

// Input is the world as a full pass takes it.
func (w *World) Input() reconcile.Input {
	in := reconcile.Input{Intended: w.Inventory, Heard: w.Heard, Refused: w.Refused, Speakers: w.Speakers, Tasks: w.Tasks, Gaps: w.Gaps, Clocks: w.Clocks, Policy: w.Policy, Now: w.Now}
	for _, doc := range w.Documents {
		in.Observed = append(in.Observed, doc)
	}
	return in
}

// Change changes one thing.
func (w *World) Change() Change {
	switch n := w.pick(100); {
	case n < 44:
		return w.document()
	case n < 58:
		return w.hear()
	case n < 76:
		return w.intend()
	case n < 89:
		return w.pass()
	case n < 93:
		return w.task()
	case n < 94:
		return w.refuse()
	case n < 95:
		return w.speak()
	case n < 97:
		return w.misheard()
	case n < 98:
		return w.forget()
	}
	return w.judge()
}

func (w *World) hear() Change {
	host := w.host()
	w.Heard[host] = w.Now
	return Change{Heard: host}
}

func (w *World) forget() Change {
	host := w.host()
	for key := range w.Documents {
		if key.Host == host {
			delete(w.Documents, key)
		}
	}
	return Change{Gone: host}
}

func (w *World) pass() Change {
	d := one(w, time.Second, 4*time.Second, 10*time.Second, 29*time.Second, 31*time.Second, time.Minute, 10*time.Minute, 26*time.Minute)
	w.Now = w.Now.Add(d)
	if w.pick(2) > 0 { // most hosts speak all the time
		silent := w.pick(len(hosts))
		for i, host := range hosts {
			if _, speaks := w.Heard[host]; speaks && i != silent {
				w.Heard[host] = w.Now
			}
		}
	}
	return Change{Passed: d}
}

func (w *World) refuse() Change {
	w.Refused = slices.Clone(w.Refused)
	if len(w.Refused) > 2 || w.pick(3) == 0 && len(w.Refused) > 0 {
		w.Refused = w.Refused[1:]
	} else {
		w.Refused = append(w.Refused, reconcile.Refusal{Host: one(w, append(hosts, uuid.Nil)...), Site: w.site(), Source: one(w, "", "network", "runtime-libvirt"), Reason: one(w, "too large", "no UUID"), At: w.Now})
	}
	return Change{Refused: &w.Refused}
}

func (w *World) speak() Change {
	all := map[uuid.UUID][]reconcile.Speaker{}
	for range w.pick(3) {
		all[w.host()] = []reconcile.Speaker{{Site: w.site(), Hostname: w.hostname(), BootID: one(w, "a", "b")}, {Hostname: w.hostname(), BootID: "b"}}
	}
	w.Speakers = all
	return Change{Speakers: &all}
}

func (w *World) task() Change {
	t := reconcile.Task{ID: fmt.Sprint("t", w.pick(40)), VM: one(w, one(w, vmIDs...).String(), one(w, vmIDs...).String(), "WEB-record"),
		Action: one(w, reconcile.ActionStart, reconcile.ActionStop, reconcile.ActionDelete, reconcile.ActionResize, reconcile.ActionAttach, reconcile.ActionMigrate, reconcile.ActionCreate),
		State:  one(w, reconcile.TaskRunning, reconcile.TaskSucceeded, reconcile.TaskSucceeded, reconcile.TaskFailed), Deadline: w.Now.Add(time.Minute)}
	w.Tasks = reconcile.TakeTask(w.Tasks, t, w.Now)
	return Change{Task: &t}
}

// misheard gives other documents that didn't arrive, or other clocks.
func (w *World) misheard() Change {
	if w.pick(2) == 0 {
		w.Clocks = map[uuid.UUID]time.Duration{}
		for range w.pick(3) {
			w.Clocks[w.host()] = one(w, time.Second, 10*time.Second, -time.Hour)
		}
		return Change{Clocks: &w.Clocks}
	}
	w.Gaps = few(w, 3, func() reconcile.Gap {
		return reconcile.Gap{Host: w.host(), Site: w.site(), Source: one(w, "network", "runtime-libvirt"), Held: one(w, "", "epoch 1, gen 2"), Since: w.Now, Problem: one(w, "", "too large"), Vanished: w.pick(3) == 0}
	})
	return Change{Gaps: &w.Gaps}
}

func (w *World) judge() Change {
	policy := reconcile.DefaultPolicy()
	policy.StaleAfter = one(w, 30*time.Second, time.Minute)
	policy.DocumentAge = one(w, 25*time.Minute, 5*time.Minute)
	policy.Severity = one(w, nil, map[reconcile.Kind]reconcile.Severity{reconcile.VMMissing: reconcile.Low})
	policy.Grace = one(w, nil, map[reconcile.Kind]time.Duration{reconcile.VMMissing: 0, reconcile.NICVLAN: time.Minute})
	policy.Mass.Records = one(w, 10, 1, 2) // a world has few VMs
	w.Policy = policy
	return Change{Policy: &policy}
}

// one draws one of several.
func one[T any](w *World, from ...T) T { return from[w.pick(len(from))] }

// some draws it or nothing.
func some[T any](w *World, value T) *T {
	if w.pick(3) == 0 {
		return nil
	}
	return &value
}

// few draws up to n.
func few[T any](w *World, n int, make func() T) []T {
	var all []T
	for range w.pick(n + 1) {
		all = append(all, make())
	}
	return all
}

var hosts = func() (all []uuid.UUID) {
	for i := range 5 {
		all = append(all, uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "host ", i)))
	}
	return all
}()

var vmIDs = func() (all []uuid.UUID) {
	for i := range 7 {
		all = append(all, uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Append(nil, "vm ", i)))
	}
	return all
}()

func (w *World) host() uuid.UUID { return one(w, hosts...) }
func (w *World) site() string    { return one(w, "osl1", "osl1", "osl1", "trd1", "") }
func (w *World) tenant() string  { return one(w, "acme", "acme", "umbrella") }
func (w *World) project() string { return one(w, "web", "web", "db") }
func (w *World) hostname() string {
	return one(w, "hv1", "hv2", "hv3.example.org", "localhost", "")
}
func (w *World) name() string   { return one(w, "web-1", "web-2", "web-3", "db-1", "") }
func (w *World) serial() string { return one(w, "S1", "s1", "S2", "S3", "", "Default string") }
func (w *World) wwn() string {
	return one(w, "", "", "5002538e00000001", "naa.5002538e00000001", "5002538e00000002")
}

func (w *World) vmID() uuid.UUID {
	id := one(w, vmIDs...)
	switch w.pick(12) {
	case 0:
		return inventory.SwapUUID(id)
	case 1:
		return uuid.Nil
	case 2:
		return uuid.MustParse("03000200-0400-0500-0006-000700080009")
	}
	return id
}

func (w *World) mac() inventory.MAC {
	if w.pick(8) == 0 {
		return inventory.MAC{}
	}
	return inventory.MAC{0x52, 0x54, 0, 0, 0, byte(1 + w.pick(6))}
}

func (w *World) machine() uuid.UUID {
	return one(w, uuid.Nil, uuid.NameSpaceDNS, uuid.NameSpaceURL, inventory.SwapUUID(uuid.NameSpaceDNS), uuid.NameSpaceOID)
}
