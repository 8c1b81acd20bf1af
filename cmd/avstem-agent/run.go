package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/monitor"
)

const runLong = `Passes over every source at an interval, and at once over one that tells of a
change, and publishes what changed, and everything now and then. It needs no
server to start with: it publishes what it last saw as soon as it finds one.

The NATS server is found by --server, --context, AVSTEM_SERVER or
AVSTEM_CONTEXT; else by the socket in the state directory, the selected NATS
context, or the "avstem up" that runs on this machine.`

func (a *app) runCommand() *cobra.Command {
	var where bus.Options
	var level slog.Level
	var metrics string
	c := &cobra.Command{
		Use:   "run",
		Short: "Observe this host and publish what is seen, until stopped",
		Long:  runLong,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.host.Interval <= 0 || a.host.Refresh <= 0 {
				return usageError{fmt.Errorf("--interval and --refresh must be more than nothing")}
			}
			if err := monitor.CheckAddress(metrics); err != nil {
				return usageError{fmt.Errorf("--metrics: %w", err)}
			}
			return a.run(c.Context(), where, level, metrics, c.Flags().Changed("metrics"))
		},
	}
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringVar(&where.Server, "server", "", "NATS server `URL`; several with commas")
	flags.StringVar(&where.Context, "context", "", "NATS context `NAME`, as the nats command keeps them")
	flags.StringVar(&where.Creds, "creds", "", "NATS credentials `FILE`")
	flags.StringVar(&where.CA, "ca", "", "`FILE` of the certificate authorities that are trusted")
	flags.StringVar(&where.Cert, "cert", "", "`FILE` of the client's certificate")
	flags.StringVar(&where.Key, "key", "", "`FILE` of the client certificate's key")
	flags.DurationVar(&a.host.Interval, "interval", agent.DefaultInterval, "`DURATION` between two passes over a source")
	flags.DurationVar(&a.host.Refresh, "refresh", agent.DefaultRefresh, "`DURATION` after which a document is published again, changed or not")
	flags.StringVar(&metrics, "metrics", monitor.DefaultAgent, "`ADDRESS` for Prometheus's /metrics, and for /healthz and /readyz, or none")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "`LEVEL` of the log on standard error: debug, info, warn or error")
	return c
}

func (a *app) run(ctx context.Context, where bus.Options, level slog.Level, metrics string, asked bool) error {
	logger := slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level}))
	where.Logger, where.Getenv = logger, a.env
	o := a.host
	o.Logger, o.Version, o.Beat = logger, buildinfo.Read().Version, agent.DefaultBeat
	o.Connect = func(ctx context.Context) (*bus.Conn, error) { return bus.Connect(ctx, where) }
	host, err := hostagent.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("run agent: %w", err)
	}
	defer host.Close()
	where.Name = "avstem-agent " + host.ID().String()
	watched, err := monitor.Open(metrics, asked, logger)
	if err != nil {
		return fmt.Errorf("run agent: %w", err)
	}
	defer watched.Close()
	watched.Register(host.Metrics(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	began := time.Now()
	err = alongside(ctx, host.Run, func(ctx context.Context) error { return watched.Run(ctx, host.NotReady) })
	logger.Info("agent has stopped", "ran", time.Since(began).Round(time.Second))
	return err
}

// alongside runs both until ctx ends or the first does. That the other one fails
// is an error, and ends the first too.
func alongside(ctx context.Context, first, other func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := other(ctx); err != nil {
			cancel(err)
		}
	}()
	err := first(ctx)
	cause := context.Cause(ctx)
	cancel(nil)
	<-ended
	if err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	return err
}
