package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
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
		ago, err := duration(s)
		if err != nil {
			return fmt.Errorf("want a time such as 2026-11-24T10:00:00Z, or how long ago, such as 90m or 2d")
		}
		at = m.now().Add(-ago)
	}
	*m.at, m.was = at.UTC(), s
	return nil
}

// span is a flag that takes a duration, of days too.
type span struct {
	d   *time.Duration
	was string
}

func newSpan(d *time.Duration, standard time.Duration, words string) *span {
	*d = standard
	return &span{d, words}
}

// String implements pflag.Value.
func (s *span) String() string { return s.was }

// Type implements pflag.Value.
func (s *span) Type() string { return "duration" }

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	d, err := duration(text)
	if err != nil {
		return fmt.Errorf("want a duration such as 90m, 12h or 7d")
	}
	*s.d, s.was = d, text
	return nil
}

// duration reads what time.ParseDuration does, and days as 7d.
func duration(text string) (time.Duration, error) {
	if days, is := strings.CutSuffix(text, "d"); is {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	d, err := time.ParseDuration(text)
	if err == nil && d < 0 {
		err = strconv.ErrRange
	}
	return d, err
}
