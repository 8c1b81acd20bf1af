package collectors

import "context"

// Change is a source's word that something may have changed. It says where to
// look again and is never the truth itself: sources tell twice, late, in another
// order or not at all, so a full pass stays due.
type Change struct {
	// Entity is named as in [inventory.Problem]: "link:eth0", "vm:UUID". Empty
	// means that anything may have changed (events were lost, the source came
	// back): make a full pass.
	Entity string
	// Event is the source's own word for it, such as "RTM_NEWLINK" or
	// "lifecycle stopped".
	Event string
}

// Watcher is a [Collector] whose source tells of changes.
type Watcher interface {
	Collector
	// Watch calls changed for each change, from one goroutine, until ctx ends or
	// the source goes away, and says which in its error. A buffer that overran is
	// a Change of everything and no error. Changed must return quickly. Right
	// after Watch has begun to listen it calls changed once with an empty Entity
	// and Event "watching": a pass that begins after that call misses nothing.
	Watch(ctx context.Context, changed func(Change)) error
}
