package collectorstest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// scripted is a collector made of a function.
type scripted struct {
	name    string
	table   []inventory.Capability
	collect func(ctx context.Context, b *collectors.Builder) error
}

func (s *scripted) Source() string                       { return s.name }
func (s *scripted) Capabilities() []inventory.Capability { return s.table }
func (s *scripted) Collect(ctx context.Context, b *collectors.Builder) error {
	return s.collect(ctx, b)
}

func known(fields ...inventory.Field) []inventory.Capability {
	var table []inventory.Capability
	for _, f := range fields {
		table = append(table, inventory.Capability{Field: f, From: "/etc/" + string(f), Known: inventory.KnownDirect, Change: inventory.ChangeByPoll})
	}
	return table
}

var errSource = &collectors.SourceError{Call: "open /dev/source", Why: inventory.WhyAbsent, Remedy: "plug it in",
	Err: fmt.Errorf("no such device: %w", collectors.ErrAbsent)}

// sound is a collector that keeps every rule; a bad one differs from it in one
// thing.
func sound(change func(*scripted)) Make {
	return func(*testing.T) collectors.Collector {
		c := &scripted{name: "scripted", table: known("link.kind", "link.name")}
		c.collect = func(ctx context.Context, b *collectors.Builder) error {
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("list links: %w", err)
			}
			b.Link(inventory.Link{Name: "eth0", Kind: "physical"})
			b.Enumerated()
			return nil
		}
		if change != nil {
			change(c)
		}
		return c
	}
}

// then adds a step to what a sound collector does in a pass.
func then(step func(*collectors.Builder)) func(*scripted) {
	return func(c *scripted) {
		before := c.collect
		c.collect = func(ctx context.Context, b *collectors.Builder) error {
			err := before(ctx, b)
			step(b)
			return err
		}
	}
}

func instead(collect func(ctx context.Context, b *collectors.Builder) error) func(*scripted) {
	return func(c *scripted) { c.collect = collect }
}

func returning(err error) Make {
	return sound(instead(func(context.Context, *collectors.Builder) error { return err }))
}

func hang(ctx context.Context, b *collectors.Builder) error {
	b.Link(inventory.Link{Name: "eth0", Kind: "physical"})
	<-ctx.Done()
	return fmt.Errorf("wait for an answer: %w", ctx.Err())
}

func TestSoundCollectorPasses(t *testing.T) {
	Run(t, sound(nil), Absent(returning(errSource)), Down(returning(errors.New("connection refused"))), Hanging(sound(instead(hang))))
}

