// Package configcmd is the config command of both programs: check, show and
// example over whatever flags a program has.
//
// It exists so that the two say the same things in the same way. It knows of the
// program what a [Program] tells, and reads and writes nothing but the
// configuration file and standard output.
package configcmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/cmd/internal/choiceflag"
	"github.com/dataverket/avstem/cmd/internal/config"
	"github.com/dataverket/avstem/cmd/internal/manpage"
	"github.com/dataverket/avstem/cmd/internal/natsflags"
)

// Program is what the command must know of the one that it is part of.
type Program struct {
	Long   string   // of the help
	Head   string   // of the example
	Usual  string   // where the file is if nobody names another
	Reload []string // keys that a running program takes on SIGHUP
	// Examples are values for keys whose kind alone would give a poor one.
	Examples map[string]string

	// Keys are what the file may set, of a program's root command.
	Keys func(root *cobra.Command) *pflag.FlagSet
	// Scratch is a program of which only the keys are wanted, as they may be set
	// to anything.
	Scratch func() (keys *pflag.FlagSet, checks func() []Check)

	// What the program has read when one of the commands runs.
	Path     func() string // of the file that is named, "" for the usual one
	File     func() *config.File
	StateDir func() string
	Where    *natsflags.Flags
	Env      func(string) string
	Stdout   io.Writer
	// Usage makes an error one of the command line.
	Usage func(error) error
}

// Check is what a value must be beyond what its flag takes.
type Check struct {
	Key string
	Err error
}

// NotKeys are flags that no file sets.
func NotKeys() []string { return []string{"config", "help", "version", "output"} }

// Keys are the flags that the configuration file may set: those of the root command,
// and the own ones of some of the commands below it.
func Keys(root *cobra.Command, of ...string) *pflag.FlagSet {
	all := pflag.NewFlagSet("keys", pflag.ContinueOnError)
	all.SortFlags = false
	take := func(f *pflag.Flag) {
		if all.Lookup(f.Name) == nil && !slices.Contains(NotKeys(), f.Name) {
			all.AddFlag(f)
		}
	}
	root.PersistentFlags().VisitAll(take)
	for _, c := range root.Commands() {
		if slices.Contains(of, c.Name()) {
			c.Flags().VisitAll(take)
		}
	}
	return all
}

// ReadsNoSettings says whether a command works however wrong the settings are.
func ReadsNoSettings(c *cobra.Command) bool {
	for ; c.HasParent(); c = c.Parent() {
		if c.Parent().Name() == "config" {
			return c.Name() != "show"
		}
		if slices.Contains([]string{"version", "completion", "man", "help", "__complete"}, c.Name()) {
			return true
		}
	}
	return false
}

// Command makes the config command.
func (p *Program) Command(noArguments cobra.PositionalArgs) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration file, or show what is in effect",
		Long:  p.Long,
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Say what is wrong with a configuration file, by line and key",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 1 {
				return p.Usage(fmt.Errorf("%s takes one file, and got %d", c.CommandPath(), len(args)))
			}
			return nil
		},
	}
	format := addOutput(check)
	check.RunE = func(_ *cobra.Command, args []string) error { return p.check(args, *format == "json") }
	show := &cobra.Command{
		Use:   "show",
		Short: "Show the value of every setting, and where it comes from",
		Args:  noArguments,
	}
	showFormat := addOutput(show)
	show.RunE = func(c *cobra.Command, _ []string) error { return p.show(c.Root(), *showFormat == "json") }
	example := &cobra.Command{
		Use:   "example",
		Short: "Write a file with every key explained and none set",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(p.Stdout, config.Example(p.Keys(c.Root()), p.Head, p.Examples))
			return err
		},
	}
	c.AddCommand(check, show, example)
	return c
}

// Page makes what the man page of the file of a program is made of.
func (p *Program) Page(program string) func(root *cobra.Command) manpage.File {
	return func(root *cobra.Command) manpage.File {
		return manpage.File{Name: program + ".yaml", Path: p.Usual, Of: program, Head: p.Head, Long: p.Long, Keys: p.Keys(root), Reload: p.Reload}
	}
}

