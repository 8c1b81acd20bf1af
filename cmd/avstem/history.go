package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/report"
)

const historyLong = `Show what changed about one VM or host, on either side, and when: what a value
was, what it became, and which document of which host or which version of which
record made it so. With the changes stand the findings that opened and ended.

It is read from what NATS keeps: the last 64 documents of each source of each
host, which are hours or days, and the last 64 versions of each record of the
inventory. How far that reaches, and where documents are missing, is said at the
end.

--at shows everything that was known of it at a time, as explain would have.`

const historyExample = `  avstem history web-01
  avstem history web-01 --since 7d
  avstem history hv-osl1-01 --at 2026-11-24T03:10:00Z
  avstem history web-01 --at 90m -o json`

func newHistoryCommand(a *app) *cobra.Command {
	var (
		since  time.Duration
		at     time.Time
		format string
	)
	c := &cobra.Command{
		Use:     "history VM|HOST",
		Short:   "Show what changed about one VM or host, and when",
		Long:    historyLong,
		Example: historyExample,
		Args:    oneArgument("VM or host"),
		RunE: func(c *cobra.Command, args []string) error {
			if !at.IsZero() {
				return a.explainAt(c.Context(), "show", args[0], at, format)
			}
			return a.history(c.Context(), args[0], since, format)
		},
	}
	durationflag.Var(c.Flags(), &since, "since", 24*time.Hour, "show the changes of the last `DURATION`, such as 90m or 7d")
	c.Flags().Var(&moment{at: &at, now: a.now}, "at", "show it as it was at a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

func (a *app) history(ctx context.Context, query string, since time.Duration, format string) error {
	line, err := a.pastOf(ctx, query)
	if err != nil {
		return fmt.Errorf("show the history of %q: %w", query, err)
	}
	now := a.now().UTC()
	line.Since, line.At = now.Add(-since), now
	if format == "json" {
		err = report.HistoryJSON(a.stdout, line)
	} else {
		err = report.History(a.stdout, line, report.Options{Width: a.width, Color: a.color, Now: now})
	}
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// pastOf finds what is meant, and reads and walks what is kept of it.
func (a *app) pastOf(ctx context.Context, query string) (*report.PastOf, error) {
	conn, err := a.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	s, err := a.subjectOf(ctx, conn, query)
	if err != nil {
		return nil, err
	}
	return a.timeline(ctx, conn, s)
}

// timeline reads and walks what is kept of a thing.
func (a *app) timeline(ctx context.Context, conn *bus.Conn, s *subject) (*report.PastOf, error) {
	p := &past{conn, s.site}
	entries, err := p.entries(ctx, s, a.notef)
	if err != nil {
		return nil, err
	}
	policy := p.policy(ctx, a.notef)
	line := &report.PastOf{Timeline: history.Walk(s.thing, entries, policy), Reach: history.ReachOf(entries, policy.DocumentAge, bus.KeptOfEach)}
	for i := range line.Reach.Sources {
		line.Reach.Sources[i].Name = s.hosts[line.Reach.Sources[i].Host]
	}
	if vm := s.explanation.VM; vm != nil {
		line.Record = vm.Record
	}
	drift, err := bus.DriftIn(s.site)
	if err != nil {
		return nil, err
	}
	line.Events, err = p.events(ctx, []string{drift}, time.Time{}, s.thing.About)
	return line, err
}