func TestRulesCatch(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	deaf := func(context.Context, *collectors.Builder) error { <-release; return nil }
	var busy atomic.Bool
	met := make(chan struct{})
	var leaked []*os.File
	t.Cleanup(func() {
		for _, f := range leaked {
			f.Close()
		}
	})

	tests := []struct {
		name string
		bad  func(*scripted)
		rule string // the one that must be broken
	}{
		{"source with a space", func(c *scripted) { c.name = "my source" }, "source has a name"},
		{"source of two tokens", func(c *scripted) { c.name = "runtime.libvirt" }, "source has a name"},
		{"no capabilities", func(c *scripted) { c.table = nil }, "capabilities are a table"},
		{"unsorted", func(c *scripted) { c.table = known("link.name", "link.kind") }, "capabilities are a table"},
		{"field twice", func(c *scripted) { c.table = known("link.kind", "link.kind", "link.name") }, "capabilities are a table"},
		{"unknown field", func(c *scripted) { c.table = known("link.colour", "link.kind", "link.name") }, "capabilities are a table"},
		{"no origin", func(c *scripted) { c.table[0].From = "" }, "capabilities are a table"},
		{"no way of change", func(c *scripted) { c.table[0].Change = "" }, "capabilities are a table"},
		{"unknown way of knowing", func(c *scripted) { c.table[0].Known = "guessed" }, "capabilities are a table"},
		{"table grows", func(c *scripted) {
			then(func(*collectors.Builder) { c.table = append(slices.Clone(c.table), known("link.up")...) })(c)
		}, "capabilities are a table"},
		{"panic", then(func(*collectors.Builder) { panic("nil map") }), "observation is sound"},
		{"misuse", then(func(b *collectors.Builder) { b.Link(inventory.Link{Name: "eth0"}) }), "observation is sound"},
		{"problem without a call", then(func(b *collectors.Builder) { b.Problem(inventory.Problem{Error: "it broke", Why: inventory.WhyBroken}) }), "observation is sound"},
		{"problem of unknown kind", then(func(b *collectors.Builder) { b.Problem(inventory.Problem{Call: "c", Error: "e", Why: "mood"}) }), "observation is sound"},
		{"unreadable document", then(func(b *collectors.Builder) {
			vlan := inventory.VLAN(4095)
			b.Link(inventory.Link{Name: "eth1", Kind: "vlan", VLAN: &vlan})
		}), "observation is sound"},
		{"source that isn't there", instead(func(context.Context, *collectors.Builder) error { return errSource }), "observation is sound"},
		{"undeclared field", then(func(b *collectors.Builder) { b.Link(inventory.Link{Name: "eth1", Kind: "vlan", Parent: "eth0"}) }), "what is reported is declared"},
		{"field declared absent", func(c *scripted) { c.table[0].Known = inventory.KnownAbsent }, "what is reported is declared"},
		{"nothing reported", instead(func(_ context.Context, b *collectors.Builder) error { b.Enumerated(); return nil }), "what is reported is declared"},
		{"every pass differs", func(c *scripted) {
			n := 0
			then(func(b *collectors.Builder) { n++; b.Link(inventory.Link{Name: fmt.Sprint("tap", n), Kind: "tun"}) })(c)
		}, "same state gives same digest"},
		{"heeds no cancel", instead(func(_ context.Context, b *collectors.Builder) error { b.Enumerated(); return nil }), "cancelled pass ends"},
		{"deaf to cancel", func(c *scripted) {
			before := c.collect
			c.collect = func(ctx context.Context, b *collectors.Builder) error {
				if ctx.Err() != nil {
					return deaf(ctx, b)
				}
				return before(ctx, b)
			}
		}, "cancelled pass ends"},
		{"broken for good", func(c *scripted) {
			before, broken := c.collect, false
			c.collect = func(ctx context.Context, b *collectors.Builder) error {
				broken = broken || ctx.Err() != nil
				if broken {
					return errors.New("connection is closed")
				}
				return before(ctx, b)
			}
		}, "pass after a broken one is whole"},
		{"shared between instances", func(c *scripted) {
			before := c.collect
			c.collect = func(ctx context.Context, b *collectors.Builder) error {
				if !busy.CompareAndSwap(false, true) {
					close(met)
					return errors.New("already running")
				}
				<-met
				return before(ctx, b)
			}
		}, "passes side by side don't meet"},
		{"goroutine left", then(func(*collectors.Builder) { go func() { <-release }() }), "passes leave nothing behind"},
		{"descriptor left", then(func(*collectors.Builder) {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Error(err)
			}
			leaked = append(leaked, f)
		}), "passes leave nothing behind"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSuite(sound(tt.bad))
			s.patience = 200 * time.Millisecond
			expectBroken(t, s, tt.rule)
		})
	}
}

// telling is a sound collector that watches.
type telling struct {
	collectors.Collector
	watch func(context.Context, func(collectors.Change)) error
}

func (c *telling) Watch(ctx context.Context, changed func(collectors.Change)) error {
	return c.watch(ctx, changed)
}

