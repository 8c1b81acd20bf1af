package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/buildinfo"
	"github.com/dataverket/avstem/cmd/internal/choiceflag"
)

func newVersionCommand(a *app) *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Say which avstem this is",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := buildinfo.Read()
			if output == "json" {
				enc := json.NewEncoder(a.stdout)
				enc.SetIndent("", "  ")
				return enc.Encode(b)
			}
			_, err := fmt.Fprintf(a.stdout, "avstem %s (%s, %s)\n", b.Version, b.Go, b.Platform)
			return err
		},
	}
	c.Flags().VarP(choiceflag.New(&output, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return c
}
