// Package duration reads and writes lengths of time as people do, in policies and
// on command lines.
//
// It exists since Go's own knows no days, speaks of itself where one is mistyped,
// and writes 15m0s. It keeps nothing.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// longest is more than anything here is meant to last, and far from overflowing when
// it is added to a time: ten years.
const longest = 3650 * day

// Parse reads what [time.ParseDuration] does and isn't less than nothing, and days:
// 7d, 1d12h.
func Parse(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a length of time: want one such as 90s, 15m, 8h or 7d", text)
	days, rest, hasDays := strings.Cut(text, "d")
	var total time.Duration
	if hasDays {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, wrong
		}
		total = time.Duration(n) * day
	} else {
		rest = text
	}
	if rest != "" || !hasDays {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 {
			return 0, wrong
		}
		total += d
	}
	if total < 0 || total > longest {
		return 0, fmt.Errorf("%q is longer than ten years", text)
	}
	return total, nil
}

// Text writes one as [Parse] reads it and as people do: 15m, 36h, 7d.
func Text(d time.Duration) string {
	if d > day && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
