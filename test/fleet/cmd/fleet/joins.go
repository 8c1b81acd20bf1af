package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

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
	figure("SQL: documents and inventory made into rows", seconds(converting.Clock), "s",
		fmt.Sprintf("on one core, %s s of CPU; %s the cold start", seconds(converting.CPU), times(converting, m.cold)))
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
		against := func(u fleet.Used) string {
			return fmt.Sprintf("%s the full pass, %.0f× one host's change; %s s of CPU", times(u, m.pass), u.Clock.Seconds()/m.change.Seconds(), seconds(u.CPU))
		}
		found, wrong := joined.Against(findings)
		both := joined.Load.Add(joined.Join)
		figure(database.name+": load rows and make indexes", seconds(joined.Load.Clock), "s", against(joined.Load))
		figure(database.name+": join", seconds(joined.Join.Clock), "s", against(joined.Join))
		figure(database.name+": load and join", seconds(both.Clock), "s", against(both))
		all := both.Add(converting)
		figure(database.name+": from documents to findings", seconds(all.Clock), "s", fmt.Sprintf("%s the cold start", times(all, m.cold)))
		figure(database.name+": of the findings it has", found, "findings", fmt.Sprintf("%.1f %% of the %d of the full pass", 100*float64(found)/float64(total), total))
		figure(database.name+": false findings", wrong, "findings", "")
	}
	return nil
}

// times says how often as long as another one something took, and how often its CPU
// time, which others on the machine change less.
func times(u, other fleet.Used) string {
	return fmt.Sprintf("%.1f× (by CPU %.1f×)", u.Clock.Seconds()/other.Clock.Seconds(), u.CPU.Seconds()/other.CPU.Seconds())
}
