package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dataverket/avstem/test/fleet"
)

// joins does the same reconciliation in databases: the same documents and the same
// inventory, as rows.
func joins(ctx context.Context, f *fleet.Fleet, dir string, m measured, findings map[fleet.Row]int) error {
	tables := filepath.Join(dir, "tables")
	if err := errors.Join(os.Mkdir(tables, 0o755), os.Chmod(dir, 0o755)); err != nil {
		return err
	}
	converting, err := f.WriteRows(tables)
	if err != nil {
		return err
	}
	total := 0
	for _, n := range findings {
		total += n
	}
	figure("SQL: documents and inventory made into rows", seconds(converting), "s", fmt.Sprintf("on one core; %.1f× the cold start", converting.Seconds()/m.cold.Seconds()))
	for _, database := range []struct {
		name string
		join func(context.Context, string) (fleet.Joined, error)
	}{{"SQLite", fleet.SQLite}, {"PostgreSQL", fleet.PostgreSQL}} {
		joined, err := database.join(ctx, tables)
		if errors.Is(err, fleet.ErrNoPostgreSQL) {
			fmt.Printf("%s: not measured: %v\n", database.name, err)
			continue
		}
		if err != nil {
			return err
		}
		against := func(d time.Duration) string {
			return fmt.Sprintf("%.1f× the full pass, %.0f× one host's change", d.Seconds()/m.pass.Seconds(), d.Seconds()/m.change.Seconds())
		}
		found, wrong := joined.Against(findings)
		figure(database.name+": load rows and make indexes", seconds(joined.Load), "s", against(joined.Load))
		figure(database.name+": join", seconds(joined.Join), "s", against(joined.Join))
		figure(database.name+": load and join", seconds(joined.Load+joined.Join), "s", against(joined.Load+joined.Join))
		all := converting + joined.Load + joined.Join
		figure(database.name+": from documents to findings", seconds(all), "s", fmt.Sprintf("%.1f× the cold start", all.Seconds()/m.cold.Seconds()))
		figure(database.name+": of the findings it has", found, "findings", fmt.Sprintf("%.1f %% of %d", 100*float64(found)/float64(total), total))
		figure(database.name+": false findings", wrong, "findings", "")
	}
	return nil
}
