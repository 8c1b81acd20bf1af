package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
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
	c := &cobra.Command{
		Use:   "run",
		Short: "Observe this host and publish what is seen, until stopped",
		Long:  runLong,
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if a.host.Interval <= 0 || a.host.Refresh <= 0 {
				return usageError{fmt.Errorf("--interval and --refresh must be more than nothing")}
			}
			return a.run(c.Context(), where, level)
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
	flags.TextVar(&level, "log-level", slog.LevelInfo, "`LEVEL` of the log on standard error: debug, info, warn or error")
	return c
}

func (a *app) run(ctx context.Context, where bus.Options, level slog.Level) error {
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
	began := time.Now()
	err = host.Run(ctx)
	logger.Info("agent has stopped", "ran", time.Since(began).Round(time.Second))
	return err
}
