package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/cmd/internal/logging"
)

const serveLong = `Run the reconciler of one site against a NATS server that agents publish to.

The inventory is read again whenever it changes; while it can't be read, the
last one is used, and its age is said. Several may run for one site: one leads,
and another takes over within seconds when it ends, is killed or cut off.

With --with-nats the server runs in the same process, by the configuration that
"avstem auth init" wrote; its certificate is renewed in time. Where no server is
named and "avstem auth init" ran on this machine, that one's server and the
site's credentials are used.

Hosts enroll at --enroll-listen, with tokens of "avstem enroll token".

A server that can't be reached is waited for, at the start as later; one that
refuses the credentials, or that can't be trusted, ends it.

As a service of systemd (Type=notify) it tells how it is doing, and what it is
waiting for: systemctl status shows it. Inventory, policy and the certificate of
its own NATS server are taken up when they change, credentials with the next
connection, and the configuration file when it is restarted.`

type serveFlags struct {
	inventory string
	policy    string
	withNATS  bool
	enroll    string // address where hosts enroll
	watched   metricsFlag
}

func newServeCommand(a *app) *cobra.Command {
	var flags serveFlags
	c := &cobra.Command{
		Use:   "serve --inventory DIR",
		Short: "Run the reconciler against a NATS server",
		Long:  serveLong,
		Example: `  avstem serve --inventory /srv/inventory --server tls://nats.example.net --creds reconciler.creds --site osl1

  # from Sentral's HTTP API
  avstem serve --inventory https://sentral.example.net --site osl1

  # the NATS server, too, with what avstem auth init made
  avstem serve --inventory /srv/inventory --site osl1 --with-nats`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.watched.check(c); err != nil {
				return err
			}
			return untilStopped(c.Context(), a.serve(c.Context(), &flags))
		},
	}
	c.Flags().StringVar(&flags.inventory, "inventory", "", inventoryUsage)
	c.Flags().StringVar(&flags.policy, "policy", "", policyUsage)
	c.Flags().BoolVar(&flags.withNATS, "with-nats", false, "run the NATS server of avstem auth in this process")
	c.Flags().StringVar(&flags.enroll, "enroll-listen", "", "`ADDRESS` where hosts enroll, or none (default :"+issuerPort+" with --with-nats, else none)")
	c.Flags().StringVar(&a.authDir, "auth-dir", "", "`DIR` of keys and credentials (default auth in the state directory; AVSTEM_AUTH_DIR)")
	flags.watched.addFlag(c)
	return c
}

func (a *app) serve(ctx context.Context, flags *serveFlags) error {
	if flags.inventory == "" {
		return usageError{errors.New("avstem serve wants --inventory DIR, where Sentral's inventory is")}
	}
	judging, err := openPolicy(flags.policy)
	if err != nil {
		return err
	}
	log := a.logger()
	spec, err := source.Find(flags.inventory)
	if err != nil {
		return err
	}
	var tasks []task
	dial := func() (*bus.Conn, error) {
		return a.connectAs(ctx, "avstem-reconciler", log, a.reconcilerCreds)
	}
	if flags.withNATS {
		own, err := a.startOwnNATS(ctx, log)
		if err != nil {
			return err
		}
		defer own.Close()
		tasks = append(tasks, task{"renewal of the certificate", own.keepCertificate})
		dial = func() (*bus.Conn, error) { return own.Connect("avstem-reconciler", a.reconcilerCreds(own.dir), log) }
	}
	waits := patience{log: log, systemd: notify, first: firstWait}
	connect := sync.OnceValues(func() (*bus.Conn, error) { return waits.await(ctx, dial) })
	intended, err := a.openInventory(ctx, spec, connect, log)
	if err != nil {
		return err
	}
	a.global.site = intended.site // whose credentials it is to have
	conn, err := connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	watcher, err := flags.watched.open(log)
	if err != nil {
		return err
	}
	defer watcher.Close()
	log.Info("reconciling", "site", intended.site, "inventory", intended.first.Source, "nats", conn.Server())
	reconciler := watcher.reconciler(server.Options{
		Conn: conn, Site: intended.site, Watch: intended.source.Watch, Policy: judging.first, WatchPolicy: judging.watch, Logger: log,
		Keep: keepAt(bus.StateDir(a.global.stateDir, a.env), intended.site),
	})
	if flags.enroll == "" && flags.withNATS {
		flags.enroll = ":" + issuerPort
	}
	if flags.enroll != "" && flags.enroll != "none" {
		gate, err := a.openGate(flags.enroll, log.With("part", "issuer"))
		if err != nil {
			return err
		}
		gate.tell(intended.site, reconciler.Refuse)
		tasks = append(tasks, task{"issuer", gate.run})
	}
	told := service{words: reconciler.Words, systemd: notify}
	return runTogether(ctx, log, append(tasks, task{"reconciler", reconciler.Run}, task{"metrics", watcher.run}, task{"word to systemd", told.run})...)
}

// reconcilerCreds are those of the site that is meant. One that isn't named is the
// only one that has credentials.
func (a *app) reconcilerCreds(d *auth.Dir) string {
	return d.ReconcilerCreds(cmp.Or(a.site(), d.Sites()[0]))
}

// logger is for commands that run for long.
func (a *app) logger() *slog.Logger { return logging.New(a.stderr, slog.LevelInfo) }

// task is one part of a process.
type task struct {
	name string
	run  func(context.Context) error
}

// runTogether runs all tasks until ctx ends or one of them does, ends the
// others, and gives the first error. Tasks that don't end in time are left: the
// process is about to.
func runTogether(ctx context.Context, log *slog.Logger, tasks ...task) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, len(tasks))
	for _, t := range tasks {
		go func() {
			err := t.run(ctx)
			if err == nil && ctx.Err() == nil {
				err = fmt.Errorf("the %s ended by itself", t.name)
			}
			ended <- err
		}()
	}
	var first error
	left := len(tasks)
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case first = <-ended:
		left--
		cancel()
	}
	late := time.After(stopWithin)
	for ; left > 0; left-- {
		select {
		case err := <-ended:
			if first == nil {
				first = err
			}
		case <-late:
			log.Warn("not everything ended in time", "within", stopWithin)
			return first
		}
	}
	return first
}
