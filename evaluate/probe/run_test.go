package probe_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/evaluate/probe"
	"github.com/dataverket/avstem/inventory"
)

// interrupted is a fake driver that a person interrupts while it starts the VM.
type interrupted struct {
	interrupt func()
	cleaned   bool
}

func (*interrupted) About(context.Context) (probe.About, error) {
	return probe.About{Platform: "p", Runtime: "r"}, nil
}

func (d *interrupted) Do(ctx context.Context, step string, _ *probe.VM) (string, error) {
	if step == "start" {
		d.interrupt()
		<-ctx.Done()
		return "", ctx.Err()
	}
	return "did", nil
}

func (d *interrupted) Clean(ctx context.Context) []error {
	d.cleaned = ctx.Err() == nil
	return nil
}

func (*interrupted) Close() error { return nil }

// nothing is a fake collector whose source has no VMs.
type nothing struct{}

func (nothing) Source() string                                     { return "runtime-p" }
func (nothing) Capabilities() []inventory.Capability               { return nil }
func (nothing) Collect(context.Context, *collectors.Builder) error { return nil }

// What an interrupt kept from happening is no failure of the runtime's.
func TestInterruptedStepsWereNotTried(t *testing.T) {
	cause := errors.New("somebody interrupted it")
	ctx, cancel := context.WithCancelCause(t.Context())
	d := &interrupted{interrupt: func() { cancel(cause) }}
	result, err := probe.Run(ctx, probe.Options{Driver: d, Collector: nothing{}, Interval: 10 * time.Millisecond, Limit: 20 * time.Millisecond})
	if !errors.Is(err, cause) {
		t.Errorf("the error is %v", err)
	}
	if !d.cleaned {
		t.Error("what was made has not been removed")
	}
	for i, step := range result.Steps {
		want := evaluate.ProbeNotTried
		if i == 0 {
			want = evaluate.ProbeWorked // before the interrupt
		}
		if step.Outcome != want || i > 0 && step.Error != cause.Error() {
			t.Errorf("%s: %s (%s), want %s", step.Step, step.Outcome, step.Error, want)
		}
	}
}

var _ collectors.Collector = nothing{}
