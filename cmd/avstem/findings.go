package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

// findingsOutput is how the commands that list findings write them and what
// status they leave.
type findingsOutput struct {
	format string
	failOn string
}

func (o *findingsOutput) addFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.VarP(choiceflag.New(&o.format, "table", "wide", "json", "csv", "markdown"), "output", "o", "`FORMAT`: table, wide (a row and its ID for each finding), json, csv or markdown")
	flags.Var(choiceflag.Optional(&o.failOn, severityWords...), "fail-on",
		"exit 3 if an open finding that is shown is of `SEVERITY` or worse: "+strings.Join(severityWords, ", "))
}

// write writes the findings, and says by its error whether --fail-on asked about
// one of them.
func (o *findingsOutput) write(a *app, findings []reconcile.Finding, options report.Options) error {
	options.Width, options.Color = a.width, a.color
	var err error
	switch o.format {
	case "json":
		err = report.JSON(a.stdout, findings)
	case "csv":
		err = report.CSV(a.stdout, findings)
	case "markdown":
		err = report.Markdown(a.stdout, findings, options)
	case "wide":
		options.IDs = true
		err = report.Table(a.stdout, findings, options)
	default:
		err = report.Table(a.stdout, findings, options)
	}
	if err != nil {
		return fmt.Errorf("write findings: %w", err)
	}
	failed := func(f reconcile.Finding) bool { return f.State == reconcile.Open && asSevere(&f, o.failOn) }
	if o.failOn != "" && slices.ContainsFunc(findings, failed) {
		return driftError{}
	}
	return nil
}
