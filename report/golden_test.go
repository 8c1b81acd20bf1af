package report_test

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// golden holds a text against testdata/NAME.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// read decodes testdata/NAME, as a reader of the stream or of a reply does.
func read[T any](t testing.TB, name string) T {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

func written(t rapid.TB, write func(io.Writer) error) string {
	t.Helper()
	var b strings.Builder
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func some(n int) *int { return &n }

func open(findings []reconcile.Finding) []reconcile.Finding {
	var kept []reconcile.Finding
	for _, f := range findings {
		if f.State == reconcile.Open {
			kept = append(kept, f)
		}
	}
	return kept
}

func TestFindings(t *testing.T) {
	all := read[[]reconcile.Finding](t, "findings.json")
	pass := report.Options{Now: now, Pending: some(1), Hosts: some(9), VMs: some(16), Agreeing: some(2)}
	with := func(change func(*report.Options)) report.Options {
		o := pass
		change(&o)
		return o
	}
	tests := []struct {
		golden string
		write  func(io.Writer) error
	}{
		{"drift-100.txt", func(w io.Writer) error { return report.Table(w, open(all), pass) }},
		{"drift-80.txt", func(w io.Writer) error {
			return report.Table(w, open(all), with(func(o *report.Options) { o.Width = 80 }))
		}},
		{"drift-40.txt", func(w io.Writer) error {
			return report.Table(w, open(all), with(func(o *report.Options) { o.Width = 1 }))
		}},
		{"drift-160.txt", func(w io.Writer) error {
			return report.Table(w, open(all), with(func(o *report.Options) { o.Width = 160 }))
		}},
		{"drift-color.txt", func(w io.Writer) error {
			return report.Table(w, open(all), with(func(o *report.Options) { o.Color = true }))
		}},
		{"drift-wide.txt", func(w io.Writer) error {
			return report.Table(w, open(all), report.Options{Now: now, Width: 100, IDs: true})
		}},
		{"drift-all.txt", func(w io.Writer) error { return report.Table(w, all, report.Options{Now: now}) }},
		{"drift-ageless.txt", func(w io.Writer) error { return report.Table(w, open(all), report.Options{}) }},
		{"drift-filtered.txt", func(w io.Writer) error {
			return report.Table(w, open(all)[:3], with(func(o *report.Options) { o.Filter = "tenant acme, high or worse" }))
		}},
		{"drift.json", func(w io.Writer) error { return report.JSON(w, all) }},
		{"drift.csv", func(w io.Writer) error { return report.CSV(w, all) }},
		{"drift.md", func(w io.Writer) error { return report.Markdown(w, all, pass) }},
	}
	for _, test := range tests {
		t.Run(test.golden, func(t *testing.T) { golden(t, test.golden, written(t, test.write)) })
	}
}

func TestNoFindings(t *testing.T) {
	tests := []struct {
		name    string
		options report.Options
		want    string
	}{
		{"knowing nothing", report.Options{}, "Nothing differs\n"},
		{"knowing what was compared", report.Options{Hosts: some(1), VMs: some(16), Agreeing: some(16)},
			"Nothing differs on 1 host · 16 of 16 VMs agree in everything\n"},
		{"of nothing", report.Options{Hosts: some(0), VMs: some(0), Agreeing: some(0)}, "Nothing to compare: neither side has a host or VM\n"},
		{"with VMs that were not judged", report.Options{VMs: some(6), Agreeing: some(1)}, "Nothing is open · 1 of 6 VMs agrees in everything\n"},
		{"with pending ones", report.Options{Pending: some(3)}, "Nothing is open · 3 pending\n"},
		{"of a filter", report.Options{Filter: "kind nic.vlan", VMs: some(16), Agreeing: some(2)}, "Nothing open matches kind nic.vlan\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for format, write := range map[string]func(io.Writer) error{
				"table":    func(w io.Writer) error { return report.Table(w, nil, test.options) },
				"markdown": func(w io.Writer) error { return report.Markdown(w, nil, test.options) },
			} {
				if got := written(t, write); got != test.want {
					t.Errorf("%s: got %q, want %q", format, got, test.want)
				}
			}
		})
	}
	if got := written(t, func(w io.Writer) error { return report.JSON(w, nil) }); got != "[]\n" {
		t.Errorf("JSON: got %q, want an empty array", got)
	}
	if got := written(t, func(w io.Writer) error { return report.CSV(w, nil) }); !strings.HasPrefix(got, "severity,kind,") || strings.Count(got, "\n") != 1 || strings.Contains(got, "\r") {
		t.Errorf("CSV: got %q, want the header alone", got)
	}
}

