package probe

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/inventory"
)

// Options say how to probe.
type Options struct {
	Driver    Driver
	Collector collectors.Collector // avstem's own, of the same runtime
	// Interval is between passes where no event says that something changed, zero
	// for 1 s; Limit how soon a change must be seen to count, zero for 10 s.
	Interval, Limit time.Duration
	// StepTimeout bounds one call of the driver; zero means a minute.
	StepTimeout time.Duration
	Host        string
	HostID      uuid.UUID
	Version     string                   // of avstem
	Progress    func(evaluate.ProbeStep) // is told of each step once it is over; nil means nobody
}

// settle is how long the events of a step may come after its effect was seen
// before they would count for the next one; settleProcess is the same where a VM
// is a process, which is looked for each two seconds.
const (
	settle        = 300 * time.Millisecond
	settleProcess = 2500 * time.Millisecond
)

// cleanTimeout bounds the cleaning up, which goes on after ctx has ended.
const cleanTimeout = 2 * time.Minute

// Run removes what an earlier probe left, drives a VM through every step, and
// removes it, also when ctx ends in between. What it could not remove is in the
// result. The error means that there is no result worth having.
func Run(ctx context.Context, o Options) (*evaluate.ProbeRun, error) {
	o.defaults()
	about, err := o.Driver.About(ctx)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	if left := o.clean(ctx); len(left) > 0 {
		return nil, fmt.Errorf("probe: remove what an earlier probe left: %w", errors.Join(left...))
	}
	r := &run{Options: o, about: about, vm: newVM(), started: time.Now()}
	result := &evaluate.ProbeRun{
		Schema: evaluate.ProbeSchema, ID: uuid.New(), Platform: about.Platform, Runtime: about.Runtime, Version: about.Version, Type: about.Type,
		Host: o.Host, HostID: o.HostID, Avstem: o.Version, At: r.started.UTC(), Limit: o.Limit, Interval: o.Interval,
	}
	r.eyes = open(ctx, o.Collector, o.Interval)
	for _, step := range evaluate.ProbeSteps {
		done := r.step(ctx, step)
		result.Steps = append(result.Steps, done)
		if o.Progress != nil {
			o.Progress(done)
		}
	}
	r.eyes.close()
	for _, err := range o.clean(context.WithoutCancel(ctx)) {
		result.Left = append(result.Left, err.Error())
	}
	result.Took = time.Since(r.started)
	if ctx.Err() != nil {
		return result, fmt.Errorf("probe: %w", context.Cause(ctx))
	}
	return result, nil
}

func (o *Options) clean(ctx context.Context) []error {
	ctx, cancel := context.WithTimeoutCause(ctx, cleanTimeout, fmt.Errorf("cleaning up took more than %s", cleanTimeout))
	defer cancel()
	return o.Driver.Clean(ctx)
}

func (o *Options) defaults() {
	if o.Interval == 0 {
		o.Interval = time.Second
	}
	if o.Limit == 0 {
		o.Limit = evaluate.SeenWithin
	}
	if o.StepTimeout == 0 {
		o.StepTimeout = time.Minute
	}
}

// newVM makes up names and addresses that nobody else has. MAC addresses are
// locally administered ones of QEMU's range.
func newVM() *VM {
	var b [8]byte
	rand.Read(b[:]) // never fails
	name := Prefix + hex.EncodeToString(b[:4])
	return &VM{
		Name: name, Clone: name + "-clone",
		MAC: inventory.MAC{0x52, 0x54, 0x00, b[4], b[5], b[6] &^ 1}, ExtraMAC: inventory.MAC{0x52, 0x54, 0x00, b[4], b[5], b[6] | 1},
		Serial: "probe-root-" + hex.EncodeToString(b[:2]), ExtraSerial: "probe-extra-" + hex.EncodeToString(b[:2]),
	}
}

type run struct {
	Options
	about   About
	vm      *VM
	eyes    *eyes
	seen    *inventory.VM // as it was before the step
	running bool
	broken  string // why no further step makes sense
	started time.Time
}

