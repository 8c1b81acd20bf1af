package collectorstest

import (
	"context"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// pass makes one pass.
func pass(ctx context.Context, c collectors.Collector) *inventory.Observation {
	r := collectors.Runner{Collector: c}
	return r.Run(ctx)
}

// watched tells when the collector itself returned, which a runner that has
// given it up does not wait for.
type watched struct {
	collectors.Collector
	returned chan error
}

func watch(c collectors.Collector) *watched {
	return &watched{Collector: c, returned: make(chan error, 1)}
}

func (w *watched) Collect(ctx context.Context, b *collectors.Builder) (err error) {
	defer func() { w.returned <- err }() // a panic passes by, for the runner
	return w.Collector.Collect(ctx, b)
}

// cancelledPass makes a pass under a context that is done from the beginning.
// It returns the collector's own error, and false if it did not return.
func (s *suite) cancelledPass(c collectors.Collector) (o *inventory.Observation, err error, returned bool) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := watch(c)
	o = pass(ctx, w)
	select {
	case err := <-w.returned:
		return o, err, true
	case <-time.After(s.patience):
		return o, nil, false
	}
}
