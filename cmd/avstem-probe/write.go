package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/evaluate"
)

// write writes the result to standard output.
func (a *app) write(r *evaluate.ProbeRun) error {
	if a.output == "json" {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	var b strings.Builder
	what := "a VM"
	if r.Type != "" {
		what = "a " + r.Type
	}
	fmt.Fprintf(&b, "%s %s on %s, with %s, in %s\n\n", r.Runtime, r.Version, r.Host, what, r.Took.Round(100*time.Millisecond))
	fmt.Fprintf(&b, "%-15s %-12s %9s %9s  %-26s %s\n", "STEP", "OUTCOME", "TOOK", "SEEN", "EVENT", "KEPT")
	for i := range r.Steps {
		b.WriteString(stepLine(&r.Steps[i]) + "\n")
	}
	for i := range r.Steps {
		s := &r.Steps[i]
		for _, text := range append(s.Changed, s.Error) {
			if text != "" {
				fmt.Fprintf(&b, "\n%s: %s", s.Step, text)
			}
		}
	}
	_, err := fmt.Fprintln(a.stdout, strings.TrimRight(b.String(), "\n"))
	return err
}

func stepLine(s *evaluate.ProbeStep) string {
	seen, event := "not", "none"
	if s.SeenAfter != nil {
		seen = short(*s.SeenAfter)
	}
	if s.EventAfter != nil {
		event = s.Event
	}
	if s.Outcome != evaluate.ProbeWorked {
		return fmt.Sprintf("%-15s %s", s.Step, s.Outcome)
	}
	var kept []string
	for _, what := range slices.Sorted(maps.Keys(s.Held)) {
		if s.Held[what] {
			kept = append(kept, what)
		} else {
			kept = append(kept, "not "+what)
		}
	}
	return strings.TrimRight(fmt.Sprintf("%-15s %-12s %9s %9s  %-26s %s", s.Step, s.Outcome, short(s.Took), seen, event, strings.Join(kept, ", ")), " ")
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
