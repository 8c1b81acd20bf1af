// Package sourcetest is the conformance suite of every source of inventories:
// the same records make the same inventory, wherever they come from, and
// whatever befalls the source, what it said last stands with its age and the
// reason, and nothing is left out unsaid.
//
// It knows nothing of any source: each brings a [Backend].
package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/dataverket/avstem/sentral"
)

// Backend is what a source reads from, in a test's hands. Its source's polls and
// deadlines must be so short that nobody waits: within a second it tells of a
// change, within five that there is no answer.
type Backend struct {
	// Open makes a source that remembers nothing.
	Open func(t *testing.T) sentral.Source
	// Load makes the backend hold these records and nothing else, and mends it.
	Load func(t *testing.T, records Records)
	// Wrecks are what can befall it, by name. While one of them lasts, the source
	// can't be used. Each has words that the problem must hold.
	Wrecks []Wreck
	// Carries takes away what the source can't carry; nil says that it carries
	// everything.
	Carries func(*sentral.Inventory)
}

// Wreck is one thing that can befall a source.
type Wreck struct {
	Name string
	Do   func(t *testing.T)
	Says string // a part of what the problem says
}

// Run runs the suite. Make gives a fresh backend that holds nothing.
func Run(t *testing.T, make func(t *testing.T) *Backend) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *Backend)
	}{
		{"SameInventory", sameInventory},
		{"ManyRecords", manyRecords},
		{"BrokenRecord", brokenRecord},
		{"TwoOfOneID", twoOfOneID},
		{"Version", version},
		{"Watch", watch},
		{"Context", honoursContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, make(t)) })
	}
	for i, w := range make(t).Wrecks {
		t.Run("Wreck/"+strings.ReplaceAll(w.Name, " ", "-"), func(t *testing.T) {
			b := make(t)
			wrecked(t, b, b.Wrecks[i])
		})
		t.Run("WreckAtStart/"+strings.ReplaceAll(w.Name, " ", "-"), func(t *testing.T) {
			b := make(t)
			wreckedAtStart(t, b, b.Wrecks[i])
		})
	}
}

// within bounds whatever a source is waited for.
const within = 90 * time.Second

func read(t *testing.T, s sentral.Source) *sentral.Inventory {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	inv, err := s.Read(ctx)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return inv
}

// compare holds an inventory to what the records are to be read as.
func (b *Backend) compare(t *testing.T, got *sentral.Inventory, records Records) {
	t.Helper()
	want := records.Inventory(t)
	if b.Carries != nil {
		b.Carries(want)
	}
	if diff := cmp.Diff(want, got, sorted,
		cmpopts.IgnoreFields(sentral.Inventory{}, "Source", "Version", "ReadAt"),
		cmpopts.IgnoreFields(sentral.Problem{}, "Where"),
	); diff != "" {
		t.Errorf("inventory (-want +got):\n%s", diff)
	}
	if got.Source == "" || got.Version == "" || got.ReadAt.IsZero() {
		t.Errorf("source %q, version %q, read at %v: none may be empty", got.Source, got.Version, got.ReadAt)
	}
	for _, p := range got.Problems {
		if p.Where == "" {
			t.Errorf("a problem without its place: %s", p)
		}
	}
}

// sorted lets records stand in any order.
var sorted = cmp.Options{
	cmpopts.SortSlices(func(a, b sentral.Site) bool { return a.ID < b.ID }),
	cmpopts.SortSlices(func(a, b sentral.FailureDomain) bool { return a.ID < b.ID }),
	cmpopts.SortSlices(func(a, b sentral.Project) bool { return a.Tenant+a.ID < b.Tenant+b.ID }),
	cmpopts.SortSlices(func(a, b sentral.Image) bool { return a.ID+a.Version < b.ID+b.Version }),
	cmpopts.SortSlices(func(a, b sentral.Network) bool { return a.ID < b.ID }),
	cmpopts.SortSlices(func(a, b sentral.Host) bool { return a.ID < b.ID }),
	cmpopts.SortSlices(func(a, b sentral.VM) bool { return a.ID < b.ID }),
	cmpopts.SortSlices(func(a, b sentral.LeftOut) bool { return fmt.Sprint(a) < fmt.Sprint(b) }),
	cmpopts.SortSlices(func(a, b sentral.Problem) bool { return a.Record+a.Key < b.Record+b.Key }),
}

