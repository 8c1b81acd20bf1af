package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/durationflag"
	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/inventory/duration"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/report/drift"
	"github.com/dataverket/avstem/statefile"
)

const reportLong = `Report on drift, platform by platform: what is open by kind and severity, how
that went over time, which hosts, projects and VMs have most of it, what
changed, how hosts and agents are, how well the platform can be seen and
reconciled, and every open finding with both values and both ways to resolve it.

What changed is held against the last report. That is the one that
--since-report names, else the last that was written to a file for the same
server, site and platform, which is kept in the state directory; without one it
is counted from the events since --since. A report on standard output leaves the
last one as it is.

--output takes a format, a place to write to, or both by turns. A place is a
file or a directory and has a slash or a dot in it; a file's ending tells its
format, and in a directory each report gets a name of its own. A file is
replaced when the new one is whole, so that a reader never gets half of one, and
a full disk leaves the old one.`

const reportExample = `  avstem report --platform libvirt
  avstem report -o drift.html

  # from a timer, for a web server to show
  avstem report --site osl1 -o /srv/www/avstem.html

  # a new one each day, beside the others
  avstem report -o html -o /srv/www/reports/`

// maxSince is how far back the events go at most (AVSTEM_DRIFT).
const maxSince = 30 * 24 * time.Hour

type reportFlags struct {
	platform    string
	since       time.Duration
	sinceReport string
	out         reportOutput
}

func newReportCommand(a *app) *cobra.Command {
	var flags reportFlags
	c := &cobra.Command{
		Use:     "report",
		Short:   "Report on drift, platform by platform",
		Long:    reportLong,
		Example: reportExample,
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			return a.report(c.Context(), &flags)
		},
	}
	c.Flags().StringVar(&flags.platform, "platform", "", "only `PLATFORM`, such as libvirt; else a section for each")
	durationflag.Var(c.Flags(), &flags.since, "since", 14*24*time.Hour, "show what happened over the last `DURATION`, such as 14d or 36h; at most 30d")
	c.Flags().StringVar(&flags.sinceReport, "since-report", "", "hold it against the report in `FILE`, which avstem report -o json wrote")
	c.Flags().VarP(&flags.out, "output", "o", "`FORMAT` or place: markdown, html, json or csv, a file, or a directory for one of each time")
	// A file may be named, too. It fails only where there is no such flag.
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(reportFormats, cobra.ShellCompDirectiveDefault))
	return c
}

func (f *reportFlags) check() error {
	switch {
	case f.since > maxSince:
		return usageError{fmt.Errorf("--since %s is longer than events are kept: want at most 30d", duration.Text(f.since))}
	case f.since == 0:
		return usageError{errors.New("--since 0: want more than nothing")}
	}
	return f.out.check()
}

func (a *app) report(ctx context.Context, flags *reportFlags) error {
	in := drift.Input{At: a.now().UTC(), Site: a.site(), Platform: flags.platform}
	conn, err := a.connect(ctx)
	if err != nil {
		return fmt.Errorf("report on drift: %w", err)
	}
	defer conn.Close()
	kept := a.lastReport(conn, in.Site, in.Platform)
	if in.Store, err = conn.FindingsMade(ctx); err != nil {
		return fmt.Errorf("report on drift: %w", err)
	}
	if in.Before, err = a.readBefore(flags.sinceReport, kept, &in); err != nil {
		return fmt.Errorf("report on drift: %w", err)
	}
	if err := a.gather(ctx, conn, flags, &in); err != nil {
		return fmt.Errorf("report on drift: %w", err)
	}
	r := drift.Make(in)
	if err := flags.out.write(a, r); err != nil {
		return fmt.Errorf("report on drift: %w", err)
	}
	if flags.out.place == "" {
		return nil
	}
	// That is told and no failure: the report itself has been written.
	err = statefile.MkdirAll(filepath.Dir(kept))
	if err == nil {
		err = replaceFile(kept, 0o600, func(w io.Writer) error { return report.DriftJSON(w, r) })
	}
	if err != nil {
		a.notef("the next report can't tell what changed since this one, as it can't be kept: %v", err)
	}
	return nil
}

