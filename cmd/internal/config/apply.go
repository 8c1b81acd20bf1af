package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Default is where a value comes from that nobody set.
const Default = "default"

// Origin is the value that a key has in effect, and where that came from.
type Origin struct {
	Key   string `json:"key"`
	Value string `json:"value"` // several with commas
	From  string `json:"from"`  // "--site", "AVSTEM_SITE", "/etc/avstem/agent.yaml:3" or "default"
	// Reload says that a running program takes a new value when it is told to
	// reload.
	Reload bool `json:"reload"`
}

// Variable is the name of a flag's environment variable.
func Variable(flag string) string {
	return "AVSTEM_" + strings.ReplaceAll(strings.ToUpper(flag), "-", "_")
}

// VariableError is a value in the environment that its flag doesn't take.
type VariableError struct {
	Name string
	Err  error
}

func (e *VariableError) Error() string { return e.Name + ": " + e.Err.Error() }
func (e *VariableError) Unwrap() error { return e.Err }

// Apply sets the flags that the command line did not, from the environment and
// then from the file, which may be nil. Those in leave are left to who calls.
// A value that its flag doesn't take is a [*VariableError] or a [*FileError].
func Apply(flags *pflag.FlagSet, file *File, env func(string) string, leave ...string) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed || slices.Contains(leave, f.Name) || first != nil {
			return
		}
		if value := env(Variable(f.Name)); value != "" {
			if err := give(f, value); err != nil {
				first = &VariableError{Name: Variable(f.Name), Err: err}
			}
			return
		}
		if value, ok := file.Lookup(f.Name); ok {
			if err := set(f, value); err != nil {
				first = &FileError{Path: file.Path, Problems: []Problem{{Line: value.Line, Key: value.Key, Error: err.Error()}}}
			}
		}
	})
	return first
}

func set(f *pflag.Flag, value Value) error {
	for _, text := range value.Text {
		if err := give(f, text); err != nil {
			return err
		}
	}
	return nil
}

// give sets a flag, and says in words for people what it doesn't take.
func give(f *pflag.Flag, text string) error {
	err := f.Value.Set(text)
	if _, isNumber := errors.AsType[*strconv.NumError](err); isNumber && f.Value.Type() == "bool" {
		return fmt.Errorf("%q is neither true nor false", text)
	}
	if what, usage := pflag.UnquoteUsage(f); err != nil && what == "LEVEL" { // slog's words name itself
		return fmt.Errorf("%q is no %s", text, usage)
	}
	return err
}

// Check sets every value of the file on the flags, which are thrown away
// afterwards, and returns what they don't take.
func Check(flags *pflag.FlagSet, file *File) []Problem {
	var problems []Problem
	for _, value := range file.Values {
		if err := set(flags.Lookup(value.Key), value); err != nil {
			problems = append(problems, Problem{Line: value.Line, Key: value.Key, Error: err.Error()})
		}
	}
	return problems
}

// Origins tells of every flag of keys where its value came from. It is for flags
// that [Apply] has set.
func Origins(keys *pflag.FlagSet, file *File, env func(string) string) []Origin {
	var all []Origin
	keys.VisitAll(func(f *pflag.Flag) {
		o := Origin{Key: f.Name, Value: shown(f.Value.String()), From: Default}
		value, inFile := file.Lookup(f.Name)
		switch fromEnv := env(Variable(f.Name)); {
		case f.Changed:
			o.From = "--" + f.Name
		case fromEnv != "":
			o.Value, o.From = shown(fromEnv), Variable(f.Name)
		case inFile:
			o.Value, o.From = shown(strings.Join(value.Text, ",")), fmt.Sprintf("%s:%d", file.Path, value.Line)
		}
		if isList(f) && o.From == "--"+f.Name || o.Value == "[]" {
			o.Value = strings.Trim(o.Value, "[]")
		}
		all = append(all, o)
	})
	return all
}

// NotFrom makes an origin that is the file's a default: something that goes before
// the file makes it count for nothing.
func NotFrom(o *Origin, file *File) {
	if strings.HasPrefix(o.From, file.Path+":") {
		o.Value, o.From = "", Default
	}
}

// shown hides the password in a URL.
func shown(value string) string {
	var parts []string
	for part := range strings.SplitSeq(value, ",") {
		if u, err := url.Parse(part); err == nil && u.User != nil {
			part = u.Redacted()
			if _, secret := u.User.Password(); !secret {
				u.User = url.User("xxxxx") // a token stands where a name would
				part = u.String()
			}
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ",")
}
