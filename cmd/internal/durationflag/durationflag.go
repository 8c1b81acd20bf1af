// Package durationflag is the flag that takes a length of time, for all programs, in
// the words of package duration. It keeps nothing.
package durationflag

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/inventory/duration"
)

// value is a flag's.
type value struct{ d *time.Duration }

// Var adds a flag. A standard of nothing isn't shown in the help.
func Var(flags *pflag.FlagSet, d *time.Duration, name string, standard time.Duration, usage string) {
	*d = standard
	flags.Var(value{d}, name, usage)
}

// String implements pflag.Value.
func (v value) String() string {
	if v.d == nil || *v.d == 0 {
		return ""
	}
	return duration.Text(*v.d)
}

// Type implements pflag.Value.
func (v value) Type() string { return "duration" }

// Set implements pflag.Value.
func (v value) Set(text string) error {
	d, err := duration.Parse(text)
	if err != nil {
		return err
	}
	*v.d = d
	return nil
}
