// Package identity reads what a host is: the evidence that its identity rests
// on (machine ID, DMI, permanent MACs, the TPM) and what it has (kernel, CPUs, memory).
//
// It exists apart from the agent's own host ID, which is made and kept, not
// read: this package only says what the host's files tell, and decides nothing
// about whether that is the same host as yesterday. It knows nothing of links
// as such and never publishes the machine ID itself.
//
// A Collector keeps the hash of the TPM's key between passes, as chips are slow,
// shared and soldered on, and nothing else; several passes may run at once.
package identity

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads the host's identity from the files under Root ("" means "/").
type Collector struct {
	Root string

	endorsementKey atomic.Pointer[string] // once it was read
}

// Source implements [collectors.Collector].
func (c *Collector) Source() string { return "identity" }

// Capabilities implements [collectors.Collector].
func (c *Collector) Capabilities() []inventory.Capability { return capabilities() }

// Collect implements [collectors.Collector].
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	r := c.read(ctx)
	host, problems := r.host, r.problems
	if err := ctx.Err(); err != nil {
		return err
	}
	isAbsent := func(p inventory.Problem) bool { return p.Why == inventory.WhyAbsent }
	if reflect.ValueOf(host).IsZero() && !slices.ContainsFunc(problems, func(p inventory.Problem) bool { return !isAbsent(p) }) {
		return &collectors.SourceError{Call: "read /etc, /proc and /sys", Why: inventory.WhyAbsent, Err: errNothing,
			Remedy: "check the root directory that the agent was given"}
	}
	b.Host(host)
	for _, p := range problems {
		b.Problem(p)
	}
	b.Enumerated()
	return nil
}

var errNothing = errors.Join(errors.New("nothing there describes a host"), collectors.ErrAbsent)

// Read reads the host's description of itself from the files under root (""
// means "/"), and says of what it could not read why. Once ctx is done it
// returns what it has.
func Read(ctx context.Context, root string) (inventory.Host, []inventory.Problem) {
	r := (&Collector{Root: root}).read(ctx)
	return r.host, r.problems
}

func (c *Collector) read(ctx context.Context) *reader {
	r := &reader{root: c.Root}
	if known := c.endorsementKey.Load(); known != nil {
		r.host.EndorsementKey = *known
	}
	for _, step := range []func(){r.machineID, r.dmi, r.system, r.cpus, r.memory, r.nics, r.tpm} {
		if ctx.Err() != nil {
			break
		}
		step()
	}
	if key := r.host.EndorsementKey; key != "" {
		c.endorsementKey.Store(&key)
	}
	return r
}

// BootID returns the kernel's random ID of this boot, from
// /proc/sys/kernel/random/boot_id under root.
func BootID(root string) (string, error) {
	return collectors.ReadText(root, "/proc/sys/kernel/random/boot_id")
}

// reader gathers one description.
type reader struct {
	root     string
	host     inventory.Host
	problems []inventory.Problem
}

// text reads the file that a field comes from, "" with a problem if it can't.
func (r *reader) text(field inventory.Field, path string) string {
	text, err := collectors.ReadText(r.root, path)
	if err != nil {
		r.problem(field, path, collectors.WhyOf(err), err, "")
		return ""
	}
	return text
}

func (r *reader) problem(field inventory.Field, path string, why inventory.Why, err error, remedy string) {
	if remedy == "" && why == inventory.WhyRefused {
		remedy = "let the agent read " + path
	}
	r.problems = append(r.problems, inventory.Problem{
		Entity: "host:", Field: field, Call: path, Why: why, Error: err.Error(), Remedy: remedy,
	})
}
