package report_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

// words draws what names, paths and messages may hold: anything.
func words() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"", "web-01", "acme", "state", "nics[52:54:00:aa:00:01].vlan", "disks[a].b[c].size", "=1+1",
			"\x1b[2J", "\u009b31m", "\u202egnp.exe", "名前-サーバー", "a|b`c*d", "<script>", strings.Repeat("x", 300), "\xff\xfe", "e\u0301", "👩‍💻"}),
		rapid.String(),
	)
}

func values() *rapid.Generator[any] {
	return rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(words(), func(s string) any { return s }),
		rapid.Map(rapid.IntRange(0, 1<<40), func(n int) any { return n }),
		rapid.Map(rapid.Uint64(), func(n uint64) any { return inventory.Bytes(n) }),
		rapid.Map(rapid.SliceOfN(words(), 0, 4), func(s []string) any { return s }),
		rapid.Map(rapid.MapOfN(words(), words(), 0, 3), func(m map[string]string) any { return m }),
	)
}

func drawFinding(t *rapid.T, i int) reconcile.Finding {
	pick := func(name string, from ...string) string { return rapid.SampledFrom(from).Draw(t, name) }
	word := func(name string) string { return words().Draw(t, name) }
	f := reconcile.Finding{
		ID:       "f-" + strconv.Itoa(i),
		Kind:     reconcile.Kind(pick("kind", "vm.state", "nic.vlan", "disk.size", "observe.blind", "inventory.invalid", "\x1b]0;x\a")),
		Severity: reconcile.Severity(pick("severity", "critical", "high", "medium", "low", "info", "\r\nweird")),
		State:    reconcile.State(pick("state", "open", "open", "pending", "resolved", "suppressed")),
		Verdict:  reconcile.Verdict(pick("verdict", "confirmed", "potential", "unknown", "\x1bc")),
		Subject: reconcile.Subject{Type: pick("type", "vm", "host", "runtime", "inventory", "\x07"), ID: word("id"), Name: word("name"),
			Site: word("site"), Host: word("host"), Platform: word("platform"), Tenant: word("tenant"), Project: word("project"), Environment: word("environment")},
		Field: word("field"), Intended: values().Draw(t, "intended"), Observed: values().Draw(t, "observed"), Message: word("message"),
		Evidence:    []string{word("evidence")},
		Resolutions: []reconcile.Resolution{{Side: "runtime", Do: word("do"), How: word("how")}, {Side: "sentral", Do: word("do")}},
		Since:       time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "since"), 0),
	}
	if rapid.Bool().Draw(t, "matched") {
		f.Match = &reconcile.MatchBasis{By: word("by"), Weak: rapid.Bool().Draw(t, "weak")}
		f.Provenance = &reconcile.Provenance{Collector: word("collector"), Source: word("source"), ObservedAt: f.Since}
	}
	if cause := rapid.IntRange(-2, 12).Draw(t, "cause"); cause >= 0 {
		f.CausedBy = "f-" + strconv.Itoa(cause) // of itself, in a circle, or not there at all
	}
	return f
}

func drawFindings(t *rapid.T) []reconcile.Finding {
	findings := make([]reconcile.Finding, rapid.IntRange(0, 12).Draw(t, "findings"))
	for i := range findings {
		findings[i] = drawFinding(t, i)
		if i > 0 && rapid.Bool().Draw(t, "alike") { // the same of another subject
			id, name := findings[i].ID, findings[i].Subject.Name
			findings[i] = findings[i-1]
			findings[i].ID, findings[i].Subject.ID, findings[i].Subject.Name = id, id, name
		}
	}
	return findings
}

