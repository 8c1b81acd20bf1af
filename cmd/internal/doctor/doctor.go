// Package doctor tells what works and what doesn't, a line for each thing that was
// tried: what happened, what that means, and what to type.
//
// Results are plain data, so that judging (what an error means, what helps) is
// apart from trying and can be tested without it. The package knows how results
// are shown and summed up and a few judgements that both programs need; what is
// tried is the programs' to say.
package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// Verdict is how a check ended.
type Verdict string

// The verdicts, from good to bad.
const (
	OK      Verdict = "ok"
	Skipped Verdict = "skipped" // could not be tried, for what another check says
	Warning Verdict = "warning" // it works, and something will be missed or go wrong
	Broken  Verdict = "broken"
)

// Result is one thing that was tried.
type Result struct {
	Check   string  `json:"check"` // short name, the same in every run: "state directory"
	Tried   string  `json:"tried"` // what was done to what
	Verdict Verdict `json:"verdict"`
	Found   string  `json:"found"`           // what happened
	Means   string  `json:"means,omitempty"` // what that leads to
	Type    string  `json:"type,omitempty"`  // what helps, to be typed or done
	Took    string  `json:"took,omitempty"`  // where time matters
}

// Good is a check that found what it wanted.
func Good(check, tried, found string) Result {
	return Result{Check: check, Tried: tried, Verdict: OK, Found: found}
}

// Skip is a check that could not be tried.
func Skip(check, tried, why string) Result {
	return Result{Check: check, Tried: tried, Verdict: Skipped, Found: why}
}

// Bad is a check that shows that something doesn't work.
func Bad(check, tried string, err error, means, do string) Result {
	return Result{Check: check, Tried: tried, Verdict: Broken, Found: err.Error(), Means: means, Type: do}
}

// Weak is a check that shows that something will be missed.
func Weak(check, tried, found, means, do string) Result {
	return Result{Check: check, Tried: tried, Verdict: Warning, Found: found, Means: means, Type: do}
}

// Lasting notes how long a check took.
func (r Result) Lasting(d time.Duration) Result {
	r.Took = d.Round(time.Millisecond).String()
	return r
}

// Count is how many results have a verdict.
func Count(results []Result, v Verdict) int {
	n := 0
	for _, r := range results {
		if r.Verdict == v {
			n++
		}
	}
	return n
}

// BrokenError says that something doesn't work; the answer has been written by then.
type BrokenError struct{ Broken int }

func (e *BrokenError) Error() string {
	if e.Broken == 1 {
		return "1 thing doesn't work: see above"
	}
	return fmt.Sprintf("%d things don't work: see above", e.Broken)
}

// Write writes the results for people or as a JSON array, and returns a
// [*BrokenError] if anything is broken.
//
// Text is width columns wide, but for what is to be typed, which may be pasted; 0 is
// for a pipe, where each thing keeps its line.
func Write(w io.Writer, results []Result, asJSON bool, width int) error {
	var err error
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		err = enc.Encode(results)
	} else {
		_, err = io.WriteString(w, text(results, width))
	}
	if err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	if n := Count(results, Broken); n > 0 {
		return &BrokenError{n}
	}
	return nil
}

func text(results []Result, columns int) string {
	width := 0
	for _, r := range results {
		width = max(width, len(r.Check))
	}
	var b strings.Builder
	for _, r := range results {
		took := ""
		if r.Took != "" {
			took = " (" + r.Took + ")"
		}
		head := fmt.Sprintf("%-7s  %-*s  ", r.Verdict, width, r.Check)
		hang(&b, head, oneLine(r.Tried+": "+r.Found)+took, columns)
		if r.Means != "" {
			hang(&b, strings.Repeat(" ", len(head))+"means: ", oneLine(r.Means), columns)
		}
		if r.Type != "" {
			fmt.Fprintf(&b, "%*stype: %s\n", len(head), "", oneLine(r.Type))
		}
	}
	fmt.Fprintf(&b, "\nchecked: %d; ok: %d, warning: %d, broken: %d, skipped: %d\n", len(results),
		Count(results, OK), Count(results, Warning), Count(results, Broken), Count(results, Skipped))
	return b.String()
}

// hang writes words beside a lead, broken between words where the line would be wider
// than columns.
func hang(b *strings.Builder, lead, words string, columns int) {
	line := lead
	for word := range strings.FieldsSeq(words) {
		if columns > 0 && utf8.RuneCountInString(line)+utf8.RuneCountInString(word) > columns && strings.TrimSpace(line) != strings.TrimSpace(lead) {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = strings.Repeat(" ", len(lead))
			lead = ""
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

// oneLine keeps what a host or a server says to its line, and out of the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0:
			return '?'
		}
		return r
	}, s)
}
