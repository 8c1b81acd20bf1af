package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/hostagent"
)

const collectLong = `Passes once over every source of this host and prints what it saw. Nothing is
published and nothing is written: no NATS and no root are needed, though without
root some values can't be read, and the output says which.

-o json gives an array of observations, which "avstem diff --observed" reads.
What could not be read is part of the answer: the exit status is 0.`

func (a *app) collectCommand() *cobra.Command {
	var source string
	c := &cobra.Command{
		Use:   "collect",
		Short: "Print what one pass over this host sees",
		Long:  collectLong,
		Args:  noArguments,
	}
	output := addOutput(c, "text", "json")
	c.Flags().StringVar(&source, "source", "", "only this `SOURCE`")
	c.RunE = func(c *cobra.Command, _ []string) error {
		o := a.host
		pass, err := hostagent.Collect(c.Context(), o, source)
		if _, unknown := errors.AsType[*hostagent.UnknownSourceError](err); unknown {
			return usageError{fmt.Errorf("--source: %w", err)}
		}
		if err != nil {
			return err
		}
		if *output == "json" {
			return a.writeJSON(pass.Observations)
		}
		return writePass(a.stdout, pass)
	}
	return c
}

func (a *app) writeJSON(v any) error {
	enc := json.NewEncoder(a.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}
