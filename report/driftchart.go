package report

import (
	"fmt"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report/drift"
)

// chart is the trend as a picture: a bar for each day, stacked by severity, with
// what was opened and resolved on it in figures below. Lengths are in the picture's
// own units.
type chart struct {
	Width, Height, Left, Right float64
	Base                       float64 // where the bars stand
	Lines                      []chartLine
	Bars                       []chartBar
	Says                       string // the same in words, for who can't see it
}

type chartLine struct {
	Y     float64
	Label string
}

type chartBar struct {
	Middle           float64
	Parts            []chartPart
	Total            string
	TotalY           float64
	Day              string
	Opened, Resolved string
	Says             string
}

type chartPart struct {
	X, Y, Width, Height float64
	Class               string
}

const (
	chartLeft   = 44.0
	chartTop    = 18.0
	chartTall   = 130.0
	chartWidth  = 900.0
	chartBarMax = 46.0
)

// newChart is nil where there are no days.
func newChart(days []drift.Day) *chart {
	if len(days) == 0 {
		return nil
	}
	most := 0
	for i := range days {
		most = max(most, days[i].Open)
	}
	step, top := scale(most)
	c := &chart{Width: chartWidth, Left: chartLeft, Right: chartWidth, Base: chartTop + chartTall}
	c.Height = c.Base + 52
	for n := 0; n <= top; n += step {
		c.Lines = append(c.Lines, chartLine{c.Base - chartTall*float64(n)/float64(top), count(n)})
	}
	each := (chartWidth - chartLeft) / float64(max(len(days), 7))
	wide := min(each*0.72, chartBarMax)
	for i := range days {
		c.Bars = append(c.Bars, newBar(&days[i], i, chartLeft+each*(float64(i)+0.5), wide, c.Base, chartTall/float64(top)))
	}
	first, last := &days[0], &days[len(days)-1]
	c.Says = fmt.Sprintf("Open findings by day: %d on %s, %d on %s, %d at most.", first.Open, first.Date, last.Open, last.Date, most)
	return c
}

func newBar(d *drift.Day, at int, middle, wide, base, unit float64) chartBar {
	b := chartBar{Middle: middle, Total: count(d.Open), Day: shortDay(d.Date, at == 0)}
	y := base
	for _, s := range []reconcile.Severity{reconcile.Info, reconcile.Low, reconcile.Medium, reconcile.High, reconcile.Critical} {
		if n := d.BySeverity[s]; n > 0 {
			tall := float64(n) * unit
			y -= tall
			b.Parts = append(b.Parts, chartPart{middle - wide/2, y, wide, tall, string(s)})
		}
	}
	b.TotalY = y - 4
	if d.Opened > 0 {
		b.Opened = "+" + count(d.Opened)
	}
	if d.Resolved > 0 {
		b.Resolved = "−" + count(d.Resolved)
	}
	b.Says = fmt.Sprintf("%s: %d open (%s), %d opened, %d resolved", d.Date, d.Open, orWords(bySeverity(d.BySeverity), "none"), d.Opened, d.Resolved)
	if d.Part {
		b.Says += ", not a whole day"
	}
	return b
}

// scale chooses the distance of the lines, so that there are five at most, and the
// highest of them.
func scale(most int) (step, top int) {
	step = 1
	for f := 0; most > step*5; f++ {
		step = []int{1, 2, 5}[(f+1)%3] * pow10((f+1)/3)
	}
	return step, max((most+step-1)/step*step, step)
}

func pow10(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

// shortDay is the day of a month, with the month where that begins or is new.
func shortDay(date string, first bool) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return ""
	}
	if first || t.Day() == 1 {
		return t.Format("2 Jan")
	}
	return t.Format("2")
}