func sameInventory(t *testing.T, b *Backend) {
	records := Everything(t)
	b.Load(t, records)
	inv := read(t, b.Open(t))
	b.compare(t, inv, records)
	if len(inv.Problems) > 0 || inv.Incomplete || inv.Stale != "" {
		t.Errorf("problems %v, incomplete %v, stale %q", inv.Problems, inv.Incomplete, inv.Stale)
	}
}

// manyRecords doesn't fit on one page of anything.
func manyRecords(t *testing.T, b *Backend) {
	records := Everything(t).many(t, 2500)
	b.Load(t, records)
	inv := read(t, b.Open(t))
	if diff := cmp.Diff(vmIDs(records.Inventory(t)), vmIDs(inv)); diff != "" || inv.Incomplete {
		t.Errorf("incomplete: %v, VMs (-want +got):\n%s", inv.Incomplete, diff)
	}
	if b.Carries == nil && len(inv.Problems) > 0 {
		t.Errorf("%d problems, the first: %s", len(inv.Problems), inv.Problems[0])
	}
}

func brokenRecord(t *testing.T, b *Backend) {
	bad := vm(7)
	bad["vcpus"] = -1
	records := Everything(t).with(t, "vms", bad)
	b.Load(t, records)
	inv := read(t, b.Open(t))
	b.compare(t, inv, records)
	if len(inv.LeftOut) != 1 || inv.LeftOut[0].ID != bad["id"] || inv.Incomplete {
		t.Errorf("left out %v, incomplete %v: want the bad VM alone", inv.LeftOut, inv.Incomplete)
	}
	if len(inv.Problems) != 1 || inv.Problems[0].Key != "vcpus" || inv.Problems[0].Record != "vm "+bad["id"].(string) {
		t.Errorf("problems %v: want one about vcpus of the bad VM", inv.Problems)
	}
}

// twoOfOneID: neither can be trusted. In a bucket the key is the ID, so they
// claim one UUID.
func twoOfOneID(t *testing.T, b *Backend) {
	twin := vm(8)
	twin["runtimeID"] = "0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0002"
	records := Everything(t).with(t, "vms", twin)
	b.Load(t, records)
	inv := read(t, b.Open(t))
	if diff := cmp.Diff([]string{"0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0003", "web-01"}, vmIDs(inv)); diff != "" {
		t.Errorf("VMs that are used (-want +got):\n%s", diff)
	}
	if len(inv.LeftOut) != 2 || inv.Incomplete || len(inv.Problems) != 1 || !inv.Problems[0].Duplicate {
		t.Errorf("left out %v, problems %v: want both, and one problem", inv.LeftOut, inv.Problems)
	}
}

// version: the same records have one version, others another.
func version(t *testing.T, b *Backend) {
	b.Load(t, Everything(t))
	s := b.Open(t)
	first, again := read(t, s), read(t, s)
	if first.Version != again.Version {
		t.Errorf("the same records have versions %s and %s", first.Version, again.Version)
	}
	more := Everything(t).with(t, "vms", vm(1))
	b.Load(t, more)
	changed := read(t, s)
	if changed.Version == first.Version {
		t.Errorf("other records have the version %s too", first.Version)
	}
	b.compare(t, changed, more)
}

// watched is a running Watch.
type watched struct {
	told chan *sentral.Inventory
	stop context.CancelFunc
	end  chan struct{}
}

func startWatch(t *testing.T, s sentral.Source) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{make(chan *sentral.Inventory, 1000), cancel, make(chan struct{})}
	go func() {
		defer close(w.end)
		s.Watch(ctx, func(inv *sentral.Inventory) { w.told <- inv })
	}()
	t.Cleanup(func() { w.ended(t) })
	return w
}

func (w *watched) ended(t *testing.T) {
	w.stop()
	select {
	case <-w.end:
	case <-time.After(within):
		t.Error("Watch doesn't end with its context")
	}
}

// until waits for an inventory that is as asked.
func (w *watched) until(t *testing.T, what string, is func(*sentral.Inventory) bool) *sentral.Inventory {
	t.Helper()
	late := time.After(within)
	var last *sentral.Inventory
	for {
		select {
		case inv := <-w.told:
			if is(inv) {
				return inv
			}
			last = inv
		case <-late:
			if last != nil {
				t.Fatalf("waited for %s; the last: %d VMs, stale %q, problems %v", what, len(last.VMs), last.Stale, last.Problems)
			}
			t.Fatalf("waited for %s, and nothing came", what)
		}
	}
}