// explanation puts one finding's words wherever an explanation has any.
func explanation(f reconcile.Finding) *reconcile.Explanation {
	s := f.Subject
	problem := inventory.Problem{Entity: s.Name, Call: f.Message, Why: inventory.Why(s.Site), Error: f.Message, Remedy: s.Host}
	vm := inventory.VM{Name: s.Name, State: inventory.State(s.Site), RawState: s.Host, NativeID: s.ID,
		Placement: &inventory.Placement{Tenant: s.Tenant, Project: s.Project, Environment: s.Environment}, Manager: &inventory.Manager{Name: s.Platform}}
	comparisons := []reconcile.Comparison{
		{Path: f.Field, Intended: f.Intended, Observed: f.Observed, Class: reconcile.Mismatched, Finding: f.ID, Reason: f.Message, Provenance: f.Provenance},
		{Path: f.Field, Intended: f.Intended, Class: reconcile.Unknown},
	}
	evidence := []reconcile.Evidence{{Rung: s.Name, Intended: s.ID, Observed: f.Message, Says: s.Site, Note: s.Host}}
	return &reconcile.Explanation{At: now, Findings: []reconcile.Finding{f},
		VM: &reconcile.VMMatch{Match: f.Match, Evidence: evidence, Comparisons: comparisons, Uncovered: []string{f.Message},
			Observed: &reconcile.ObservedVM{VM: vm, Host: s.Host, Site: s.Site, Source: s.Platform, Also: []string{s.Name}},
			DiskPaths: []reconcile.DiskPath{{Disk: s.Name, Layers: []reconcile.DiskLayer{{Source: f.Message, Format: s.Name, Ground: &reconcile.Ground{
				Hops: []reconcile.Hop{{Kind: s.Name, Name: f.Message, Note: f.Message}}, Remote: f.Message, Reason: f.Message, Derived: true}}}}},
			Paths: []reconcile.NICPath{{Hops: []reconcile.Hop{{Kind: s.Name, Name: f.Message, Note: f.Message}}, Reason: f.Message, Return: f.Message}}},
		Host: &reconcile.HostMatch{Match: f.Match, Evidence: evidence, Comparisons: comparisons,
			Observed: &reconcile.ObservedHost{Site: s.Site, Identity: &inventory.Host{Hostname: s.Name, Serial: s.ID, OS: f.Message},
				Sources: []reconcile.SourceStatus{{Source: s.Name, Outcome: inventory.Outcome(s.Site), Problems: []inventory.Problem{problem},
					Runtime: &inventory.Runtime{Name: s.Name, Version: s.Host, Endpoint: f.Message}}}}},
	}
}

// outputs is everything that this package writes of some findings, by format.
func outputs(t rapid.TB, findings []reconcile.Finding, o report.Options) map[string]string {
	all := map[string]string{
		"table":    written(t, func(w io.Writer) error { return report.Table(w, findings, o) }),
		"JSON":     written(t, func(w io.Writer) error { return report.JSON(w, findings) }),
		"CSV":      written(t, func(w io.Writer) error { return report.CSV(w, findings) }),
		"Markdown": written(t, func(w io.Writer) error { return report.Markdown(w, findings, o) }),
	}
	for i, f := range findings {
		for what, e := range explanations(f) {
			name := fmt.Sprintf("explanation %d of the %s", i, what)
			all[name] = written(t, func(w io.Writer) error { return report.Explain(w, report.NewCase(e), o) })
			all[name+" as JSON"] = written(t, func(w io.Writer) error { return report.ExplainJSON(w, report.NewCase(e)) })
		}
	}
	return all
}

func explanations(f reconcile.Finding) map[string]*reconcile.Explanation {
	vm, host, alone := explanation(f), explanation(f), explanation(f)
	vm.Host, host.VM, alone.VM, alone.Host = nil, nil, nil, nil
	return map[string]*reconcile.Explanation{"VM": vm, "host": host, "finding": alone}
}

// harmless refuses what a terminal, a log or a viewer would act on.
func harmless(text string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("it is no UTF-8")
	}
	for i, r := range text {
		if !unicode.IsPrint(r) && r != '\n' && (r != '\r' || text[i+1] != '\n') {
			return fmt.Errorf("it has %U at byte %d: %q", r, i, text[max(i-20, 0):min(i+20, len(text))])
		}
	}
	return nil
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]+m")

func TestNothingIsWiderThanThePage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := report.Options{Width: rapid.IntRange(40, 200).Draw(t, "width"), Now: now}
		findings := drawFindings(t)
		for format, text := range outputs(t, findings, o) {
			if format == "table" || (strings.HasPrefix(format, "explanation") && !strings.HasSuffix(format, "JSON")) {
				for line := range strings.Lines(text) {
					if width := report.DisplayWidth(strings.TrimSuffix(line, "\n")); width > o.Width {
						t.Fatalf("%s: %d columns on a page of %d: %q", format, width, o.Width, line)
					}
				}
			}
		}
	})
}

