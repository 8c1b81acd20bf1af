// Package manpage writes man pages of a program's commands and of its configuration
// file, as packages install them.
//
// Cobra has a generator, which makes Markdown first and brings a Markdown parser
// and a template engine for that; a page of ours is the help, in roff. What it
// writes depends on nothing but the commands and the version and time given.
package manpage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Command is the hidden command that writes the pages: of all commands, and of the
// configuration file.
func Command(version string, exactlyOne cobra.PositionalArgs, file func(root *cobra.Command) File, variable func(key string) string) *cobra.Command {
	var at int64
	c := &cobra.Command{
		Use:    "man DIR",
		Short:  "Write a man page for each command, and one of the configuration file",
		Hidden: true,
		Args:   exactlyOne,
		RunE: func(c *cobra.Command, args []string) error {
			f, date := file(c.Root()), time.Unix(at, 0).UTC()
			if err := os.WriteFile(filepath.Join(args[0], f.Name+".5"), []byte(filePage(f, variable, version, date)), 0o644); err != nil {
				return fmt.Errorf("write man page: %w", err)
			}
			return write(c.Root(), args[0], version, date)
		},
	}
	c.Flags().Int64Var(&at, "at", 0, "`SECONDS` since 1970 that the pages are dated")
	return c
}

func write(c *cobra.Command, dir, version string, at time.Time) error {
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	if err := os.WriteFile(filepath.Join(dir, name+".1"), []byte(commandPage(c, version, at)), 0o644); err != nil {
		return fmt.Errorf("write man page: %w", err)
	}
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		if err := write(sub, dir, version, at); err != nil {
			return err
		}
	}
	return nil
}

// footer is how many columns of a page's last line stand left of its date.
const footer = 24

// short is a version that fits there: one of a checkout without tags is left without
// its commit, and then without its time.
func short(version string) string {
	for _, mark := range []string{".", "+"} {
		if at := strings.LastIndex(version, mark); len(version) > footer && strings.Contains(version, "+") && at > 0 {
			version = version[:at]
		}
	}
	return version
}

// commandPage is the page of one command.
func commandPage(c *cobra.Command, version string, at time.Time) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 1 %s \"avstem %s\" avstem\n", strings.ToUpper(escape(name)), at.Format(time.DateOnly), escape(short(version)))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n.SH SYNOPSIS\n", escape(name), escape(c.Short))
	if c.Runnable() {
		fmt.Fprintf(&b, ".B %s\n", escape(c.UseLine()))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".br\n.B %s\n.I command\n", escape(c.CommandPath()))
	}
	long := c.Long
	if long == "" {
		long = c.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(long))
	options(&b, "OPTIONS", c.NonInheritedFlags())
	options(&b, "OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	if c.HasExample() {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", escape(c.Example))
	}
	related(&b, c)
	return b.String()
}

func options(b *strings.Builder, head string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", head)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		what, usage := pflag.UnquoteUsage(f)
		short := ""
		if f.Shorthand != "" {
			short = `\fB\-` + f.Shorthand + `\fR, `
		}
		fmt.Fprintf(b, ".TP\n%s\\fB\\-\\-%s\\fR", short, escape(f.Name))
		if what != "" {
			fmt.Fprintf(b, " \\fI%s\\fR", escape(what))
		}
		fmt.Fprintf(b, "\n%s\n", escape(usage))
		if set(f) {
			fmt.Fprintf(b, "(default %s)\n", escape(f.DefValue))
		}
	})
}

func related(b *strings.Builder, c *cobra.Command) {
	var names []string
	if c.HasParent() {
		names = append(names, strings.ReplaceAll(c.Parent().CommandPath(), " ", "-"))
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			names = append(names, strings.ReplaceAll(sub.CommandPath(), " ", "-"))
		}
	}
	if len(names) == 0 {
		return
	}
	b.WriteString(".SH SEE ALSO\n")
	for i, name := range names {
		comma := ","
		if i == len(names)-1 {
			comma = ""
		}
		fmt.Fprintf(b, ".BR %s (1)%s\n", escape(name), comma)
	}
}

// paragraphs fills text, but leaves lines that are indented as they are.
func paragraphs(text string) string {
	var b strings.Builder
	for i, part := range strings.Split(strings.TrimSpace(text), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if strings.HasPrefix(part, " ") || strings.Contains(part, "\n ") {
			part = ".nf\n" + escape(part) + "\n.fi"
		} else {
			part = escape(part)
		}
		b.WriteString(part + "\n")
	}
	return b.String()
}

// escape keeps roff from taking a text for requests.
func escape(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
