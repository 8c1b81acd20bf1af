package evaluate

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ProbeSchema is the version of a probe's result.
const ProbeSchema = "avstem.probe/v1"

// ProbeRun is what driving a throwaway VM through its life showed of a runtime:
// what avstem-probe writes.
type ProbeRun struct {
	Schema   string    `json:"schema"`
	ID       uuid.UUID `json:"id"`
	Platform string    `json:"platform"`
	// Type is "" where a VM was driven, and container where the host could run
	// nothing else.
	Type    string        `json:"type,omitempty"`
	Runtime string        `json:"runtime"`
	Version string        `json:"version,omitempty"`
	Host    string        `json:"host"` // its hostname
	HostID  uuid.UUID     `json:"hostID,omitzero"`
	Avstem  string        `json:"avstem"` // the version that probed
	At      time.Time     `json:"at"`
	Took    time.Duration `json:"tookNanos"`
	// Limit is how long a change was looked for (what counts as seen in time is at
	// most [SeenWithin]); Interval is between the passes by which what has no event was looked for.
	Limit    time.Duration `json:"limitNanos"`
	Interval time.Duration `json:"intervalNanos"`
	Steps    []ProbeStep   `json:"steps"`
	// Left is what could not be removed afterwards: empty, or a person must.
	Left []string `json:"left,omitempty"`
}

// SeenWithin is how soon after a step its effect must be observed to count as seen
// in time. A probe may have looked for longer: that makes nothing any sooner.
const SeenWithin = 10 * time.Second

// ProbeSteps are the steps of a probe, in the order in which they are tried.
var ProbeSteps = []string{
	"create", "start", "set-metadata", "stop", "reboot", "restart-daemon", "attach-disk", "detach-disk", "attach-nic", "detach-nic",
	"rename", "snapshot", "clone", "delete",
}

// Kept is what a probe looks at before and after each step.
var Kept = []string{"uuid", "macs", "serials", "nics", "metadata"}

// ProbeOutcome is how a step ended.
type ProbeOutcome string

// The outcomes of a step.
const (
	ProbeWorked      ProbeOutcome = "worked" // by a program alone
	ProbeFailed      ProbeOutcome = "failed"
	ProbeUnsupported ProbeOutcome = "unsupported" // the runtime has no such thing, or not for this VM
	ProbeNotTried    ProbeOutcome = "not-tried"   // a step before it failed, or the probe was interrupted
)

// ProbeStep is one step of a probe.
type ProbeStep struct {
	Step    string        `json:"step"`
	Outcome ProbeOutcome  `json:"outcome"`
	Did     string        `json:"did"` // the call that was made, as a person would make it
	Error   string        `json:"error,omitempty"`
	Took    time.Duration `json:"tookNanos"`
	// SeenAfter is how long after the call had returned the change was observed,
	// nil where it never was. EventAfter is the same for the runtime's own event.
	SeenAfter  *time.Duration `json:"seenAfterNanos,omitempty"`
	EventAfter *time.Duration `json:"eventAfterNanos,omitempty"`
	Event      string         `json:"event,omitempty"` // the runtime's word for it
	// Held says of each thing in [Kept] whether it was after the step what it was
	// before; what there was none of is not in it.
	Held map[string]bool `json:"held,omitempty"`
	// Changed says what became of what was not held: "uuid: A → B".
	Changed []string `json:"changed,omitempty"`
}

// maxProbe bounds a file of probe results.
const maxProbe = 4 << 20

// ReadProbe reads what avstem-probe wrote.
func ReadProbe(r io.Reader) (*ProbeRun, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxProbe+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxProbe:
		return nil, fmt.Errorf("it is larger than %d MiB", maxProbe>>20)
	}
	var run ProbeRun
	err = json.Unmarshal(data, &run)
	if other, is := errors.AsType[*json.UnmarshalTypeError](err); is && other.Field == "" {
		return nil, fmt.Errorf("it is not what avstem-probe writes: want one object of %s, and not %s", ProbeSchema, other.Value)
	}
	if err != nil {
		return nil, fmt.Errorf("it is not what avstem-probe writes: %w", err)
	}
	name, version, _ := strings.Cut(run.Schema, "/")
	switch {
	case name != "avstem.probe":
		return nil, fmt.Errorf("schema %q is not %s: is it what avstem-probe wrote?", run.Schema, ProbeSchema)
	case version != "v1" && !strings.HasPrefix(version, "v1."):
		return nil, fmt.Errorf("schema %q is newer than this avstem understands (%s)", run.Schema, ProbeSchema)
	case run.Platform == "":
		return nil, fmt.Errorf("it names no platform")
	}
	if err := run.check(); err != nil {
		return nil, err
	}
	return &run, nil
}

// check refuses what no probe writes.
func (p *ProbeRun) check() error {
	for i := range p.Steps {
		s := &p.Steps[i]
		switch {
		case p.step(s.Step) != s:
			return fmt.Errorf("step %s is there twice", s.Step)
		case !slices.Contains([]ProbeOutcome{ProbeWorked, ProbeFailed, ProbeUnsupported, ProbeNotTried}, s.Outcome):
			return fmt.Errorf("step %s has an outcome %q that this avstem doesn't know", s.Step, s.Outcome)
		case s.SeenAfter != nil && *s.SeenAfter < 0 || s.EventAfter != nil && *s.EventAfter < 0:
			return fmt.Errorf("step %s was observed before it was done", s.Step)
		}
	}
	return nil
}

// step gives a step of the run, nil where it has none of that name.
func (p *ProbeRun) step(name string) *ProbeStep {
	i := slices.IndexFunc(p.Steps, func(s ProbeStep) bool { return s.Step == name })
	if i < 0 {
		return nil
	}
	return &p.Steps[i]
}

// answer is whether an aspect is true of a step.
type answer int

const (
	unknown answer = iota // the step was not tried, or failed before it could tell
	yes
	no
	inapplicable // the runtime has no such step
)

func (s *ProbeStep) is(aspect string, limit time.Duration) answer {
	of := func(b bool) answer {
		if b {
			return yes
		}
		return no
	}
	if aspect == "worked" {
		if s.Outcome == ProbeNotTried || s.Outcome == "" {
			return unknown
		}
		return of(s.Outcome == ProbeWorked)
	}
	what, held := strings.CutPrefix(aspect, "held:")
	switch {
	case s.Outcome == ProbeUnsupported:
		return inapplicable
	case s.Outcome != ProbeWorked:
		return unknown
	case held:
		kept, looked := s.Held[what]
		if !looked {
			return unknown
		}
		return of(kept)
	case aspect == "seen":
		return of(s.SeenAfter != nil && *s.SeenAfter <= limit)
	}
	return of(s.EventAfter != nil)
}

// tally counts the steps of a check.
type tally struct {
	share Share    // of the steps that apply
	no    []string // those that the aspect isn't true of
	open  []string // and those that nothing is known of
}

func (p *ProbeRun) tally(c *ProbeCheck) tally {
	var t tally
	for _, name := range c.Steps {
		said := unknown
		if s := p.step(name); s != nil {
			said = s.is(c.Aspect, min(p.Limit, SeenWithin))
		}
		switch said {
		case inapplicable:
			continue
		case yes:
			t.share.Have++
		case no:
			t.no = append(t.no, name)
		default:
			t.open = append(t.open, name)
		}
		t.share.Of++
	}
	return t
}

// worked says whether all of some steps worked.
func (p *ProbeRun) worked(steps []string) bool {
	for _, name := range steps {
		if s := p.step(name); s == nil || s.Outcome != ProbeWorked {
			return false
		}
	}
	return true
}
