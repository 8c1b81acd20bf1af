package report_test

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report"
	"github.com/dataverket/avstem/report/drift"
)

// driftReport is a report on the findings of testdata, with a week behind them.
func driftReport(t testing.TB) *drift.Report {
	all := read[[]reconcile.Finding](t, "findings.json")
	h := drift.NewHistory(now.Add(-6 * 24 * time.Hour))
	for i, f := range all {
		if f.State == reconcile.Open {
			h.Add(drift.Event{At: f.Since, Change: reconcile.Opened, Finding: f})
		}
		f.ID, f.Message = fmt.Sprintf("f-before-%d", i), "it was so and is no more"
		at := now.Add(-time.Duration(i*5) * time.Hour)
		h.Add(drift.Event{At: at.Add(-30 * time.Hour), Change: reconcile.Opened, Finding: f})
		h.Add(drift.Event{At: at, Change: reconcile.Closed, Finding: f})
	}
	part := 0.5
	return drift.Make(drift.Input{
		At: now, Findings: all, History: h, Notes: []string{"1 event could not be read, and what happened over time may be wrong by it."},
		Numbers: []evaluate.Numbers{{
			Platform: "libvirt", Runtime: "libvirt-qemu", Hosts: evaluate.Share{Have: 1, Of: 2}, VMs: 15, Observability: &part, Reconcilability: &part,
			Fields: []evaluate.FieldShare{{Field: "vm.uuid", Share: evaluate.Share{Have: 15, Of: 15}, Needed: true, Known: "direct", Change: "event"},
				{Field: "disk.capacity", Share: evaluate.Share{Have: 5, Of: 15}, Needed: true, Change: "poll", Gaps: []evaluate.Gap{{Why: evaluate.TimedOut, Count: 10, Note: "virDomainGetBlockInfo vda: no answer in 2s"}}}},
			Compared: []evaluate.FieldShare{{Field: "nic.vlan", Share: evaluate.Share{Have: 3, Of: 4}, Gaps: []evaluate.Gap{{Why: evaluate.NotCompared, Count: 1, Note: "the path ends"}}}},
		}},
		Health: &evaluate.Health{
			Platforms: []evaluate.Fleet{{Platform: "libvirt", Hosts: map[evaluate.HostState]int{evaluate.HostLive: 2, evaluate.HostSilent: 1}, Versions: map[string]int{"v1.0.0": 1, "v1.1.0": 2}, VMs: 16, Agreeing: 2}},
			Hosts: []evaluate.HostHealth{{Host: "hv-osl1-02", Site: "osl1", Platforms: []string{"libvirt"}, State: evaluate.HostSilent, LastHeard: now.Add(-time.Hour),
				Version: "v1.0.0", Skew: -90 * time.Second, Why: []string{"hv-osl1-02 was last heard at 09:00", "a second reason"}}},
		},
	})
}

func TestDriftReport(t *testing.T) {
	r := driftReport(t)
	for name, write := range map[string]func(io.Writer, *drift.Report) error{
		"report.md": report.DriftMarkdown, "report.json": report.DriftJSON, "report.csv": report.DriftCSV,
	} {
		t.Run(name, func(t *testing.T) { golden(t, name, written(t, func(w io.Writer) error { return write(w, r) })) })
	}
	// The next report is held against it.
	back, err := drift.Read(strings.NewReader(written(t, func(w io.Writer) error { return report.DriftJSON(w, r) })))
	if err != nil || len(back.Sections) != len(r.Sections) || len(back.Sections[0].Findings) != r.Sections[0].Open {
		t.Errorf("read back: %v, %+v", err, back)
	}
}

// Every format must have every open finding, and the pages both values of each.
func TestDriftReportLeavesNothingOut(t *testing.T) {
	r := driftReport(t)
	texts := map[string]string{
		"html":     written(t, func(w io.Writer) error { return report.DriftHTML(w, r) }),
		"markdown": written(t, func(w io.Writer) error { return report.DriftMarkdown(w, r) }),
		"json":     written(t, func(w io.Writer) error { return report.DriftJSON(w, r) }),
		"csv":      written(t, func(w io.Writer) error { return report.DriftCSV(w, r) }),
	}
	for format, text := range texts {
		for _, want := range []string{"silent", "v1.1.0", "2026-11-2", "virDomainGetBlockInfo", "disk.capacity", "network.isolation", "nordlys/shop"} {
			if format == "csv" && want == "virDomainGetBlockInfo" || format != "json" && format != "html" && format != "markdown" && want == "v1.1.0" {
				continue
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s has no %q", format, want)
			}
		}
	}
	for _, s := range r.Sections {
		for _, f := range s.Findings {
			for _, format := range []string{"json", "csv"} {
				if !strings.Contains(texts[format], f.ID) {
					t.Errorf("%s lacks %s", format, f.ID)
				}
			}
		}
	}
}

