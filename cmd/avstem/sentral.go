package main

import (
	"encoding/json"

	"github.com/spf13/cobra"
)

const sentralLong = `Work with Sentral's inventory: serve files as Sentral's HTTP API, check files
before they are used, and write down as records what was observed.

/usr/share/doc/avstem/sentral.md explains the records and every place that they
can come from.`

func newSentralCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "sentral",
		Short: "Work with Sentral's inventory",
		Long:  sentralLong,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSentralServeCommand(a), newSentralLintCommand(a), newSentralPushCommand(a), newSentralAdoptCommand(a))
	return c
}

// writeJSON writes a value for programs.
func (a *app) writeJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