func TestExplain(t *testing.T) {
	for _, name := range []string{"vm-web-01", "vm-web-03", "vm-paths", "vm-test-of-per", "host-hv-osl1-01", "host-hv-osl1-02"} {
		e := read[reconcile.Explanation](t, name+".json")
		for suffix, o := range map[string]report.Options{"-100.txt": {}, "-80.txt": {Width: 80}, "-color.txt": {Color: true}} {
			t.Run(name+suffix, func(t *testing.T) {
				golden(t, name+suffix, written(t, func(w io.Writer) error { return report.Explain(w, report.NewCase(&e), o) }))
			})
		}
		t.Run(name+".json", func(t *testing.T) {
			golden(t, name+".json", written(t, func(w io.Writer) error { return report.ExplainJSON(w, report.NewCase(&e)) }))
		})
	}
}

// What is over needs nobody to do anything.
func TestExplainResolved(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	f := reconcile.Finding{
		ID: "f-1", Kind: reconcile.VMState, Severity: reconcile.High, State: reconcile.Resolved, Message: "web-01 is stopped, Sentral says running",
		Subject: reconcile.Subject{Type: "vm", ID: "a", Name: "web-01"}, Since: now.Add(-time.Minute), Flaps: 1,
		Resolutions: []reconcile.Resolution{{Side: "runtime", Do: "start it"}},
	}
	var b strings.Builder
	if err := report.Explain(&b, report.NewCase(&reconcile.Explanation{At: now, Findings: []reconcile.Finding{f}}), report.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"resolved for 1m, came back once · f-1", "    was: web-01 is stopped, Sentral says running\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in:\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "start it") {
		t.Errorf("a way to resolve what is resolved:\n%s", b.String())
	}
}

func TestExplainFindingAlone(t *testing.T) {
	for _, f := range read[[]reconcile.Finding](t, "findings.json") {
		if f.Kind == "inventory.invalid" {
			e := &reconcile.Explanation{At: now, Findings: []reconcile.Finding{f}}
			golden(t, "finding-alone.txt", written(t, func(w io.Writer) error { return report.Explain(w, report.NewCase(e), report.Options{}) }))
		}
	}
}

// JSON that was written must be the values it was written from.
func TestJSONIsTheValue(t *testing.T) {
	all := read[[]reconcile.Finding](t, "findings.json")
	var got []reconcile.Finding
	if err := json.Unmarshal([]byte(written(t, func(w io.Writer) error { return report.JSON(w, all) })), &got); err != nil {
		t.Fatal(err)
	}
	reconcile.SortFindings(all)
	if diff := cmp.Diff(all, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestTimesAreUTC(t *testing.T) {
	f := read[[]reconcile.Finding](t, "findings.json")[0]
	oslo := time.FixedZone("CET", 3600)
	f.FirstSeen, f.Since, f.LastSeen = f.FirstSeen.In(oslo), f.Since.In(oslo), f.LastSeen.In(oslo)
	f.Provenance.ObservedAt = f.Provenance.ObservedAt.In(oslo)
	for format, text := range map[string]string{
		"JSON": written(t, func(w io.Writer) error { return report.JSON(w, []reconcile.Finding{f}) }),
		"CSV":  written(t, func(w io.Writer) error { return report.CSV(w, []reconcile.Finding{f}) }),
		"Markdown": written(t, func(w io.Writer) error {
			return report.Markdown(w, []reconcile.Finding{f}, report.Options{})
		}),
	} {
		if strings.Contains(text, "+01:00") || !strings.Contains(text, "2026-11-24T09:48:00Z") {
			t.Errorf("%s has times that aren't UTC:\n%s", format, text)
		}
	}
	if _, offset := f.Provenance.ObservedAt.Zone(); offset == 0 {
		t.Error("the caller's finding was written to")
	}
}
