package main

import (
	"fmt"
	"time"

	"github.com/dataverket/avstem/inventory/duration"
)

// moment is a flag that takes a time: RFC 3339, or how long ago, such as 90m or
// 2d. The zero time is one that wasn't given.
type moment struct {
	at  *time.Time
	now func() time.Time
	was string
}

// String implements pflag.Value.
func (m *moment) String() string { return m.was }

// Type implements pflag.Value.
func (m *moment) Type() string { return "time" }

// Set implements pflag.Value.
func (m *moment) Set(s string) error {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		ago, err := duration.Parse(s)
		if err != nil {
			return fmt.Errorf("want a time such as 2026-11-24T10:00:00Z, or how long ago, such as 90m or 2d")
		}
		at = m.now().Add(-ago)
	}
	*m.at, m.was = at.UTC(), s
	return nil
}
