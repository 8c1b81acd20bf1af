package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// The help of every command fits on a terminal of 80 columns, but for what is to be
// pasted.
func TestHelp(t *testing.T) {
	none := func(string) string { return "" }
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
		var out bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(t.Context(), args, strings.NewReader(""), &out, &out, none); code != exitOK {
			t.Errorf("%s --help leaves %d:\n%s", c.CommandPath(), code, out.String())
		}
		before, after, _ := strings.Cut(out.String(), "\nExamples:\n")
		_, after, _ = strings.Cut(after, "\n\nFlags:\n")
		for line := range strings.Lines(before + after) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
				t.Errorf("%s --help has a line of %d columns: %s", c.CommandPath(), n, line)
			}
		}
	}
	visit(newRootCommand(newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), none)))
}
