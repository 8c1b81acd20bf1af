// Package usage writes how a command is used, for terminals of 80 columns. It
// knows nothing of any command.
package usage

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// columns is how wide flags and their texts may get.
const columns = 80

// Write is for [cobra.Command.SetUsageFunc]. Its page is cobra's own but for the
// wrapped flags. Cobra's template could do that in a line; but templates call
// methods by name, so the linker would keep every method of everything: 4 MB.
func Write(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if c.Runnable() {
		fmt.Fprintf(&b, "\n  %s", c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n  %s [command]", c.CommandPath())
	}
	if c.HasExample() {
		fmt.Fprintf(&b, "\n\nExamples:\n%s", c.Example)
	}
	for _, group := range c.Groups() {
		b.WriteString("\n\n" + group.Title)
		list(&b, c, group.ID)
	}
	switch {
	case len(c.Groups()) > 0:
		b.WriteString("\n\nOther commands:")
		list(&b, c, "")
	case c.HasAvailableSubCommands():
		b.WriteString("\n\nAvailable Commands:")
		list(&b, c, "")
	}
	if c.HasAvailableLocalFlags() {
		b.WriteString("\n\nFlags:\n" + strings.TrimRight(c.LocalFlags().FlagUsagesWrapped(columns), " \n"))
	}
	if c.HasAvailableInheritedFlags() {
		b.WriteString("\n\nGlobal Flags:\n" + strings.TrimRight(c.InheritedFlags().FlagUsagesWrapped(columns), " \n"))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nUse \"%s [command] --help\" for more information about a command.", c.CommandPath())
	}
	_, err := fmt.Fprintln(c.OutOrStderr(), b.String())
	return err
}

// list writes the commands of a group.
func list(b *strings.Builder, c *cobra.Command, group string) {
	for _, sub := range c.Commands() {
		if sub.GroupID == group && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
}