func has(id any) func(*sentral.Inventory) bool {
	return func(inv *sentral.Inventory) bool { return inv.Stale == "" && slices.Contains(vmIDs(inv), id.(string)) }
}

func watch(t *testing.T, b *Backend) {
	b.Load(t, Everything(t))
	w := startWatch(t, b.Open(t))
	w.until(t, "the inventory", has("web-01"))
	for n := range 3 {
		records := Everything(t).with(t, "vms", vm(n))
		b.Load(t, records)
		b.compare(t, w.until(t, fmt.Sprintf("change %d", n), has(vm(n)["id"])), records)
	}
	b.Load(t, Everything(t))
	w.until(t, "a VM to go", func(inv *sentral.Inventory) bool { return !has(vm(2)["id"])(inv) && has("web-01")(inv) })
	b.Load(t, Everything(t)) // says nothing new
	select {
	case inv := <-w.told:
		t.Errorf("told of the same twice: version %s, problems %v", inv.Version, inv.Problems)
	case <-time.After(300 * time.Millisecond):
	}
}

func honoursContext(t *testing.T, b *Backend) {
	b.Load(t, Everything(t))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := b.Open(t).Read(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("read with a context that has ended: %v", err)
	}
}

// wrecked: the last inventory stands, whole, with its age and the reason; then
// the source comes back.
func wrecked(t *testing.T, b *Backend, wreck Wreck) {
	records := Everything(t)
	b.Load(t, records)
	w := startWatch(t, b.Open(t))
	good := w.until(t, "the inventory", has("web-01"))
	wreck.Do(t)
	stale := w.until(t, "word that the source can't be used", func(inv *sentral.Inventory) bool { return inv.Stale != "" })
	if diff := cmp.Diff(good, stale, cmpopts.IgnoreFields(sentral.Inventory{}, "ReadAt", "Stale", "Problems", "Incomplete")); diff != "" {
		t.Errorf("what stands is not what was read last (-good +stale):\n%s", diff)
	}
	if stale.ReadAt.IsZero() || stale.ReadAt.After(time.Now()) || !stale.Incomplete {
		t.Errorf("read at %v, incomplete %v: want the time of the last good one, and nothing concluded from what isn't there", stale.ReadAt, stale.Incomplete)
	}
	if n := len(stale.Problems); n != len(good.Problems)+1 || !strings.Contains(stale.Problems[n-1].Error, "is used)") {
		t.Errorf("problems %v: want one that says which inventory is used", stale.Problems)
	}
	if !strings.Contains(stale.Stale, wreck.Says) {
		t.Errorf("it says %q, and not %q", stale.Stale, wreck.Says)
	}
	t.Log(stale.Stale)
	records = records.with(t, "vms", vm(3))
	b.Load(t, records)
	back := w.until(t, "the source to come back", has(vm(3)["id"]))
	b.compare(t, back, records)
}

// wreckedAtStart: there is nothing to stand on, and that is said.
func wreckedAtStart(t *testing.T, b *Backend, wreck Wreck) {
	b.Load(t, Everything(t))
	s := b.Open(t) // before: a directory that is not there can't be opened
	wreck.Do(t)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if inv, err := s.Read(ctx); err == nil {
		t.Errorf("read %d VMs of what can't be used", len(inv.VMs))
	} else if !strings.Contains(err.Error(), wreck.Says) {
		t.Errorf("it says %q, and not %q", err, wreck.Says)
	}
	w := startWatch(t, s)
	inv := w.until(t, "word that the source can't be used", func(inv *sentral.Inventory) bool { return inv.Stale != "" })
	if !inv.ReadAt.IsZero() || len(inv.VMs) > 0 || !inv.Incomplete || len(inv.Problems) != 1 {
		t.Errorf("read at %v, %d VMs, incomplete %v, problems %v: want nothing, and one problem", inv.ReadAt, len(inv.VMs), inv.Incomplete, inv.Problems)
	}
	b.Load(t, Everything(t))
	w.until(t, "the source to come", has("web-01"))
}
