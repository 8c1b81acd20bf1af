package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/report"
)

const blameLong = `Show when a value of a VM or host became what it is, on each side: from what to
what, and by which document of which host, or by which version of which record
in which file.

FIELD is a path as avstem explain and the findings write it
(nics[52:54:00:aa:00:01].vlan), or a field without its keys (nic.vlan,
vm.memory, memory): then all of its values are shown.

A value that came from several, such as the VLAN that a NIC is really on, is the
doing of the one that changed: a port of the host's switch, or Sentral's
network.`

func newBlameCommand(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "blame VM|HOST FIELD",
		Short: "Show when a value became what it is, and by what",
		Long:  blameLong,
		Example: `  avstem blame web-01 nic.vlan
  avstem blame web-01 'nics[52:54:00:aa:00:01].vlan'
  avstem blame hv-osl1-01 link.mtu -o json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return usageError{fmt.Errorf("%s wants a VM or host and a field, and got %s", c.CommandPath(), count(len(args), "argument"))}
		},
		RunE: func(c *cobra.Command, args []string) error { return a.blame(c.Context(), args[0], args[1], format) },
	}
	c.Flags().VarP(choiceflag.New(&format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}

func (a *app) blame(ctx context.Context, query, field, format string) error {
	doing := fmt.Sprintf("blame %s of %q", field, query)
	line, err := a.pastOf(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	answer := &report.Blamed{Thing: line.Thing, At: a.now().UTC(), Values: line.Blame(field), Reach: line.Reach, Record: line.Record}
	if len(answer.Values) == 0 {
		meant := ""
		if fields := near.Names(field, slices.Values(line.Fields()), 3); len(fields) > 0 {
			meant = "did you mean " + strings.Join(fields, " or ") + "? "
		}
		return fmt.Errorf("%s: it has no such field: %sit has %s", doing, meant, strings.Join(line.Fields(), ", "))
	}
	if format == "json" {
		err = report.BlameJSON(a.stdout, answer)
	} else {
		err = report.Blame(a.stdout, answer, report.Options{Width: a.width, Color: a.color, Now: answer.At})
	}
	if err != nil {
		return fmt.Errorf("write blame: %w", err)
	}
	return nil
}
