package collectors

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// Runner runs one collector, one pass at a time.
type Runner struct {
	Collector Collector
	Timeout   time.Duration    // of one pass; zero means 30 s
	Now       func() time.Time // nil means time.Now

	stuck chan struct{} // closed when a pass that was given up ends after all
	since time.Time
}

// Run makes one pass and returns what it saw as a sealed observation, without
// the host, site, epoch, gen and boot that its publisher stamps (and seals
// again). It never fails and never panics: what goes wrong is in the outcome and
// the problems. A collector that does not return when its deadline has passed is
// given up; until it returns, further passes fail at once and say since when it
// is stuck, so that a hung source costs one goroutine and not one each pass.
func (r *Runner) Run(ctx context.Context) *inventory.Observation {
	now := r.Now
	if now == nil {
		now = time.Now
	}
	start := now().UTC()
	b := newBuilder()
	err := r.pass(ctx, b, start)

	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
	o := &inventory.Observation{
		Schema:       inventory.Schema,
		Source:       r.Collector.Source(),
		ObservedAt:   start,
		Took:         now().Sub(start),
		Problems:     b.problems,
		Capabilities: slices.Clone(r.Collector.Capabilities()),
		Body:         b.body,
	}
	if err == nil {
		err = b.misuse
	}
	if err != nil {
		o.Problems = append(o.Problems, problemOf(err))
	}
	o.Complete = b.enumerated && err == nil
	o.Outcome = outcome(o, len(b.seen) > 0, err)
	if err := o.Seal(); err != nil {
		o.Outcome, o.Complete, o.Body = inventory.OutcomeFailed, false, inventory.Body{}
		o.Problems = append(o.Problems, problemOf(err))
	}
	return o
}

func outcome(o *inventory.Observation, sawAny bool, err error) inventory.Outcome {
	switch {
	case errors.Is(err, ErrAbsent):
		return inventory.OutcomeAbsent
	case o.Complete && len(o.Problems) == 0:
		return inventory.OutcomeComplete
	case o.Complete || sawAny:
		return inventory.OutcomePartial
	}
	return inventory.OutcomeFailed
}

// pass runs the collector under its deadline.
func (r *Runner) pass(ctx context.Context, b *Builder, start time.Time) error {
	if r.stuck != nil {
		select {
		case <-r.stuck:
			r.stuck = nil
		default:
			return &SourceError{Call: "collect " + r.Collector.Source(), Why: inventory.WhyTimedOut,
				Remedy: "see what the source waits for; the agent tries again as soon as it answers",
				Err:    fmt.Errorf("still waiting for the pass that began at %s", r.since.Format(time.RFC3339))}
		}
	}
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	done := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			if v := recover(); v != nil {
				done <- &SourceError{Call: "collect " + r.Collector.Source(), Why: inventory.WhyBroken,
					Remedy: "this is a defect in avstem: please report it with the stack",
					Err:    fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
			}
		}()
		done <- r.Collector.Collect(ctx, b)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	// A collector that honours its context is about to say what it was doing.
	grace := time.NewTimer(time.Second)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		r.stuck, r.since = ended, start
		return &SourceError{Call: "collect " + r.Collector.Source(), Why: inventory.WhyTimedOut,
			Err: fmt.Errorf("no answer within %s: %w", timeout, context.Cause(ctx))}
	}
}

func problemOf(err error) inventory.Problem {
	p := inventory.Problem{Call: "collect", Why: inventory.WhyBroken, Error: err.Error()}
	if se, ok := errors.AsType[*SourceError](err); ok {
		p.Call, p.Why, p.Remedy, p.Error = se.Call, se.Why, se.Remedy, se.Err.Error()
	}
	switch {
	case errors.Is(err, ErrAbsent):
		p.Why = inventory.WhyAbsent
	case errors.Is(err, context.DeadlineExceeded):
		p.Why = inventory.WhyTimedOut
	}
	return p
}