func TestNothingActsOnTheReader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := report.Options{Now: now, Filter: words().Draw(t, "filter")}
		for format, text := range outputs(t, drawFindings(t), o) {
			if err := harmless(text); err != nil {
				t.Fatalf("%s: %v", format, err)
			}
		}
	})
}

// Colour adds its own sequences and nothing else.
func TestColorChangesNoText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := drawFindings(t)
		plain := outputs(t, findings, report.Options{Now: now})
		for format, text := range outputs(t, findings, report.Options{Now: now, Color: true}) {
			if got := sgr.ReplaceAllString(text, ""); got != plain[format] {
				t.Fatalf("%s: got %q, want %q", format, got, plain[format])
			}
		}
	})
}

func TestEveryFindingIsInEveryFormat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := drawFindings(t)
		out := outputs(t, findings, report.Options{Now: now})
		var list []reconcile.Finding
		if err := json.Unmarshal([]byte(out["JSON"]), &list); err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(strings.NewReader(out["CSV"])).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows := 0
		for line := range strings.Lines(out["Markdown"]) {
			if strings.HasPrefix(line, "| ") {
				rows++
			}
		}
		if len(findings) > 0 {
			rows-- // the header
		}
		if len(list) != len(findings) || len(records) != len(findings)+1 || rows != len(findings) {
			t.Fatalf("%d findings: JSON has %d, CSV %d, Markdown %d", len(findings), len(list), len(records)-1, rows)
		}
		// One order in all of them.
		for i, f := range list {
			if id := records[i+1][len(records[i+1])-1]; id != f.ID {
				t.Fatalf("finding %d: CSV has %s, JSON %s", i, id, f.ID)
			}
		}
	})
}

func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := drawFindings(t)
		want := outputs(t, findings, report.Options{Now: now})
		got := outputs(t, rapid.Permutation(findings).Draw(t, "order"), report.Options{Now: now})
		for _, format := range []string{"table", "JSON", "CSV", "Markdown"} {
			if got[format] != want[format] {
				t.Fatalf("%s: got %s\nwant %s", format, got[format], want[format])
			}
		}
	})
}

func FuzzNothingActsOnTheReader(f *testing.F) {
	for _, seed := range []string{"\x1b[2J\x1b]0;title\a", "\u009b31m", "=cmd|' /C calc'!A0", "\u202e", "a\nb\r\nc\td", "\xc2", "|`*_<b>", "nics[\x1b].vlan"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		finding := reconcile.Finding{ID: a, Kind: reconcile.Kind(b), Severity: reconcile.Severity(a), State: reconcile.State(b), Verdict: reconcile.Verdict(a),
			Subject: reconcile.Subject{Type: a, ID: b, Name: a, Site: b, Host: a, Platform: b, Tenant: a, Project: b, Environment: a},
			Field:   b, Intended: a, Observed: map[string]any{b: []string{a}}, Message: b, Evidence: []string{a, b},
			Match: &reconcile.MatchBasis{By: a, Weak: true}, Provenance: &reconcile.Provenance{Collector: a, Source: b},
			CausedBy: a, Resolutions: []reconcile.Resolution{{Side: a, Do: b, How: a}, {Side: "sentral", Do: a}, {Side: "runtime", Do: b, How: a}}}
		other := finding
		other.ID, other.Severity, other.Kind, other.State, other.Subject.Type = b, "high", "vm.state", "open", "vm"
		for format, text := range outputs(t, []reconcile.Finding{finding, other}, report.Options{Filter: a, Now: now}) {
			if err := harmless(text); err != nil {
				t.Errorf("%s: %v", format, err)
			}
			if format == "CSV" {
				checkCSV(t, text)
			}
		}
	})
}

// checkCSV refuses cells that a spreadsheet would compute.
func checkCSV(t *testing.T, text string) {
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatalf("CSV: %v", err)
	}
	for _, record := range records {
		for _, cell := range record {
			if rest := strings.TrimLeft(cell, " "); rest != "" && strings.ContainsRune("=+-@＝＋－＠\t\r", []rune(rest)[0]) {
				t.Errorf("CSV: %q is a formula", cell)
			}
		}
	}
}
