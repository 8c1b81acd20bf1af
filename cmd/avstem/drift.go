package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

const driftLong = `Show where hosts and Sentral differ now: the open findings, gravest first.

A finding is pending while it may still go away by itself (a reboot, a
migration), then open, then resolved. Pending ones are counted; --all shows
them too, with those that were resolved in the last days.

In the table, what follows from another finding is counted below its cause, and
one difference on four or more subjects is one row. Every other format has each
finding by itself, and all that is known of it.

--at judges both sides as they stood then, by what NATS keeps of documents and
records. It says what differed, and not since when nor whether that was open or
pending.

Exit status: 0, or with --fail-on 3 if an open finding that is shown is that
severe or worse, and 1 if there is none and no reconciler judges at the moment.`

const driftExample = `  avstem drift
  avstem drift --severity high --tenant acme
  avstem drift --kind nic -o markdown

  # in a pipeline: stop it if something critical or high is open
  avstem drift --fail-on high -o json > drift.json`

func newDriftCommand(a *app) *cobra.Command {
	var (
		asked selection
		out   findingsOutput
		all   bool
		at    time.Time
	)
	c := &cobra.Command{
		Use:     "drift",
		Short:   "Show where hosts and Sentral differ now",
		Long:    driftLong,
		Example: driftExample,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			asked.site = a.site()
			if err := asked.check(); err != nil {
				return err
			}
			if !at.IsZero() {
				return a.driftAt(c.Context(), &asked, &out, at)
			}
			return a.drift(c.Context(), &asked, &out, all)
		},
	}
	asked.addFlags(c)
	c.Flags().BoolVar(&all, "all", false, "show pending, suppressed and resolved findings too")
	c.Flags().Var(&moment{at: &at, now: a.now}, "at", "show what differed at a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
	out.addFlags(c)
	return c
}

func (a *app) drift(ctx context.Context, asked *selection, out *findingsOutput, all bool) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("show drift: %w", err)
	}
	defer conn.Close()
	findings, err := readFindings(ctx, conn)
	if err != nil {
		return fmt.Errorf("show drift: %w", err)
	}
	options := report.Options{Now: a.now(), Filter: asked.words()}
	judging, err := a.tell(ctx, conn, &options)
	ofSite := func(f reconcile.Finding) bool { return f.Subject.Site == asked.site }
	if errors.Is(err, errNoReconciler) && asked.site != "" && !slices.ContainsFunc(findings, ofSite) {
		// A misspelt site must not look like one without drift.
		return fmt.Errorf("show drift: %w", err)
	}
	if err != nil {
		a.notef("findings may be out of date: %v", err)
	}

	if err := a.checkNames(ctx, conn, asked, findings); err != nil {
		return fmt.Errorf("show drift: %w", err)
	}

	var shown []reconcile.Finding
	pending := 0
	for _, f := range asked.apply(findings) {
		switch {
		case all || f.State == reconcile.Open:
			shown = append(shown, f)
		case f.State == reconcile.Pending:
			pending++
		}
	}
	options.Pending = &pending
	if err := out.write(a, shown, options); err != nil || out.failOn == "" || judging {
		return err
	}
	// A pipeline must not pass because nobody looked.
	return fmt.Errorf("show drift: nobody can say that there is none of --fail-on %s: no reconciler judges at the moment", out.failOn)
}

func readFindings(ctx context.Context, conn *bus.Conn) ([]reconcile.Finding, error) {
	raw, err := conn.Findings(ctx)
	if err != nil {
		return nil, err
	}
	findings := make([]reconcile.Finding, 0, len(raw))
	for _, data := range raw {
		var f reconcile.Finding
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("decode finding: %w", err)
		}
		findings = append(findings, f)
	}
	return findings, nil
}

// tell adds to the page what the reconcilers say of their passes, and to
// standard error what a reader must know before trusting it: whether all of them
// judge at the moment. Its error is why they say nothing.
func (a *app) tell(ctx context.Context, conn *bus.Conn, options *report.Options) (judging bool, err error) {
	states, err := statuses(ctx, conn, a.site(), "")
	if err != nil {
		return false, err
	}
	judging = true
	var hosts, vms, agreeing int
	for _, s := range states {
		if !s.Ready {
			judging = false
			a.notef("findings may be out of date: the reconciler of site %s judges nothing at the moment%s", s.Site, because(s.Waiting))
		}
		hosts, vms, agreeing = hosts+s.Hosts, vms+s.VMs, agreeing+s.Agreeing
	}
	options.Hosts, options.VMs, options.Agreeing = &hosts, &vms, &agreeing
	return judging, nil
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
