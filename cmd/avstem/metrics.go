package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/avstem/internal/metrics"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/internal/monitor"
)

// metricsFlag is where a command that runs for long can be watched.
type metricsFlag struct {
	address string
	asked   bool // somebody asked for the address
}

func (f *metricsFlag) addFlag(c *cobra.Command) {
	c.Flags().StringVar(&f.address, "metrics", monitor.DefaultReconciler, "`ADDRESS` for Prometheus's /metrics, and for /healthz and /readyz, or none")
}

func (f *metricsFlag) check(c *cobra.Command) error {
	f.asked = c.Flags().Changed("metrics")
	if err := monitor.CheckAddress(f.address); err != nil {
		return usageError{fmt.Errorf("--metrics: %w", err)}
	}
	return nil
}

// watcher is the monitor of a reconciler.
type watcher struct {
	*monitor.Monitor
	server *server.Server
}

func (f *metricsFlag) open(log *slog.Logger) (*watcher, error) {
	m, err := monitor.Open(f.address, f.asked, log)
	if err != nil {
		return nil, err
	}
	m.Register(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &watcher{Monitor: m}, nil
}

// reconciler makes a server that is watched.
func (w *watcher) reconciler(o server.Options) *server.Server {
	r := metrics.New(o.Site, func(now time.Time) server.Vitals { return w.server.Vitals(now) })
	o.Stepped = r.Stepped
	w.server = server.New(o)
	w.Register(r)
	return w.server
}

func (w *watcher) run(ctx context.Context) error {
	return w.Run(ctx, func() string { return w.server.NotReady(time.Now().UTC()) })
}

func orNone(address string) string {
	if address == "" {
		return monitor.None
	}
	return "http://" + address + "/metrics"
}