// gather takes everything that a report is made of. What the reconcilers don't say
// is left out, with a note.
func (a *app) gather(ctx context.Context, conn *bus.Conn, flags *reportFlags, in *drift.Input) (err error) {
	if in.Findings, err = readFindings(ctx, conn); err != nil {
		return err
	}
	ofSite := func(f reconcile.Finding) bool { return f.Subject.Site == in.Site }
	err = a.askReconcilers(ctx, conn, in)
	switch {
	case errors.Is(err, errNoReconciler) && in.Site != "" && !slices.ContainsFunc(in.Findings, ofSite):
		return err // a misspelt site must not look like one without drift
	case err != nil:
		in.Notes = append(in.Notes, "Findings may be out of date, and nothing is said of hosts and of what can be seen: "+err.Error())
	}
	if err := a.checkNames(ctx, conn, &selection{platform: in.Platform, site: in.Site}, in.Findings); err != nil {
		return err
	}
	from := in.At.Add(-flags.since)
	in.History = drift.NewHistory(from)
	lost := 0
	whole, err := conn.DriftEvents(ctx, in.Site, from, func(e bus.DriftEvent) {
		var f reconcile.Finding
		if err := json.Unmarshal(e.Finding, &f); err != nil || f.ID == "" {
			lost++
			return
		}
		in.History.Add(drift.Event{At: e.Time, Change: reconcile.Change(e.Action), Finding: f})
	})
	if err != nil {
		in.Notes = append(in.Notes, "Nothing is said of what happened over time: "+err.Error())
		whole = in.At
	}
	if lost > 0 {
		in.Notes = append(in.Notes, count(lost, "event")+" could not be read, and what happened over time may be wrong by them.")
	}
	in.History.Begin(whole)
	for _, note := range in.Notes {
		a.notef("%s", note)
	}
	return nil
}

// askReconcilers asks every reconciler that is meant for its numbers and for how
// its hosts are. If one doesn't answer, nothing is said of any: a site less would
// look like a smaller fleet.
func (a *app) askReconcilers(ctx context.Context, conn *bus.Conn, in *drift.Input) error {
	states, err := statuses(ctx, conn, in.Site, "")
	if err != nil {
		return err
	}
	var numbers [][]evaluate.Numbers
	var health []evaluate.Health
	for _, s := range states {
		if !s.Ready {
			return fmt.Errorf("the reconciler of site %s judges nothing at the moment%s", s.Site, because(s.Waiting))
		}
		var counted evaluate.Answer
		if err := askValue(ctx, conn, s.Site, "numbers", string(evaluate.ByPlatform)+optional(in.Platform), &counted); err != nil {
			return err
		}
		numbers = append(numbers, counted.Numbers)
		var hosts evaluate.Health
		err := askValue(ctx, conn, s.Site, "health", in.Platform, &hosts)
		if errors.Is(err, errNoReconciler) { // it answered what it was asked before
			in.Notes = append(in.Notes, "Nothing is said of hosts: the reconciler of site "+s.Site+" is too old to know how they are.")
			continue
		} else if err != nil {
			return err
		}
		health = append(health, hosts)
	}
	in.Numbers = evaluate.Merge(numbers...)
	if len(health) == len(states) {
		whole := evaluate.MergeHealth(health...)
		in.Health = &whole
	}
	return nil
}

func optional(word string) string {
	if word == "" {
		return ""
	}
	return " " + word
}

// askValue asks and decodes the answer.
func askValue(ctx context.Context, conn *bus.Conn, site, endpoint, question string, answer any) error {
	data, err := ask(ctx, conn, site, endpoint, []byte(question))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("site %s: decode its %s: %w", site, endpoint, err)
	}
	return nil
}