// step carries out one step, looks for its effect, and compares.
func (r *run) step(ctx context.Context, name string) evaluate.ProbeStep {
	step := evaluate.ProbeStep{Step: name, Outcome: evaluate.ProbeNotTried}
	switch {
	case ctx.Err() != nil: // a step that was interrupted says nothing of the runtime
		step.Error = context.Cause(ctx).Error()
		return step
	case r.broken != "":
		step.Error = r.broken
		return step
	}
	if err := r.prepare(ctx, name); err != nil {
		step.Error = err.Error()
		return step
	}
	r.eyes.forget()
	began := time.Now()
	did, err := r.do(ctx, name)
	returned := time.Now()
	step.Did, step.Took = did, returned.Sub(began)
	switch {
	case errors.Is(err, ErrUnsupported):
		step.Outcome, step.Error = evaluate.ProbeUnsupported, err.Error()
		return step
	case errors.Is(err, ErrNotTried), err != nil && ctx.Err() != nil:
		step.Error = err.Error()
		return step
	case err != nil:
		step.Outcome, step.Error = evaluate.ProbeFailed, err.Error()
		if name == "create" || name == "start" {
			r.broken = name + " failed"
		}
		return step
	}
	step.Outcome = evaluate.ProbeWorked
	r.observe(ctx, &step, returned)
	return step
}

func (r *run) do(ctx context.Context, step string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.StepTimeout, fmt.Errorf("%s took more than %s", step, r.StepTimeout))
	defer cancel()
	did, err := r.Driver.Do(ctx, step, r.vm)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil {
		switch step {
		case "start":
			r.running = true
		case "stop", "delete":
			r.running = false
		}
	}
	return did, err
}

// prepare starts or stops the VM, where the step wants it otherwise than it is.
func (r *run) prepare(ctx context.Context, name string) error {
	wanted := ""
	switch {
	case slices.Contains(needsRunning, name) && !r.running:
		wanted = "start"
	case slices.Contains(needsStopped, name) && r.running && !r.about.Transient:
		wanted = "stop"
	default:
		return nil
	}
	if _, err := r.do(ctx, wanted); err != nil {
		return fmt.Errorf("%s it first: %w", wanted, err)
	}
	r.seen, _, _ = r.eyes.await(ctx, r.Limit, r.vm, effects[wanted](r.vm, &r.about))
	if wanted == "start" && r.about.Transient {
		return quiet(ctx, settleProcess)
	}
	return quiet(ctx, settle)
}

// quiet lets the events of what was done before come in.
func quiet(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// observe looks for the effect of a step that worked.
func (r *run) observe(ctx context.Context, step *evaluate.ProbeStep, returned time.Time) {
	target := r.vm
	if step.Step == "clone" {
		target = &VM{Name: r.vm.Clone}
	}
	before := r.seen
	known := r.seen // what events may name it by
	if make := effects[step.Step]; make != nil {
		seen, at, as := r.eyes.await(ctx, r.Limit, target, make(r.vm, &r.about))
		if as {
			step.SeenAfter = since(at, returned)
		}
		if step.Step == "clone" {
			known = seen
		} else if r.seen = seen; seen != nil {
			known = seen
		}
	}
	if _, watches := r.Collector.(collectors.Watcher); watches && step.Step == "restart-daemon" {
		r.eyes.awaitListening(ctx, returned.Add(-step.Took), listenWithin)
	}
	if quiet(ctx, settle) != nil {
		return
	}
	if effects[step.Step] == nil {
		if seen, tells := r.eyes.look(ctx, r.vm.Name, r.vm.UUID); tells {
			r.seen = seen
		}
	}
	if heard := r.eyes.first(step.Step, target, known); heard != nil {
		step.EventAfter, step.Event = since(heard.at, returned), heard.Event
		if effects[step.Step] == nil {
			step.SeenAfter = step.EventAfter
		}
	}
	if r.vm.UUID == uuid.Nil && r.seen != nil {
		r.vm.UUID = r.seen.UUID
	}
	if step.Step == "stop" && r.about.Transient {
		// Whether it is still the same shows once it is there again.
		if err := r.prepare(ctx, "reboot"); err != nil {
			return
		}
	}
	if step.Step != "clone" && step.Step != "create" {
		step.Held, step.Changed = held(step.Step, r.vm, before, r.seen)
	}
}

// since is how long after a call had returned something was noticed, nothing
// where it was before.
func since(at, returned time.Time) *time.Duration {
	d := max(at.Sub(returned), 0)
	return &d
}