func TestDriftReportOfNothing(t *testing.T) {
	r := drift.Make(drift.Input{At: now, History: drift.NewHistory(now)})
	for format, write := range map[string]func(io.Writer, *drift.Report) error{"html": report.DriftHTML, "markdown": report.DriftMarkdown} {
		if text := written(t, func(w io.Writer) error { return write(w, r) }); !strings.Contains(text, "Nothing is known of any platform") {
			t.Errorf("%s: %s", format, text)
		}
	}
	wellFormed(t, written(t, func(w io.Writer) error { return report.DriftHTML(w, r) }))
}

// A page must be whole, and need and reach nothing else: no script, no picture, no
// style and no address of anywhere.
func TestDriftPageStandsAlone(t *testing.T) {
	wellFormed(t, written(t, func(w io.Writer) error { return report.DriftHTML(w, driftReport(t)) }))
}

// allowed are the elements that a page has. None of them runs or fetches anything.
var allowed = " html head meta title style body code h1 h2 h3 h4 p a div b small table thead tbody tr th td span br ul li svg g line rect text "

func wellFormed(t rapid.TB, page string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(page))
	dec.Entity = xml.HTMLEntity
	inStyle := false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatalf("the page isn't well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			inStyle = token.Name.Local == "style"
			if !strings.Contains(allowed, " "+token.Name.Local+" ") {
				t.Errorf("the page has an element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				name := strings.ToLower(a.Name.Local)
				if strings.HasPrefix(name, "on") || name == "src" || name == "style" || name == "href" && !strings.HasPrefix(a.Value, "#") {
					t.Errorf("the page has %s=%q", name, a.Value)
				}
			}
		case xml.EndElement:
			inStyle = false
		case xml.CharData:
			if text := string(token); inStyle && (strings.Contains(text, "url(") || strings.Contains(text, "@import") || strings.Contains(text, "//")) {
				t.Error("the page's style reaches elsewhere")
			}
		}
	}
}

// Whatever hosts and Sentral call things, every format stays what it is.
func TestDriftReportOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		findings := drawFindings(t)
		h := drift.NewHistory(now.Add(-3 * 24 * time.Hour))
		for _, f := range drawFindings(t) {
			h.Add(drift.Event{At: now.Add(-time.Duration(rapid.IntRange(0, 5000).Draw(t, "minutes")) * time.Minute),
				Change: rapid.SampledFrom([]reconcile.Change{reconcile.Opened, reconcile.Closed, reconcile.Changed, "\x1b"}).Draw(t, "change"), Finding: f})
		}
		word := func() string { return words().Draw(t, "word") }
		in := drift.Input{At: now, Site: "", Platform: "", Findings: findings, History: h, Notes: []string{word()},
			Health: &evaluate.Health{Platforms: []evaluate.Fleet{{Platform: findingsPlatform(findings), Hosts: map[evaluate.HostState]int{evaluate.HostState(word()): 2}, Versions: map[string]int{word(): 1}}},
				Hosts: []evaluate.HostHealth{{Host: word(), Platforms: []string{findingsPlatform(findings)}, State: evaluate.HostState(word()), Version: word(), Why: []string{word()}}}},
			Numbers: []evaluate.Numbers{{Platform: findingsPlatform(findings), Runtime: word(), Fields: []evaluate.FieldShare{{Field: "vm.uuid", Needed: true, Share: evaluate.Share{Of: 1},
				Gaps: []evaluate.Gap{{Why: evaluate.Refused, Count: 1, Note: word(), Remedy: word()}}}}}},
		}
		r := drift.Make(in)
		page := written(t, func(w io.Writer) error { return report.DriftHTML(w, r) })
		wellFormed(t, page)
		for _, text := range []string{page, written(t, func(w io.Writer) error { return report.DriftMarkdown(w, r) })} {
			for _, c := range text {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("%U is in the page", c)
				}
			}
		}
		rows, err := csv.NewReader(strings.NewReader(written(t, func(w io.Writer) error { return report.DriftCSV(w, r) }))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.ContainsAny(strings.TrimLeft(cell, " \""), "=+-@") && strings.IndexAny(strings.TrimLeft(cell, " \""), "=+-@") == 0 {
					t.Fatalf("a spreadsheet takes %q for a formula", cell)
				}
			}
		}
		var back drift.Report
		if err := json.Unmarshal([]byte(written(t, func(w io.Writer) error { return report.DriftJSON(w, r) })), &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(len(r.Sections), len(back.Sections)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func findingsPlatform(findings []reconcile.Finding) string {
	if len(findings) == 0 {
		return "libvirt"
	}
	return findings[0].Subject.Platform
}

// The lines of a chart are at round numbers, five at most, and none is lower than
// the highest bar.
func TestChartScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(0, 10_000_000).Draw(t, "most")
		step, top := report.Scale(most)
		if top < most || top%step != 0 || top/step > 5 || step < 1 {
			t.Fatalf("most %d: step %d, top %d", most, step, top)
		}
		for step >= 10 && step%10 == 0 {
			step /= 10
		}
		if step != 1 && step != 2 && step != 5 {
			t.Fatalf("most %d: step %d is not round", most, step)
		}
	})
}
