package fleet

import (
	"context"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
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

// All publishes what all hosts show, as their agents would, and waits until the
// stream has it.
func (h *Hosts) All(ctx context.Context) (documents int, err error) {
	return h.each(ctx, func(host int) []*inventory.Observation {
		all := h.fleet.Documents(host, 1)
		if d := h.fleet.hostDrift(host); d != nil && d.refused {
			all = append(all, h.fleet.newer(host))
		}
		return all
	})
}

// newer is a document of a version that nobody can read yet.
func (f *Fleet) newer(host int) *inventory.Observation {
	o := f.document(f.host(host), 1, sourceImages, inventory.Body{})
	o.Schema = newer
	return o
}

// Changed publishes what has changed of all hosts of a world since it was asked
// last.
func (h *Hosts) Changed(ctx context.Context, w *World) (documents int, err error) {
	changed := w.Changed()
	return h.each(ctx, func(host int) []*inventory.Observation { return changed[host] })
}

// each has every publisher publish the documents of its hosts.
func (h *Hosts) each(ctx context.Context, documents func(host int) []*inventory.Observation) (n int, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var tasks sync.WaitGroup
	var published [len(h.publishers)]int
	for first := range h.publishers {
		tasks.Go(func() {
			for host := first; host < h.fleet.Hosts && ctx.Err() == nil; host += len(h.publishers) {
				for _, o := range documents(host) {
					if err := h.publishers[first].Publish(ctx, o); err != nil {
						cancel(fmt.Errorf("publish for host %d: %w", host, err))
						return
					}
					published[first]++
				}
			}
		})
	}
	tasks.Wait()
	for _, more := range published {
		n += more
	}
	return n, context.Cause(ctx)
}