func TestWatchIsHeldToItsWord(t *testing.T) {
	var leaked []*os.File
	t.Cleanup(func() {
		for _, f := range leaked {
			f.Close()
		}
	})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	watching := func(ctx context.Context, changed func(collectors.Change)) error {
		changed(collectors.Change{Event: "watching"})
		<-ctx.Done()
		return fmt.Errorf("watch: %w", ctx.Err())
	}
	tests := map[string]struct {
		watch func(context.Context, func(collectors.Change)) error
		bad   bool
	}{
		"sound": {watching, false},
		"says nothing at first": {func(ctx context.Context, _ func(collectors.Change)) error {
			<-ctx.Done()
			return ctx.Err()
		}, true},
		"begins with another word": {func(ctx context.Context, changed func(collectors.Change)) error {
			changed(collectors.Change{Entity: "link:eth0", Event: "RTM_NEWLINK"})
			return watching(ctx, changed)
		}, true},
		"ends at once": {func(context.Context, func(collectors.Change)) error { return errors.New("gone") }, true},
		"ends without a reason": {func(ctx context.Context, changed func(collectors.Change)) error {
			_ = watching(ctx, changed)
			return nil
		}, true},
		"never ends": {func(_ context.Context, changed func(collectors.Change)) error {
			changed(collectors.Change{Event: "watching"})
			<-release
			return nil
		}, true},
		"leaves a descriptor": {func(ctx context.Context, changed func(collectors.Change)) error {
			f, err := os.Open(os.DevNull)
			if err != nil {
				t.Error(err)
			}
			leaked = append(leaked, f)
			return watching(ctx, changed)
		}, true},
		"leaves a goroutine": {func(ctx context.Context, changed func(collectors.Change)) error {
			go func() { <-release }()
			return watching(ctx, changed)
		}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newSuite(func(t *testing.T) collectors.Collector { return &telling{sound(nil)(t), tt.watch} })
			s.patience = 200 * time.Millisecond
			if violations := s.checkWatch(t); (len(violations) > 0) != tt.bad {
				t.Errorf("violations %q", violations)
			}
		})
	}
}

func TestOptionsCatch(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	tests := []struct {
		name   string
		option Option
		rule   string
	}{
		{"absent source seems whole", Absent(sound(nil)), "absent source is absent"},
		{"absent source seems broken", Absent(returning(errors.New("no such file"))), "absent source is absent"},
		{"absence without a remedy", Absent(returning(collectors.ErrAbsent)), "absent source is absent"},
		{"down source seems whole", Down(sound(nil)), "source that is down is not complete"},
		{"down source seems absent", Down(returning(errSource)), "source that is down is not complete"},
		{"hanging source never given up", Hanging(sound(instead(func(context.Context, *collectors.Builder) error { <-release; return nil }))), "hanging source is given up"},
		{"hanging source seems whole", Hanging(sound(instead(func(ctx context.Context, b *collectors.Builder) error { <-ctx.Done(); b.Enumerated(); return nil }))), "hanging source is given up"},
		{"hanging source seems broken", Hanging(returning(errors.New("no answer"))), "hanging source is given up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSuite(sound(nil), tt.option)
			s.patience = 200 * time.Millisecond
			expectBroken(t, s, tt.rule)
		})
	}
}

// expectBroken runs the one rule. Others may be broken with it, as where a
// collector never reports anything.
func expectBroken(t *testing.T, s *suite, name string) {
	t.Helper()
	i := slices.IndexFunc(s.rules(), func(r rule) bool { return r.name == name })
	if i < 0 {
		t.Fatalf("no rule is called %q", name)
	}
	if violations := s.rules()[i].check(t); len(violations) == 0 {
		t.Errorf("rule %q finds nothing wrong", name)
	}
}

func TestUnshown(t *testing.T) {
	table := append(known("link.kind", "link.master", "link.name"), inventory.Capability{Field: "link.parent", Known: inventory.KnownAbsent})
	o := &inventory.Observation{Capabilities: table, Body: inventory.Body{Links: []inventory.Link{{Name: "eth0", Kind: "physical"}}}}
	if diff := cmp.Diff([]inventory.Field{"link.master"}, Unshown(o)); diff != "" {
		t.Errorf("unshown fields (-want +got):\n%s", diff)
	}
	p := &inventory.Observation{Body: inventory.Body{Links: []inventory.Link{{Name: "eth0", Master: "br0"}}}}
	if got := Unshown(o, p); got != nil {
		t.Errorf("unshown fields of both: %v, want none", got)
	}
}
