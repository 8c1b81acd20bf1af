package report

import (
	"time"
)

// Options are what the caller knows about the page and about the pass that the
// findings come from. Numbers that it doesn't have stay nil and are left out.
type Options struct {
	// Width is the page's, in columns of a terminal: 0 means 100. Narrower than
	// 40 is treated as 40.
	Width int
	Color bool
	// Now is what ages are counted back from. Zero leaves ages out.
	Now time.Time

	// IDs gives each finding a row of its own, with its ID.
	IDs bool

	// Filter says in words which findings were asked for, such as "platform
	// libvirt, high or worse"; empty means all of them.
	Filter string
	// Pending is how many findings are within their grace and not in the list.
	Pending *int
	// Hosts and VMs are how many were compared, Agreeing how many of the VMs
	// agree in everything.
	Hosts, VMs, Agreeing *int
}

const (
	defaultWidth = 100
	minWidth     = 40
)

func (o *Options) width() int {
	if o.Width == 0 {
		return defaultWidth
	}
	return max(o.Width, minWidth)
}

// age says how long ago a time was, in one unit: "12s", "3m", "5h", "9d". A time
// that is ahead (another clock) is "0s", no time is "".
func age(t, now time.Time) string {
	if t.IsZero() || now.IsZero() {
		return ""
	}
	d := max(now.Sub(t), 0)
	switch {
	case d < time.Minute:
		return count(int(d/time.Second)) + "s"
	case d < time.Hour:
		return count(int(d/time.Minute)) + "m"
	case d < 48*time.Hour:
		return count(int(d/time.Hour)) + "h"
	}
	return count(int(d/(24*time.Hour))) + "d"
}

// ago is age in a sentence.
func ago(t, now time.Time) string {
	if a := age(t, now); a != "" {
		return a + " ago"
	}
	return stamp(t)
}

// second writes a time for people who read it later: in a ticket.
func second(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// stamp writes a time for programs and for where ages aren't wanted.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
