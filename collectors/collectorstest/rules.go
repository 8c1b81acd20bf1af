package collectorstest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// sourceName is what fits one token of a NATS subject and a key of the agent's
// state.
var sourceName = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func (s *suite) checkSource(t *testing.T) (violations []string) {
	c := s.make(t)
	name := c.Source()
	if !sourceName.MatchString(name) {
		violations = append(violations, fmt.Sprintf("source %q is not a name: want lower-case words with dashes between", name))
	}
	pass(context.Background(), c)
	if again := c.Source(); again != name {
		violations = append(violations, fmt.Sprintf("source was %q and is %q after a pass", name, again))
	}
	return violations
}

func (s *suite) checkCapabilities(t *testing.T) (violations []string) {
	fault := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	c := s.make(t)
	table := slices.Clone(c.Capabilities())
	if len(table) == 0 {
		fault("no capabilities are declared")
	}
	for i, entry := range table {
		if !entry.Field.Known() {
			fault("capability %q is not in the catalogue", entry.Field)
		}
		if i > 0 && table[i-1].Field >= entry.Field {
			fault("capability %q stands after %q: the table is sorted and names a field once", entry.Field, table[i-1].Field)
		}
		switch entry.Known {
		case inventory.KnownAbsent:
		case inventory.KnownDirect, inventory.KnownDerived:
			if entry.From == "" {
				fault("capability %q doesn't say where the value comes from", entry.Field)
			}
			if entry.Change != inventory.ChangeByEvent && entry.Change != inventory.ChangeByPoll {
				fault("capability %q doesn't say how a change is noticed: %q", entry.Field, entry.Change)
			}
		default:
			fault("capability %q is known as %q: want direct, derived or absent", entry.Field, entry.Known)
		}
	}
	pass(context.Background(), c)
	if diff := cmp.Diff(table, c.Capabilities()); diff != "" {
		fault("capabilities changed with a pass (-before +after):\n%s", diff)
	}
	return violations
}

func (s *suite) checkObservation(t *testing.T) (violations []string) {
	fault := func(format string, args ...any) { violations = append(violations, fmt.Sprintf(format, args...)) }
	o := pass(context.Background(), s.make(t))
	if o.Outcome != inventory.OutcomeComplete && o.Outcome != inventory.OutcomePartial {
		fault("outcome is %s: the suite needs a source that is there; problems: %v", o.Outcome, o.Problems)
	}
	reasons := []inventory.Why{inventory.WhyAbsent, inventory.WhyRefused, inventory.WhyTimedOut, inventory.WhyBroken}
	for _, p := range o.Problems {
		if strings.Contains(p.Error, "collector is at fault") || strings.HasPrefix(p.Error, "panic: ") {
			fault("%s", p.Error)
		}
		if p.Call == "" || p.Error == "" || !slices.Contains(reasons, p.Why) {
			fault("problem doesn't say which call, why, and what happened: %+v", p)
		}
	}
	text, err := json.Marshal(o)
	if err != nil {
		fault("%v", err)
		return violations
	}
	read, err := inventory.DecodeObservations(bytes.NewReader(text), math.MaxInt64-1)
	if err != nil {
		fault("document can't be read back: %v", err)
		return violations
	}
	if err := read[0].VerifyDigest(); err != nil {
		fault("document doesn't survive its own JSON: %v", err)
	}
	return violations
}

func (s *suite) checkDeclared(t *testing.T) (violations []string) {
	o := pass(context.Background(), s.make(t))
	reported := o.Reported()
	if len(reported) == 0 {
		violations = append(violations, "the pass reports no field at all")
	}
	for field := range reported {
		if entry, found := o.Capability(field); !found {
			violations = append(violations, fmt.Sprintf("%s is reported and no capability", field))
		} else if entry.Known == inventory.KnownAbsent {
			violations = append(violations, fmt.Sprintf("%s is reported and declared absent", field))
		}
	}
	slices.Sort(violations)
	return violations
}

