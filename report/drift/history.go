package drift

import (
	"slices"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// Event is one change of one finding.
type Event struct {
	At      time.Time
	Change  reconcile.Change
	Finding reconcile.Finding // as it was then
}

// History is what happened to findings over some days.
type History struct {
	from  time.Time // since when every event is in it
	first time.Time // of the events
	lives map[string]*life
}

// life is what is known of one finding.
type life struct {
	moments []moment          // in order of time
	last    reconcile.Finding // as its last event had it
}

type moment struct {
	at       time.Time
	change   reconcile.Change
	severity reconcile.Severity
}

// NewHistory makes an empty one of the time since from.
func NewHistory(from time.Time) *History {
	return &History{from: from, lives: map[string]*life{}}
}

// Begin says, after the last event was added, that those from before the given time
// can't be in it. An event that is older tells that the two clocks differ.
func (h *History) Begin(at time.Time) {
	if !h.first.IsZero() && h.first.Before(at) {
		at = h.first
	}
	if at.After(h.from) {
		h.from = at
	}
}

// Add takes events in the order in which they were published. One that was
// published twice counts once.
func (h *History) Add(e Event) {
	h.first = earliest(h.first, e.At)
	l := h.lives[e.Finding.ID]
	if l == nil {
		l = &life{}
		h.lives[e.Finding.ID] = l
	}
	m := moment{e.At, e.Change, e.Finding.Severity}
	at, _ := slices.BinarySearchFunc(l.moments, m, func(a, b moment) int {
		if a.at.After(b.at) {
			return 1
		}
		return -1 // behind those of the same time
	})
	for i := at - 1; i >= 0 && l.moments[i].at.Equal(m.at); i-- {
		if l.moments[i].change == m.change && l.moments[i].severity == m.severity {
			return
		}
	}
	l.moments = slices.Insert(l.moments, at, m)
	if at < len(l.moments)-1 {
		return
	}
	l.last = e.Finding
	l.last.Evidence, l.last.Resolutions = nil, nil // nobody asks for what is over
}

// Day is what happened on one day, in UTC.
type Day struct {
	Date     string `json:"date"` // 2006-01-02
	Opened   int    `json:"opened"`
	Resolved int    `json:"resolved"`
	// Open and BySeverity are how it was at the day's end, or, of the last day, at
	// the time of the report.
	Open       int                        `json:"open"`
	BySeverity map[reconcile.Severity]int `json:"bySeverity"`
	// Part says that the day isn't whole: the events begin in it, or it isn't over.
	Part bool `json:"part,omitempty"`
}

const day = 24 * time.Hour

// trend counts by day, for one platform's findings of which these are open now.
func (h *History) trend(platform string, open []reconcile.Finding, now time.Time) []Day {
	now = now.UTC()
	isOpen := make(map[string]*reconcile.Finding, len(open))
	for i := range open {
		isOpen[open[i].ID] = &open[i]
	}
	var days []Day
	for begin := h.from.UTC().Truncate(day); !begin.After(now); begin = begin.Add(day) {
		end := begin.Add(day)
		d := Day{Date: begin.Format(time.DateOnly), BySeverity: map[reconcile.Severity]int{}, Part: h.from.After(begin) || end.After(now)}
		for id, l := range h.lives {
			if l.last.Subject.Platform != platform {
				continue
			}
			for _, m := range l.moments {
				if m.at.Before(begin) || !m.at.Before(end) {
					continue
				}
				switch m.change {
				case reconcile.Opened:
					d.Opened++
				case reconcile.Closed:
					d.Resolved++
				}
			}
			if severity, was := l.at(end, isOpen[id] != nil); was && end.Before(now) {
				d.BySeverity[severity]++
			}
		}
		for id, f := range isOpen {
			if !end.Before(now) || (h.lives[id] == nil && f.Since.Before(end)) {
				d.BySeverity[f.Severity]++
			}
		}
		for _, n := range d.BySeverity {
			d.Open += n
		}
		days = append(days, d)
	}
	return days
}

// at says whether the finding was open just before a time, and how severe it was.
func (l *life) at(t time.Time, openNow bool) (reconcile.Severity, bool) {
	next := len(l.moments)
	for i, m := range l.moments {
		if !m.at.Before(t) {
			next = i
			break
		}
	}
	if next == 0 { // what happened to it first tells what it was before
		first := l.moments[0]
		return first.severity, first.change != reconcile.Opened
	}
	before := l.moments[next-1]
	if before.change == reconcile.Closed {
		return "", false
	}
	// One that ended without an event, as it was suppressed or lost, is over since
	// it was heard of last.
	return before.severity, next < len(l.moments) || openNow
}

// ended says whether the last that was heard of it is that it was resolved.
func (l *life) ended() (time.Time, bool) {
	last := l.moments[len(l.moments)-1]
	return last.at, last.change == reconcile.Closed
}
