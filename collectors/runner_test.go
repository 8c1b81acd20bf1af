package collectors

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// scripted is a collector made of a function.
type scripted func(ctx context.Context, b *Builder) error

func (scripted) Source() string { return "scripted" }
func (scripted) Capabilities() []inventory.Capability {
	return []inventory.Capability{
		{Field: "vm.name", From: "script", Known: inventory.KnownDirect, Change: inventory.ChangeByPoll},
		{Field: "link.name", From: "script", Known: inventory.KnownDirect, Change: inventory.ChangeByPoll},
	}
}
func (s scripted) Collect(ctx context.Context, b *Builder) error { return s(ctx, b) }

func run(collect scripted) *inventory.Observation {
	r := Runner{Collector: collect}
	return r.Run(context.Background())
}

func TestOutcomes(t *testing.T) {
	eth0 := inventory.Link{Name: "eth0", Kind: "physical"}
	problem := inventory.Problem{Entity: "link:eth0", Field: "link.mtu", Call: "read mtu", Why: inventory.WhyRefused, Error: "permission denied"}
	refused := &SourceError{Call: "dial source", Why: inventory.WhyRefused, Remedy: "join its group", Err: errors.New("permission denied")}
	tests := []struct {
		name     string
		collect  scripted
		outcome  inventory.Outcome
		complete bool
		problems []inventory.Problem
	}{
		{"everything", func(_ context.Context, b *Builder) error { b.Link(eth0); b.Enumerated(); return nil },
			inventory.OutcomeComplete, true, nil},
		{"nothing there", func(_ context.Context, b *Builder) error { b.Enumerated(); return nil },
			inventory.OutcomeComplete, true, nil},
		{"all listed and one not read", func(_ context.Context, b *Builder) error {
			b.Link(eth0)
			b.Problem(problem)
			b.Enumerated()
			return nil
		},
			inventory.OutcomePartial, true, []inventory.Problem{problem}},
		{"not all listed", func(_ context.Context, b *Builder) error { b.Link(eth0); return nil },
			inventory.OutcomePartial, false, nil},
		{"broken off half-way", func(_ context.Context, b *Builder) error { b.Link(eth0); return refused },
			inventory.OutcomePartial, false, []inventory.Problem{{Call: "dial source", Why: inventory.WhyRefused, Error: "permission denied", Remedy: "join its group"}}},
		{"broken off after all was listed", func(_ context.Context, b *Builder) error { b.Link(eth0); b.Enumerated(); return errors.New("eof") },
			inventory.OutcomePartial, false, []inventory.Problem{{Call: "collect", Why: inventory.WhyBroken, Error: "eof"}}},
		{"broken off at once", func(context.Context, *Builder) error { return fmt.Errorf("list: %w", refused) },
			inventory.OutcomeFailed, false, []inventory.Problem{{Call: "dial source", Why: inventory.WhyRefused, Error: "permission denied", Remedy: "join its group"}}},
		{"said nothing", func(context.Context, *Builder) error { return nil },
			inventory.OutcomeFailed, false, nil},
		{"absent", func(context.Context, *Builder) error { return fmt.Errorf("dial: %w", ErrAbsent) },
			inventory.OutcomeAbsent, false, []inventory.Problem{{Call: "collect", Why: inventory.WhyAbsent, Error: "dial: not on this host"}}},
		{"its own deadline", func(context.Context, *Builder) error { return fmt.Errorf("call: %w", context.DeadlineExceeded) },
			inventory.OutcomeFailed, false, []inventory.Problem{{Call: "collect", Why: inventory.WhyTimedOut, Error: "call: context deadline exceeded"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := run(tt.collect)
			if o.Outcome != tt.outcome || o.Complete != tt.complete {
				t.Errorf("outcome %s, complete %t: want %s, %t", o.Outcome, o.Complete, tt.outcome, tt.complete)
			}
			if diff := cmp.Diff(tt.problems, o.Problems); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if err := o.VerifyDigest(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestStamps(t *testing.T) {
	begin := time.Date(2026, 11, 24, 10, 0, 0, 0, time.FixedZone("CET", 3600))
	clock := []time.Time{begin, begin.Add(3 * time.Second)}
	r := Runner{Collector: scripted(func(_ context.Context, b *Builder) error { b.Enumerated(); return nil }), Now: func() time.Time {
		now := clock[0]
		clock = clock[1:]
		return now
	}}
	o := r.Run(context.Background())
	if o.Schema != inventory.Schema || o.Source != "scripted" || o.Took != 3*time.Second || o.ObservedAt != begin.UTC() || o.ObservedAt.Location() != time.UTC {
		t.Errorf("stamped %s, %s, %s, %s", o.Schema, o.Source, o.Took, o.ObservedAt)
	}
	if !slices.IsSortedFunc(o.Capabilities, func(x, y inventory.Capability) int { return strings.Compare(string(x.Field), string(y.Field)) }) {
		t.Errorf("capabilities are not sorted: %v", o.Capabilities)
	}
}

func TestPanicIsAProblem(t *testing.T) {
	o := run(func(_ context.Context, b *Builder) error {
		b.Link(inventory.Link{Name: "eth0", Kind: "physical"})
		var fields []string
		return errors.New(fields[b.body.Links[0].Name[0]])
	})
	if o.Outcome != inventory.OutcomePartial || o.Complete || len(o.Links) != 1 {
		t.Errorf("outcome %s with %d links: want partial with what was seen before", o.Outcome, len(o.Links))
	}
	if len(o.Problems) != 1 || !strings.Contains(o.Problems[0].Error, "runner_test.go") || o.Problems[0].Remedy == "" {
		t.Errorf("problems %v: want the panic with its stack", o.Problems)
	}
}

func TestMisuse(t *testing.T) {
	tests := map[string]struct {
		misuse func(b *Builder)
		wants  string
	}{
		"same link twice":     {func(b *Builder) { b.Link(inventory.Link{Name: "a"}); b.Link(inventory.Link{Name: "a"}) }, "link:a was added twice"},
		"link without a name": {func(b *Builder) { b.Link(inventory.Link{}) }, "a link without identity"},
		"VM without a name":   {func(b *Builder) { b.VM(inventory.VM{Name: "web"}) }, "a vm without identity"},
		"VM of two spellings": {func(b *Builder) {
			id := uuid.MustParse("6e1b1f0a-1d0c-4b7a-9d5e-0f3c2b1a4d5e")
			b.VM(inventory.VM{UUID: id, NativeID: "one"})
			b.VM(inventory.VM{UUID: id, NativeID: "two"})
		}, "vm:6e1b1f0a-1d0c-4b7a-9d5e-0f3c2b1a4d5e was added twice"},
		"host twice":             {func(b *Builder) { b.Host(inventory.Host{}); b.Host(inventory.Host{}) }, "host:self was added twice"},
		"runtime without a name": {func(b *Builder) { b.Runtime(inventory.Runtime{}) }, "a runtime without identity"},
		"bridge without a name":  {func(b *Builder) { b.OVSBridge(inventory.OVSBridge{}) }, "a ovsBridge without identity"},
		"device without a name":  {func(b *Builder) { b.BlockDevice(inventory.BlockDevice{}) }, "a blockDevice without identity"},
		"mount twice": {func(b *Builder) {
			b.FileSystem(inventory.FileSystem{Mount: "/"})
			b.FileSystem(inventory.FileSystem{Mount: "/"})
		}, "fileSystem:/ was added twice"},
		"unknown field": {func(b *Builder) { b.Problem(inventory.Problem{Field: "vm.colour"}) }, `field "vm.colour" is not in the catalogue`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := run(func(_ context.Context, b *Builder) error {
				tt.misuse(b)
				b.Enumerated()
				return nil
			})
			if o.Complete || !slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return strings.Contains(p.Error, tt.wants) }) {
				t.Errorf("complete %t, problems %v: want %q", o.Complete, o.Problems, tt.wants)
			}
		})
	}
}

// What is seen counts, not the order it is added in, nor from how many goroutines.
func TestOrderOfAddingMeansNothing(t *testing.T) {
	const n = 50
	forward := run(func(_ context.Context, b *Builder) error {
		for i := range n {
			b.Link(inventory.Link{Name: fmt.Sprint("tap", i), Kind: "tun"})
			b.VM(inventory.VM{NativeID: fmt.Sprint("p/", i)})
		}
		b.Enumerated()
		return nil
	})
	atOnce := run(func(_ context.Context, b *Builder) error {
		var all sync.WaitGroup
		for i := range n {
			all.Go(func() { b.VM(inventory.VM{NativeID: fmt.Sprint("p/", n-1-i)}) })
			all.Go(func() { b.Link(inventory.Link{Name: fmt.Sprint("tap", n-1-i), Kind: "tun"}) })
		}
		all.Wait()
		b.Enumerated()
		return nil
	})
	if forward.Digest != atOnce.Digest {
		t.Errorf("digests differ (-forward +at once):\n%s", cmp.Diff(forward.Body, atOnce.Body))
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		o := run(func(ctx context.Context, b *Builder) error {
			b.Link(inventory.Link{Name: "eth0", Kind: "physical"})
			<-ctx.Done()
			return fmt.Errorf("read ring parameters of eth0: %w", ctx.Err())
		})
		if took := time.Since(begin); took != 30*time.Second || o.Took != took {
			t.Errorf("took %s, says %s: want 30s", took, o.Took)
		}
		if o.Outcome != inventory.OutcomePartial || len(o.Problems) != 1 || o.Problems[0].Why != inventory.WhyTimedOut || !strings.Contains(o.Problems[0].Error, "ring parameters") {
			t.Errorf("outcome %s, problems %v: want partial, with what it was doing", o.Outcome, o.Problems)
		}
	})
}

// A pass that was given up costs one goroutine, not one each pass; what it adds
// after that reaches no observation; and when it returns, passes go on.
func TestStuckPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		release := make(chan struct{})
		r := Runner{Timeout: 5 * time.Second, Collector: scripted(func(_ context.Context, b *Builder) error {
			if calls.Add(1) == 1 {
				<-release // deaf to its context
				b.Link(inventory.Link{Name: "late", Kind: "physical"})
			}
			b.Enumerated()
			return nil
		})}
		begin := time.Now()
		first := r.Run(context.Background())
		if took := time.Since(begin); took != 6*time.Second {
			t.Errorf("given up after %s: want the deadline and a second of grace", took)
		}
		if first.Outcome != inventory.OutcomeFailed || first.Problems[0].Why != inventory.WhyTimedOut {
			t.Errorf("outcome %s, problems %v", first.Outcome, first.Problems)
		}
		for range 3 {
			begin := time.Now()
			o := r.Run(context.Background())
			if o.Outcome != inventory.OutcomeFailed || time.Since(begin) != 0 || !strings.Contains(o.Problems[0].Error, "still waiting") {
				t.Errorf("pass beside a stuck one: %s after %s, %v", o.Outcome, time.Since(begin), o.Problems)
			}
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("the stuck collector was called %d times", n)
		}
		close(release)
		synctest.Wait()
		if len(first.Links) != 0 {
			t.Errorf("the observation changed after it was handed out: %v", first.Links)
		}
		if o := r.Run(context.Background()); o.Outcome != inventory.OutcomeComplete {
			t.Errorf("pass after the stuck one returned: %s, %v", o.Outcome, o.Problems)
		}
	})
}

func TestCallerCancels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		time.AfterFunc(time.Second, cancel)
		r := Runner{Collector: scripted(func(ctx context.Context, b *Builder) error { <-ctx.Done(); return ctx.Err() })}
		begin := time.Now()
		o := r.Run(ctx)
		if o.Complete || time.Since(begin) != time.Second {
			t.Errorf("complete %t after %s: want an end with the context", o.Complete, time.Since(begin))
		}
	})
}
