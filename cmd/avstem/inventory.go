package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/avstem/internal/source"
	"github.com/dataverket/avstem/sentral"
)

// inventoryUsage is what the flags that take an inventory say of themselves.
const inventoryUsage = "`WHERE` Sentral's inventory is: a directory of YAML or JSON files, https://HOST, nats-kv:BUCKET, netbox+https://HOST, or a file that says more of it (sentral.md in /usr/share/doc/avstem)"

// intended is the inventory that a reconciler runs with.
type intended struct {
	source sentral.Source
	first  *sentral.Inventory // as it was at the start
	site   string
}

// openInventory reads the inventory once, so that what is wrong with it or with
// the site is said before anything is started. Where the site is named, an
// inventory that comes over a network may be away: it is waited for.
func (a *app) openInventory(ctx context.Context, spec *source.Spec, connect func() (*bus.Conn, error), log *slog.Logger) (*intended, error) {
	from, err := spec.Open(connect)
	if err != nil {
		return nil, err
	}
	first, err := from.Read(ctx)
	if err != nil {
		if !spec.Remote() || a.site() == "" || ctx.Err() != nil {
			return nil, err
		}
		log.Warn("the inventory can't be read yet, and is asked for again", "err", err)
		first = &sentral.Inventory{Source: spec.From, Stale: err.Error(), Incomplete: true}
	}
	site, err := chooseSite(first, a.site())
	if err != nil {
		return nil, err
	}
	return &intended{from, first, site}, nil
}

// readInventory reads it once.
func (a *app) readInventory(ctx context.Context, where string) (*sentral.Inventory, error) {
	spec, err := source.Find(where)
	if err != nil {
		return nil, err
	}
	from, err := spec.Open(func() (*bus.Conn, error) { return a.connect(ctx) })
	if err != nil {
		return nil, err
	}
	return from.Read(ctx)
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
		return "", usageError{fmt.Errorf("choose a site of the inventory in %s: %w", inv.Source, names.Check("site", asked, sites))}
	}
	return asked, bus.CheckName("site", asked)
}

// keepAt is where a site's reconciler keeps the inventory that it uses.
func keepAt(stateDir, site string) string {
	return filepath.Join(stateDir, "inventory-"+site+".json")
}
