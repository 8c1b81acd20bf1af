package probe

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// Prefix begins the name of everything that a probe makes.
const Prefix = "avstem-probe-"

// ErrUnsupported says that a runtime has no such step, or not for such a VM.
var ErrUnsupported = errors.New("the runtime has no such thing")

// ErrNotTried says that a step was left out on purpose; the error around it says
// why.
var ErrNotTried = errors.New("not tried")

// VM is the throwaway VM. The driver fills in what the runtime decides.
type VM struct {
	Name string // begins with [Prefix]; a rename changes it
	UUID uuid.UUID
	// MAC and Serial are of the NIC and the disk that it is made with, ExtraMAC
	// and ExtraSerial of those that are attached to it.
	MAC, ExtraMAC       inventory.MAC
	Serial, ExtraSerial string
	Clone               string // the clone's name
}

// About says what is driven.
type About struct {
	Platform, Runtime, Version string
	// Type is "" for a virtual machine, else what the host runs in its stead.
	Type string
	// Transient says that a VM that is stopped is gone.
	Transient bool
}

// Driver carries out the steps of [evaluate.ProbeSteps] on one runtime. It may
// touch nothing that doesn't bear [Prefix], and is used by one goroutine.
type Driver interface {
	// About asks the runtime what it is; an error means that it can't be driven.
	About(ctx context.Context) (About, error)
	// Do carries out a step and returns when the runtime says that it is done,
	// with what a person would have typed or called. [ErrUnsupported] and
	// [ErrNotTried] in the error's chain say that nothing was done.
	Do(ctx context.Context, step string, vm *VM) (did string, err error)
	// Clean removes everything on the host that bears [Prefix], whoever made it,
	// and returns what it could not remove, with why.
	Clean(ctx context.Context) []error
	Close() error
}
