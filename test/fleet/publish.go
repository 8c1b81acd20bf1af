package fleet

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
)

// Hosts are the fleet's agents, as far as they publish.
type Hosts struct {
	fleet      *Fleet
	publishers [8]*bus.Publisher // each for the hosts whose number it divides
}

// NewHosts makes agents that publish over a connection.
func NewHosts(f *Fleet, conn *bus.Conn) *Hosts {
	h := &Hosts{fleet: f}
	for i := range h.publishers {
		h.publishers[i] = conn.NewPublisher(uuid.New())
	}
	return h
}

// Publish puts the documents of all hosts in a state on the stream, as their
// agents would, and waits until the stream has them.
func (h *Hosts) Publish(ctx context.Context, s State) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tasks sync.WaitGroup
	for first, p := range h.publishers {
		tasks.Go(func() {
			for host := first; host < h.fleet.Hosts && ctx.Err() == nil; host += len(h.publishers) {
				for _, o := range h.fleet.Documents(host, s) {
					if s > 0 && o.Source == "network" {
						continue // a change of vCPUs isn't seen there
					}
					if err := p.Publish(ctx, o); err != nil {
						cancel(fmt.Errorf("publish for host %d: %w", host, err))
						return
					}
				}
			}
		})
	}
	tasks.Wait()
	return context.Cause(ctx)
}
