package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/reconcile"
)

// flagWords are the words of flags that take more than them: --kind also takes groups
// of kinds and several at once.
func flagWords() map[string][]string {
	var kinds []string
	for _, info := range reconcile.Kinds() {
		kinds = append(kinds, string(info.Kind))
	}
	slices.Sort(kinds)
	return map[string][]string{"kind": kinds}
}

// completeFor is how long a shell waits for names.
const completeFor = time.Second

// completeThings lets shells complete the first argument by what there are findings
// of: the IDs of findings, and with things the names of VMs and hosts, too. Without a
// server there is nothing to offer, and nobody to tell why.
func (a *app) completeThings(things bool) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || a.settle(c) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(c.Context(), completeFor)
		defer cancel()
		conn, err := a.connect(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer conn.Close()
		findings, err := readFindings(ctx, conn)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var words []string
		offer := func(word, about string) {
			if word != "" && strings.HasPrefix(word, typed) && !strings.ContainsAny(word+about, "\n\t") {
				words = append(words, cobra.CompletionWithDesc(word, about))
			}
		}
		for i := range findings {
			f := &findings[i]
			s := &f.Subject
			if things && (s.Type == "vm" || s.Type == "host") {
				offer(s.Name, s.Type)
			}
			if things {
				offer(s.Host, "host")
			}
			if f.State != reconcile.Resolved && (!things || strings.HasPrefix(typed, "f-")) {
				offer(f.ID, string(f.Kind)+" of "+s.Name)
			}
		}
		slices.Sort(words)
		return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeArguments says which commands take what for their argument.
func (a *app) completeArguments(root *cobra.Command) {
	for name, things := range map[string]bool{"explain": true, "history": true, "blame": true, "bundle": true, "ack": false, "unack": false} {
		if c, _, err := root.Find([]string{name}); err == nil && c != root {
			c.ValidArgsFunction = a.completeThings(things)
		}
	}
}

// addCompletion adds the command that writes what shells load, which refuses a shell
// that it doesn't know.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	if c, _, err := root.Find([]string{"completion"}); err == nil && c != root {
		c.Short = "Write what a shell loads to complete commands"
		c.Args = noArguments
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		for _, shell := range c.Commands() { // within 80 columns
			shell.Long = strings.ReplaceAll(shell.Long, "via your OS's package manager", "with your package manager")
		}
	}
}
