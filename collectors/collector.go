package collectors

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataverket/avstem/inventory"
)

// Collector reads one source on the host.
type Collector interface {
	// Source names the source: identity, network, storage, runtime-libvirt …
	Source() string
	// Capabilities says, for each field that the source may fill, where it comes
	// from. It is constant for the life of the collector.
	Capabilities() []inventory.Capability
	// Collect makes one pass. It honours ctx, adds what it saw to b, and calls
	// b.Enumerated once it has listed everything there is. What it can't read of
	// one entity is a b.Problem; an error means that the pass as a whole broke
	// off, and what is in b stands as partial. [ErrAbsent] in the error's chain
	// means that the source isn't on this host.
	Collect(ctx context.Context, b *Builder) error
}

// ErrAbsent says that a source isn't on this host. Nothing may be concluded
// from it about entities: a stopped libvirtd leaves its VMs running.
var ErrAbsent = errors.New("not on this host")

// SourceError is a failure of a pass with what the reader of the observation
// needs to know of it.
type SourceError struct {
	Call   string // the call or file that failed
	Why    inventory.Why
	Remedy string
	Err    error
}

func (e *SourceError) Error() string { return fmt.Sprintf("%s: %v", e.Call, e.Err) }

func (e *SourceError) Unwrap() error { return e.Err }
