package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
)

const serveLong = `Run the reconciler of one site against a NATS server that agents publish to.

The inventory is read again whenever its files change. There is to be one
reconciler for each site: a second one is noticed, and both say so.`

func newServeCommand(a *app) *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:     "serve --inventory DIR",
		Short:   "Run the reconciler against a NATS server",
		Long:    serveLong,
		Example: `  avstem serve --inventory /srv/inventory --server tls://nats.example.net --creds reconciler.creds --site osl1`,
		Args:    noArguments,
		RunE:    func(c *cobra.Command, _ []string) error { return a.serve(c.Context(), dir) },
	}
	c.Flags().StringVar(&dir, "inventory", "", "`DIR` with Sentral's inventory as YAML or JSON files")
	return c
}

func (a *app) serve(ctx context.Context, dir string) error {
	if dir == "" {
		return usageError{errors.New("avstem serve wants --inventory DIR, where Sentral's inventory is")}
	}
	intended, err := a.openInventory(ctx, dir)
	if err != nil {
		return err
	}
	log := a.logger()
	conn, err := a.connectLogged(ctx, "avstem-reconciler", log)
	if err != nil {
		return err
	}
	defer conn.Close()
	log.Info("reconciling", "site", intended.site, "inventory", intended.first.Source, "nats", conn.NATS().ConnectedUrlRedacted())
	reconciler := server.New(server.Options{
		Conn: conn, Site: intended.site, Watch: intended.source.Watch, Policy: reconcile.DefaultPolicy(), Logger: log,
	})
	return runTogether(ctx, log, task{"reconciler", reconciler.Run})
}

// connectLogged connects for as long as the process lives.
func (a *app) connectLogged(ctx context.Context, name string, log *slog.Logger) (*bus.Conn, error) {
	return bus.Connect(ctx, bus.Options{
		Server: a.global.server, Context: a.global.context, StateDir: a.global.stateDir,
		Auth: bus.Auth{Creds: a.global.creds}, Name: name, Getenv: a.env, Logger: log,
	})
}

// logger is for commands that run for long.
func (a *app) logger() *slog.Logger { return slog.New(slog.NewTextHandler(a.stderr, nil)) }

// intended is the inventory that a reconciler runs with.
type intended struct {
	source *files.Source
	first  *sentral.Inventory // as it was at the start
	site   string
}

// openInventory reads the inventory once, so that what is wrong with it or with
// the site is said before anything is started.
func (a *app) openInventory(ctx context.Context, dir string) (*intended, error) {
	source, err := files.Open(dir)
	if err != nil {
		return nil, err
	}
	first, err := source.Read(ctx)
	if err != nil {
		return nil, err
	}
	site, err := chooseSite(first, a.site())
	if err != nil {
		return nil, err
	}
	return &intended{source, first, site}, nil
}

// chooseSite takes the site that was asked for, or the inventory's only one.
func chooseSite(inv *sentral.Inventory, asked string) (string, error) {
	var sites []string
	for _, site := range inv.Sites {
		sites = append(sites, site.ID)
	}
	slices.Sort(sites)
	switch {
	case asked == "" && len(sites) == 1:
		asked = sites[0]
	case asked == "" && len(sites) == 0:
		return "", fmt.Errorf("choose a site: the inventory in %s names none: add one to it (sites: [{id: …}]), or name it with --site", inv.Source)
	case asked == "":
		return "", fmt.Errorf("choose a site: the inventory in %s has %s: name one with --site", inv.Source, strings.Join(sites, ", "))
	case len(sites) > 0 && !slices.Contains(sites, asked) && !inv.Incomplete:
		return "", fmt.Errorf("choose a site: the inventory in %s has no site %q: it has %s", inv.Source, asked, strings.Join(sites, ", "))
	}
	return asked, bus.CheckName("site", asked)
}

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
