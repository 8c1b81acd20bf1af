package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/buildinfo"
)

func (a *app) versionCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which avstem-agent this is",
		Args:  noArguments,
	}
	output := addOutput(c, "text", "json")
	c.RunE = func(*cobra.Command, []string) error {
		b := buildinfo.Read()
		if *output == "json" {
			return a.writeJSON(b)
		}
		_, err := fmt.Fprintf(a.stdout, "avstem-agent %s (%s, %s)\n", b.Version, b.Go, b.Platform)
		return err
	}
	return c
}
