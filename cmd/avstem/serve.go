package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/cmd/internal/logging"
)

const serveLong = `Run the reconciler of one site against a NATS server that agents publish to.

The inventory is read again whenever it changes; while it can't be read, the last
one is used, and its age is said. Several may run for one site: one leads, and
another takes over within seconds when it ends, is killed or cut off.`

func newServeCommand(a *app) *cobra.Command {
	var (
		inventory, policy string
		watched           metricsFlag
	)
	c := &cobra.Command{
		Use:   "serve --inventory DIR",
		Short: "Run the reconciler against a NATS server",
		Long:  serveLong,
		Example: `  avstem serve --inventory /srv/inventory --server tls://nats.example.net --creds reconciler.creds --site osl1

  # from Sentral's HTTP API
  avstem serve --inventory https://sentral.example.net --site osl1`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := watched.check(c); err != nil {
				return err
			}
			return a.serve(c.Context(), inventory, policy, &watched)
		},
	}
	c.Flags().StringVar(&inventory, "inventory", "", inventoryUsage)
	c.Flags().StringVar(&policy, "policy", "", policyUsage)
	watched.addFlag(c)
	return c
}

func (a *app) serve(ctx context.Context, inventory, policyName string, watched *metricsFlag) error {
	if inventory == "" {
		return usageError{errors.New("avstem serve wants --inventory DIR, where Sentral's inventory is")}
	}
	judging, err := openPolicy(policyName)
	if err != nil {
		return err
	}
	log := a.logger()
	spec, err := source.Find(inventory)
	if err != nil {
		return err
	}
	connect := sync.OnceValues(func() (*bus.Conn, error) { return a.connectLogged(ctx, "avstem-reconciler", log) })
	intended, err := a.openInventory(ctx, spec, connect, log)
	if err != nil {
		return err
	}
	conn, err := connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	watcher, err := watched.open(log)
	if err != nil {
		return err
	}
	defer watcher.Close()
	log.Info("reconciling", "site", intended.site, "inventory", intended.first.Source, "nats", conn.NATS().ConnectedUrlRedacted())
	reconciler := watcher.reconciler(server.Options{
		Conn: conn, Site: intended.site, Watch: intended.source.Watch, Policy: judging.first, WatchPolicy: judging.watch, Logger: log,
		Keep: keepAt(bus.StateDir(a.global.stateDir, a.env), intended.site),
	})
	return runTogether(ctx, log, task{"reconciler", reconciler.Run}, task{"metrics", watcher.run})
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
