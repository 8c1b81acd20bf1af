package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/resolve"
)

const explainLong = `Show everything that is known of one VM, host or finding: where it was seen and
how long ago, how both sides were matched and by which evidence, every field of
Sentral beside what the host shows, the way of each NIC through the host, and
the findings with what can be done on either side.

A VM is named by Sentral's ID, the runtime's UUID or ID, a name,
TENANT/PROJECT/NAME or a MAC address; a host by Sentral's ID, its host ID or its
name; a finding by its ID (f-…, which avstem drift -o wide shows).`

func newExplainCommand(a *app) *cobra.Command {
	var (
		format, bundled string
		at              time.Time
	)
	c := &cobra.Command{
		Use:   "explain VM|HOST|FINDING",
		Short: "Show everything that is known of one VM, host or finding",
		Long:  explainLong,
		Example: `  avstem explain web-01
  avstem explain acme/web/web-01
  avstem explain 52:54:00:aa:00:01
  avstem explain hv-osl1-01 -o json
  avstem explain --bundle ticket-4711.zip`,
		Args: func(c *cobra.Command, args []string) error {
			if bundled != "" && len(args) == 0 {
				return nil
			}
			return oneArgument("VM, host or finding")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case bundled != "" && !at.IsZero():
				return usageError{errors.New("a bundle is of one moment: --at and --bundle don't go together")}
			case bundled != "":
				return a.explainBundle(bundled, strings.Join(args, ""), format)
			}
			if !at.IsZero() {
				return a.explainAt(c.Context(), "explain", args[0], at, format)
			}
			return a.explain(c.Context(), args[0], format)
		},
	}
	c.Flags().Var(&moment{at: &at, now: a.now}, "at", "explain it as it was at a `TIME`: 2026-11-24T10:00:00Z, or how long ago, such as 90m")
	c.Flags().StringVar(&bundled, "bundle", "", "explain what is in a `FILE` that avstem bundle wrote, without a server")
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

func (a *app) explain(ctx context.Context, query, format string) error {
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("explain %q: %w", query, err)
	}
	defer conn.Close()
	e, site, err := a.askToExplain(ctx, conn, query)
	if err != nil {
		return fmt.Errorf("explain %q: %w", query, err)
	}
	c := report.NewCase(e)
	a.lookUp(ctx, conn, site, c)
	return a.writeExplanation(c, format)
}

// lookUp adds to a case what the reconciler doesn't answer with: what happened to
// its findings, and where records stand, by the site whose reconciler answered.
// Without either it is an answer still.
func (a *app) lookUp(ctx context.Context, conn *bus.Conn, site string, c *report.Case) {
	if err := findHistory(ctx, &past{conn, site}, c); err != nil {
		a.notef("without the history of its findings: %v", err)
	}
	if err := findPlaces(ctx, conn, site, c); err != nil {
		a.notef("without the places of its records: %v", err)
	}
}

// findHistory reads the events about the findings, from when the first of them was
// first seen.
func findHistory(ctx context.Context, p *past, c *report.Case) error {
	wanted := map[string]bool{}
	kinds := map[string]bool{}
	var since time.Time
	for i := range c.Findings {
		f := &c.Findings[i]
		subject, err := bus.DriftOf(p.site, string(f.Kind))
		if err != nil {
			return err
		}
		wanted[f.ID], kinds[subject] = true, true
		if since.IsZero() || f.FirstSeen.Before(since) {
			since = f.FirstSeen
		}
	}
	if len(wanted) == 0 || since.IsZero() {
		return nil
	}
	events, err := p.events(ctx, slices.Sorted(maps.Keys(kinds)), since.Add(-time.Minute), func(f *reconcile.Finding) bool { return wanted[f.ID] })
	if err != nil {
		return err
	}
	c.History = map[string][]history.Event{}
	for _, e := range events {
		c.History[e.Finding.ID] = append(c.History[e.Finding.ID], e)
	}
	return nil
}

// findPlaces asks where the records that could be edited stand now.
func findPlaces(ctx context.Context, conn *bus.Conn, site string, c *report.Case) error {
	edits := []*resolve.Edit{}
	for _, remedies := range c.Remedies {
		for i := range remedies {
			if remedies[i].Edit != nil {
				edits = append(edits, remedies[i].Edit)
			}
		}
	}
	if len(c.Remedies) == 0 {
		return nil
	}
	question, err := json.Marshal(edits)
	if err != nil {
		return err
	}
	answer, err := ask(ctx, conn, site, "places", question)
	if err != nil {
		return err
	}
	var places resolve.Places
	if err := json.Unmarshal(answer, &places); err != nil {
		return fmt.Errorf("decode the answer: %w", err)
	}
	c.Inventory = places.Inventory
	for i := range min(len(places.At), len(edits)) {
		edits[i].Where = places.At[i]
	}
	return nil
}

// askToExplain asks every site that is meant. All reconcilers may have the same
// inventory, so the one whose own site it is about has the answer, which comes with
// its site. Its errors leave it to the caller to say what was being done.
func (a *app) askToExplain(ctx context.Context, conn *bus.Conn, query string) (answer *reconcile.Explanation, from string, err error) {
	names, err := sites(ctx, conn, a.site())
	if err != nil {
		return nil, "", err
	}
	var (
		owners []string
		failed error
	)
	for _, site := range names {
		data, err := ask(ctx, conn, site, "explain", []byte(query))
		if err != nil {
			failed = moreTelling(failed, err)
			continue
		}
		e := new(reconcile.Explanation)
		if err := json.Unmarshal(data, e); err != nil {
			return nil, "", fmt.Errorf("site %s: decode the answer: %w", site, err)
		}
		own := siteOf(e) == site
		if own {
			owners = append(owners, site)
		}
		if answer == nil || own {
			answer, from = e, site
		}
	}
	switch {
	case len(owners) > 1:
		return nil, "", fmt.Errorf("it is known in %s: name one with --site", strings.Join(owners, " and "))
	case answer != nil:
		return answer, from, nil
	}
	return nil, "", withoutDoing(failed, fmt.Sprintf("explain %q: ", query))
}

// siteOf is the site that an explanation is about: where the thing was seen, else
// where it belongs.
func siteOf(e *reconcile.Explanation) string {
	switch {
	case e.VM != nil && e.VM.Observed != nil:
		return e.VM.Observed.Site
	case e.VM != nil && e.VM.Intended != nil:
		return e.VM.Intended.Site
	case e.Host != nil && e.Host.Observed != nil:
		return e.Host.Observed.Site
	case e.Host != nil && e.Host.Intended != nil:
		return e.Host.Intended.Site
	case len(e.Findings) > 0:
		return e.Findings[0].Subject.Site
	}
	return ""
}

// moreTelling keeps the error that says more: "not known" of one site says
// nothing where another didn't answer or knows several.
func moreTelling(a, b error) error {
	if a == nil {
		return b
	}
	if answer, ok := errors.AsType[*answerError](a); ok && answer.code == "404" {
		return b
	}
	return a
}

func (a *app) writeExplanation(c *report.Case, format string) error {
	var err error
	if format == "json" {
		err = report.ExplainJSON(a.stdout, c)
	} else {
		err = report.Explain(a.stdout, c, report.Options{Width: a.width, Color: a.color})
	}
	if err != nil {
		return fmt.Errorf("write explanation: %w", err)
	}
	return nil
}
