package policy

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/duration"
)

// span is a length of time as package duration reads it.
type span time.Duration

// UnmarshalText reads 90s, 1h30m or 7d.
func (d *span) UnmarshalText(text []byte) error {
	read, err := duration.Parse(string(text))
	*d = span(read)
	return err
}

// share is a part of a whole.
type share float64

// UnmarshalText reads 30%.
func (s *share) UnmarshalText(text []byte) error {
	number, isPercent := strings.CutSuffix(strings.TrimSpace(string(text)), "%")
	value, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !isPercent || !(value > 0 && value <= 100) {
		return fmt.Errorf("%q is not a share: want one such as 30%%, more than 0%% and 100%% at most", text)
	}
	*s = share(value / 100)
	return nil
}

// ratio is how often something may be promised.
type ratio float64

// UnmarshalText reads 1.5.
func (r *ratio) UnmarshalText(text []byte) error {
	value, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !(value > 0) || math.IsInf(value, 0) {
		return fmt.Errorf("%q is not a ratio: want a number above 0, such as 1.5", text)
	}
	*r = ratio(value)
	return nil
}

// tolerance is a size or a share.
type tolerance struct {
	bytes inventory.Bytes
	share share
}

// UnmarshalText reads 64MiB or 1%.
func (t *tolerance) UnmarshalText(text []byte) error {
	if strings.HasSuffix(strings.TrimSpace(string(text)), "%") {
		return t.share.UnmarshalText(text)
	}
	size, err := inventory.ParseBytes(string(text))
	if err != nil {
		return fmt.Errorf("%q is neither a size such as 64MiB nor a share such as 1%%", text)
	}
	t.bytes = size
	return nil
}

// moment is a time or the end of a day.
type moment time.Time

// UnmarshalText reads 2026-12-31, which lasts to the end of that day in UTC, or
// 2026-12-31T12:00:00Z.
func (m *moment) UnmarshalText(text []byte) error {
	read, err := ParseMoment(string(text))
	*m = moment(read)
	return err
}

// ParseMoment reads a date, which means the end of that day in UTC, or a time.
func ParseMoment(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New(strconv.Quote(text) + " is not a date: want one such as 2026-12-31, or a time such as 2026-12-31T12:00:00Z")
	}
	return at.UTC(), nil
}
