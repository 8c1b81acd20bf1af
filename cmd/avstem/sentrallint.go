package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/sentral/files"
	"github.com/dataverket/avstem/sentral/lint"
)

const sentralLintLong = `Check an inventory's files, for those who edit them and for a pull request's
checks.

An error breaks the contract: the record is left out, or leads nowhere. A
warning is taken and hardly meant: VMs that don't fit into their project's
quota, two networks with one VLAN. A hint says where avstem sees less than it
might. Each comes with file, line, column and key, and with what to do.

Exit status: 0, or 3 if there is a note that --fail-on asks about.`

const sentralLintExample = `  avstem sentral lint ./inventory
  avstem sentral lint . --fail-on warning
  avstem sentral lint . -o json | jq -r '.[] | select(.level == "error") | .where'`

func newSentralLintCommand(a *app) *cobra.Command {
	var format, failOn string
	c := &cobra.Command{
		Use:     "lint DIR",
		Short:   "Check an inventory's files",
		Long:    sentralLintLong,
		Example: sentralLintExample,
		Args:    oneArgument("directory"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.sentralLint(c.Context(), args[0], format, failOn)
		},
	}
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	c.Flags().Var(choiceflag.New(&failOn, "error", "warning", "hint", "none"), "fail-on", "exit 3 if there is a note of `LEVEL` or worse: error, warning, hint; or none")
	return c
}

func (a *app) sentralLint(ctx context.Context, dir, format, failOn string) error {
	source, err := files.Open(dir)
	if err != nil {
		return err
	}
	records, faults, err := source.Records(ctx)
	if err != nil {
		return err
	}
	notes := lint.Check(records, faults)
	if format == "json" {
		err = a.writeJSON(append([]lint.Note{}, notes...))
	} else {
		err = writeNotes(a.stdout, notes, len(records))
	}
	if err != nil {
		return fmt.Errorf("write notes: %w", err)
	}
	if failOn != "none" && slices.ContainsFunc(notes, func(n lint.Note) bool { return n.Level.AtLeast(lint.Level(failOn)) }) {
		return driftError{}
	}
	return nil
}

// writeNotes writes them as compilers do, so that editors can jump to each, and
// below each what to do.
func writeNotes(w io.Writer, notes []lint.Note, records int) error {
	var b strings.Builder
	levels := map[lint.Level]int{}
	for i, n := range notes {
		levels[n.Level]++
		fmt.Fprintf(&b, "%s\n", report.Printable(n.String()))
		// What is to be done about several notes of one record is said after the last.
		if i+1 == len(notes) || notes[i+1].Record != n.Record || notes[i+1].File != n.File || notes[i+1].Hint != n.Hint {
			fmt.Fprintf(&b, "    %s\n", report.Printable(n.Hint))
		}
	}
	fmt.Fprintf(&b, "%s: %s, %s, %s\n", count(records, "record"), count(levels[lint.Error], "error"), count(levels[lint.Warning], "warning"), count(levels[lint.Hint], "hint"))
	_, err := io.WriteString(w, b.String())
	return err
}
