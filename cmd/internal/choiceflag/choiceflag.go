// Package choiceflag is the flag that takes one of some words, for all programs, and
// lets shells complete them. It keeps nothing.
package choiceflag

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Value is a flag's.
type Value struct {
	value *string
	words []string
}

// New makes a flag whose default is the first of its words.
func New(value *string, words ...string) *Value {
	*value = words[0]
	return &Value{value, words}
}

// Optional makes one that may be left out.
func Optional(value *string, words ...string) *Value { return &Value{value, words} }

// String implements pflag.Value.
func (v *Value) String() string { return *v.value }

// Type implements pflag.Value.
func (v *Value) Type() string { return "word" }

// Set implements pflag.Value.
func (v *Value) Set(s string) error {
	word := strings.ToLower(s)
	switch {
	case slices.Contains(v.words, word):
		*v.value = word
		return nil
	case len(v.words) == 2:
		return fmt.Errorf("want %s or %s", v.words[0], v.words[1])
	}
	return fmt.Errorf("want one of %s", strings.Join(v.words, ", "))
}

// Complete lets shells complete the words of a command's flags and of all commands
// below it: those of this package, and of others by the words that flags of their
// names take.
func Complete(c *cobra.Command, others map[string][]string) {
	complete := func(f *pflag.Flag) {
		words := others[f.Name]
		if v, is := f.Value.(*Value); is {
			words = v.words
		}
		if len(words) > 0 {
			// It fails only where the flag has some already.
			_ = c.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	c.LocalFlags().VisitAll(complete)
	for _, sub := range c.Commands() {
		Complete(sub, others)
	}
}