// Read reads the file that is named, or the one in its usual place if it is there.
func (p *Program) Read(path string) (*config.File, error) {
	if path == "" {
		path = p.Env(config.Variable("config"))
	}
	keys, _ := p.Scratch()
	return config.Open(path, p.Usual, keys)
}

// check says everything that is wrong, where a program that starts stops at the
// first.
func (p *Program) check(args []string, asJSON bool) error {
	path := p.Path()
	if len(args) == 1 {
		path = args[0]
	}
	file, err := p.Read(path)
	wrong, hasProblems := errors.AsType[*config.FileError](err)
	switch {
	case err != nil && !hasProblems:
		return err
	case file == nil:
		return fmt.Errorf("check configuration: there is no %s: name a file", p.Usual)
	case !hasProblems:
		wrong = &config.FileError{Path: file.Path, Problems: []config.Problem{}}
	}
	wrong.Problems = append(wrong.Problems, p.values(file)...)
	slices.SortStableFunc(wrong.Problems, func(x, y config.Problem) int { return x.Line - y.Line })
	switch {
	case asJSON:
		answer := struct {
			File     string           `json:"file"`
			Problems []config.Problem `json:"problems"`
		}{file.Path, wrong.Problems}
		if err := p.writeJSON(answer); err != nil || len(wrong.Problems) == 0 {
			return err
		}
		return fmt.Errorf("check configuration: problems in %s: %d", file.Path, len(wrong.Problems))
	case len(wrong.Problems) > 0:
		return wrong
	}
	nothing := ""
	if len(file.Values) == 0 {
		nothing = ", and defaults are in effect"
	}
	_, err = fmt.Fprintf(p.Stdout, "%s: keys set: %d%s; nothing is wrong\n", file.Path, len(file.Values), nothing)
	return err
}

// values looks at what the file sets its keys to.
func (p *Program) values(file *config.File) []config.Problem {
	keys, checks := p.Scratch()
	problems := config.Check(keys, file)
	bad := func(key string, err error) {
		value, set := file.Lookup(key)
		known := slices.ContainsFunc(problems, func(p config.Problem) bool { return p.Key == key })
		if set && err != nil && !known {
			problems = append(problems, config.Problem{Line: value.Line, Key: key, Error: err.Error()})
		}
	}
	for _, c := range checks() {
		bad(c.Key, c.Err)
	}
	for _, key := range []string{"ca", "cert"} {
		if _, err := os.Stat(file.First(key)); errors.Is(err, fs.ErrNotExist) {
			bad(key, err)
		}
	}
	for _, key := range natsflags.Secrets() {
		// Whoever checks isn't the service that has credentials of systemd's.
		if _, err := config.Secret(file.First(key), p.Env); !errors.Is(err, config.ErrNoCredentials) {
			bad(key, err)
		}
	}
	return problems
}

func (p *Program) show(root *cobra.Command, asJSON bool) error {
	keys := p.Keys(root)
	// Flags of other commands have not been given their values.
	if err := config.Apply(keys, p.File(), p.Env, append(natsflags.Names(), "state-dir")...); err != nil {
		return err
	}
	origins := config.Origins(keys, p.File(), p.Env)
	for i := range origins {
		o := &origins[i]
		o.Reload = slices.Contains(p.Reload, o.Key)
		if o.Key == "state-dir" {
			o.Value = p.StateDir()
		}
		if slices.Contains(natsflags.Names(), o.Key) && p.File() != nil && p.Where.Elsewhere(p.Env) {
			config.NotFrom(o, p.File())
		}
	}
	if asJSON {
		return p.writeJSON(origins)
	}
	w := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KEY\tVALUE\tFROM\tON RELOAD")
	for _, o := range origins {
		when, value := "wants a restart", o.Value
		if o.Reload {
			when = "taken"
		}
		if value == "" {
			value = "–"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", o.Key, value, o.From, when)
	}
	return w.Flush()
}

func (p *Program) writeJSON(v any) error {
	enc := json.NewEncoder(p.Stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func addOutput(c *cobra.Command) *string {
	format := new(string)
	c.Flags().VarP(choiceflag.New(format, "text", "json"), "output", "o", "`FORMAT`: text or json")
	return format
}
