package main

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/reconcile"
)

// completeWords lets shells complete what flags take one of some words for, in a
// command and all below it.
func completeWords(c *cobra.Command) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		var words []string
		switch value := f.Value.(type) {
		case *choice:
			words = value.words
		default:
			if f.Name != "kind" {
				return
			}
			for _, info := range reconcile.Kinds() {
				words = append(words, string(info.Kind))
			}
			slices.Sort(words)
		}
		// It fails only where the flag isn't the command's or has some already.
		_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	})
	for _, sub := range c.Commands() {
		completeWords(sub)
	}
}
