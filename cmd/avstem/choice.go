package main

import (
	"fmt"
	"slices"
	"strings"
)

// choice is a flag that takes one of some words; the first is its default.
type choice struct {
	value *string
	words []string
}

func newChoice(value *string, words ...string) *choice {
	*value = words[0]
	return &choice{value, words}
}

// newOptionalChoice is a choice that may be left out.
func newOptionalChoice(value *string, words ...string) *choice {
	return &choice{value, words}
}

// String implements pflag.Value.
func (c *choice) String() string { return *c.value }

// Type implements pflag.Value.
func (c *choice) Type() string { return "word" }

// Set implements pflag.Value.
func (c *choice) Set(s string) error {
	word := strings.ToLower(s)
	if !slices.Contains(c.words, word) {
		return fmt.Errorf("want one of %s", strings.Join(c.words, ", "))
	}
	*c.value = word
	return nil
}
