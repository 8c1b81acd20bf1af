package fleet

import (
	"context"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// Churn publishes so many changes a second for a while: nine of ten are another
// number of vCPUs, which is drift, or its end the next time, the tenth a VM that
// moves to its host's partner. What is published when is made up before, so that the
// pace is kept as far as publishing can. Took is how long it really was.
func (h *Hosts) Churn(ctx context.Context, w *World, aSecond int, during time.Duration) (documents int, took time.Duration, err error) {
	const every = 100 * time.Millisecond
	batches := make([]map[int][]*inventory.Observation, during/every)
	pick := picker{w: w}
	for i := range batches {
		from, to := i*aSecond/int(time.Second/every), (i+1)*aSecond/int(time.Second/every)
		for n := from; n < to; n++ {
			vm, host, partner := pick.next()
			if n%10 == 9 {
				w.Show(vm, Spot{Host: partner})
				continue
			}
			vm = host*h.fleet.VMs + 3%h.fleet.VMs // one VM of each host comes and goes
			if w.Settled(vm) {
				w.Resize(vm, 5-w.vcpusOf(vm))
			}
		}
		batches[i] = w.Changed()
	}
	begin := time.Now()
	for i, batch := range batches {
		select {
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-time.After(time.Until(begin.Add(time.Duration(i) * every))):
		}
		n, err := h.each(ctx, func(host int) []*inventory.Observation { return batch[host] })
		documents += n
		if err != nil {
			return documents, time.Since(begin), err
		}
	}
	return documents, time.Since(begin), nil
}

// Flood changes one VM of every host, and publishes that as fast as it can.
func (h *Hosts) Flood(ctx context.Context, w *World) (documents int, err error) {
	for host := range h.fleet.Hosts {
		if vm := host*h.fleet.VMs + 5%h.fleet.VMs; w.Quiet(host) && w.Settled(vm) {
			w.Resize(vm, 5-w.vcpusOf(vm))
		}
	}
	return h.Changed(ctx, w)
}

// picker picks VMs that don't drift and have not moved, on hosts that don't drift.
type picker struct {
	w *World
	n int
}

func (p *picker) next() (vm, host, partner int) {
	f := p.w.f
	for {
		p.n = (p.n + 7919) % (f.Hosts * f.VMs)
		vm, host = p.n, p.n/f.VMs
		if p.w.Quiet(host) && p.w.Settled(vm) && vm%f.VMs != 3%f.VMs && vm%f.VMs != 5%f.VMs {
			partner, _ = f.Partner(host)
			return vm, host, partner
		}
	}
}