func (s *suite) checkIdempotent(t *testing.T) []string {
	c := s.make(t)
	return sameState("second pass", pass(context.Background(), c), pass(context.Background(), c))
}

// sameState returns a violation where two passes over one state differ.
func sameState(what string, want, got *inventory.Observation) []string {
	if want.Digest == got.Digest {
		return nil
	}
	return []string{fmt.Sprintf("%s saw another state (-first +then):\n%s%s", what,
		cmp.Diff(want.Body, got.Body), cmp.Diff(want.Problems, got.Problems))}
}

func (s *suite) checkCancelled(t *testing.T) []string {
	o, err, returned := s.cancelledPass(s.make(t))
	switch {
	case !returned:
		return []string{fmt.Sprintf("collector did not return within %s of its context's end", s.patience)}
	case !errors.Is(err, context.Canceled):
		return []string{fmt.Sprintf("a cancelled pass returned %v: want an error that wraps context.Canceled", err)}
	case o.Complete:
		return []string{"a cancelled pass is called complete"}
	}
	return nil
}

func (s *suite) checkRecovery(t *testing.T) []string {
	c := s.make(t)
	before := pass(context.Background(), c)
	if _, _, returned := s.cancelledPass(c); !returned {
		return []string{"the cancelled pass never returned"}
	}
	return sameState("pass after a cancelled one", before, pass(context.Background(), c))
}

func (s *suite) checkSideBySide(t *testing.T) []string {
	var both sync.WaitGroup
	var observations [2]*inventory.Observation
	for i := range observations {
		c := s.make(t)
		both.Go(func() { observations[i] = pass(context.Background(), c) })
	}
	both.Wait()
	var violations []string
	for _, o := range observations {
		if !o.Complete {
			violations = append(violations, fmt.Sprintf("a pass beside another is %s: %v", o.Outcome, o.Problems))
		}
	}
	return violations
}

func (s *suite) checkAbsent(t *testing.T) (violations []string) {
	o := pass(context.Background(), s.absent(t))
	if o.Outcome != inventory.OutcomeAbsent {
		violations = append(violations, fmt.Sprintf("outcome is %s: want absent; problems: %v", o.Outcome, o.Problems))
	}
	if len(o.Problems) == 0 || o.Problems[0].Remedy == "" {
		violations = append(violations, fmt.Sprintf("nothing tells a person what to do where the source isn't found: %v", o.Problems))
	}
	return append(violations, notComplete(o)...)
}

func (s *suite) checkDown(t *testing.T) []string {
	o := pass(context.Background(), s.down(t))
	if o.Outcome == inventory.OutcomeAbsent {
		return []string{"a source that is down is called absent"}
	}
	return notComplete(o)
}

func (s *suite) checkHanging(t *testing.T) []string {
	const given = 200 * time.Millisecond
	w := watch(s.hanging(t))
	r := collectors.Runner{Collector: w, Timeout: given}
	o := r.Run(context.Background())
	select {
	case <-w.returned:
	case <-time.After(s.patience):
		return []string{fmt.Sprintf("collector did not return within %s of its deadline", s.patience)}
	}
	violations := notComplete(o)
	if !slices.ContainsFunc(o.Problems, func(p inventory.Problem) bool { return p.Why == inventory.WhyTimedOut }) {
		violations = append(violations, fmt.Sprintf("no problem says timed-out: %v", o.Problems))
	}
	return violations
}

// notComplete holds a pass that saw its source in part or not at all to saying
// so: absence of a VM is concluded from a complete pass.
func notComplete(o *inventory.Observation) (violations []string) {
	if o.Complete || o.Outcome == inventory.OutcomeComplete {
		violations = append(violations, "the pass is called complete")
	}
	if len(o.Problems) == 0 {
		violations = append(violations, "no problem says why")
	}
	return violations
}
