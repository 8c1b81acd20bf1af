package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/agent"
	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/cmd/internal/logging"
	"github.com/dataverket/avstem/cmd/internal/monitor"
	"github.com/dataverket/avstem/enroll"
)

const runLong = `Passes over every source at an interval, and at once over one that tells of a
change, and publishes what changed, and everything now and then. It needs no
server to start with: it publishes what it last saw as soon as it finds one.

The NATS server is found by --server, --context, AVSTEM_SERVER, AVSTEM_CONTEXT
or the configuration file; else by what "avstem-agent enroll" or "avstem auth
host" left in the state directory; else by the socket there, the selected NATS
context, or the "avstem up" that runs on this machine.

As a service of systemd (Type=notify) it tells how it is doing: systemctl status
shows it. On SIGHUP it reads its configuration again ("config show" says what it
takes); on SIGTERM it ends.`

func (a *app) runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Observe this host and publish what is seen, until stopped",
		Long:  runLong,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return a.run(c.Context()) },
	}
	flags := c.Flags()
	flags.SortFlags = false
	a.where.Add(flags)
	durationflag.Var(flags, &a.host.Interval, "interval", agent.DefaultInterval, "`DURATION` between two passes over a source")
	durationflag.Var(flags, &a.host.Refresh, "refresh", agent.DefaultRefresh, "`DURATION` after which a document is published again, changed or not")
	flags.StringVar(&a.metrics, "metrics", monitor.DefaultAgent, "`ADDRESS` for Prometheus's /metrics, and for /healthz and /readyz, or none")
	flags.TextVar(&a.logLevel, "log-level", slog.LevelInfo, "`LEVEL` of the log: debug, info, warn or error")
	return c
}

func (a *app) run(ctx context.Context) error {
	where, member, err := a.reach()
	if err != nil {
		return fmt.Errorf("run agent: %w", err)
	}
	d := &service{app: a, level: new(slog.LevelVar), systemd: notify, now: time.Now}
	d.level.Set(a.logLevel)
	d.log = logging.New(a.stderr, d.level)
	d.use(where)
	o := a.host
	o.Logger, o.Version, o.Beat, o.Connect = d.log, buildinfo.Read().Version, agent.DefaultBeat, d.connect
	host, err := hostagent.Open(ctx, o)
	if err != nil {
		return fmt.Errorf("run agent: %w", err)
	}
	defer host.Close()
	if member.Host != uuid.Nil && member.Host != host.ID() {
		return fmt.Errorf("run agent: the credentials in %s are those of host %s, and this is host %s: enroll it again, or copy its own there", a.host.StateDir, member.Host, host.ID())
	}
	watched, err := monitor.Open(a.metrics, a.asked("metrics"), d.log)
	if err != nil {
		return fmt.Errorf("run agent: %w", err)
	}
	defer watched.Close()
	watched.Register(host.Metrics(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	d.host = host
	renewing := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer close(renewing)
		if member.Issuer != "" {
			enroll.KeepRenewed(ctx, a.host.StateDir, func() hostid.Evidence { return a.evidence(ctx) }, d.log)
		}
	}()
	defer func() {
		stop()
		<-renewing
	}()
	began := time.Now()
	err = alongside(ctx, d.run, func(ctx context.Context) error { return watched.Run(ctx, host.NotReady) })
	d.log.Info("agent has stopped", "ran", time.Since(began).Round(time.Second))
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

// reach says how this agent gets to NATS. Where nothing names a server, it is the
// one of which an enrolment left credentials in the state directory; its site is the
// agent's then, unless another one is named.
func (a *app) reach() (bus.Options, enroll.Member, error) {
	where, err := a.where.Options(a.file, a.env)
	if err != nil || a.where.Elsewhere(a.env) || where.File.Server != "" || where.File.Context != "" {
		return where, enroll.Member{}, err
	}
	m, err := enroll.ReadMember(a.host.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return where, enroll.Member{}, nil
	}
	if err != nil {
		return bus.Options{}, enroll.Member{}, err
	}
	kept, err := m.Where(a.host.StateDir)
	if err != nil {
		return bus.Options{}, enroll.Member{}, err
	}
	where.Server, where.How = kept.Server, "the enrolment in "+a.host.StateDir
	where.Creds, where.CA = cmp.Or(where.Creds, kept.Creds), cmp.Or(where.CA, kept.CA)
	if !a.asked("site") {
		a.host.Site = m.Site
	}
	return where, m, nil
}
