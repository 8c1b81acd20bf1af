package choiceflag_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/spf13/cobra"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
)

// command has a flag of each kind in a command below it.
func command() (root *cobra.Command, format, level *string) {
	format, level = new(string), new(string)
	root = &cobra.Command{Use: "root", SilenceUsage: true, SilenceErrors: true}
	sub := &cobra.Command{Use: "sub", RunE: func(*cobra.Command, []string) error { return nil }}
	sub.Flags().Var(choiceflag.New(format, "text", "json"), "output", "")
	sub.Flags().Var(choiceflag.Optional(level, "high", "low", "none"), "level", "")
	sub.Flags().String("source", "", "")
	root.AddCommand(sub)
	choiceflag.Complete(root, map[string][]string{"source": {"network", "storage"}})
	return root, format, level
}

func TestSet(t *testing.T) {
	for name, test := range map[string]struct {
		args          []string
		format, level string
		err           string
	}{
		"defaults": {format: "text"},
		"given":    {args: []string{"--output", "JSON", "--level", "low"}, format: "json", level: "low"},
		"of two":   {args: []string{"--output", "yaml"}, format: "text", err: `invalid argument "yaml" for "--output" flag: want text or json`},
		"of three": {args: []string{"--level", ""}, format: "text", err: `invalid argument "" for "--level" flag: want one of high, low, none`},
	} {
		t.Run(name, func(t *testing.T) {
			root, format, level := command()
			root.SetArgs(append([]string{"sub"}, test.args...))
			err := root.Execute()
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if *format != test.format || *level != test.level {
				t.Errorf("format %q, level %q", *format, *level)
			}
		})
	}
}

func TestComplete(t *testing.T) {
	for flag, want := range map[string]string{
		"--output": "text\njson\n:4\n", "--level": "high\nlow\nnone\n:4\n", "--source": "network\nstorage\n:4\n",
	} {
		root, _, _ := command()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(io.Discard)
		root.SetArgs([]string{"__complete", "sub", flag, ""})
		if err := root.Execute(); err != nil || out.String() != want {
			t.Errorf("%s: %v, %q", flag, err, out.String())
		}
	}
}
