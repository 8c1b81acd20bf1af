package drift_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/report/drift"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func ago(days float64) time.Time { return now.Add(-time.Duration(days * float64(24*time.Hour))) }

func finding(id string, severity reconcile.Severity, since time.Time) reconcile.Finding {
	return reconcile.Finding{ID: id, Kind: "nic.vlan", Severity: severity, State: reconcile.Open, Since: since, FirstSeen: since, Message: id + " differs",
		Subject: reconcile.Subject{Type: "vm", ID: id, Name: id, Site: "osl1", Host: "hv-01", Platform: "libvirt", Tenant: "acme", Project: "web"}}
}

func event(days float64, change reconcile.Change, f reconcile.Finding) drift.Event {
	return drift.Event{At: ago(days), Change: change, Finding: f}
}

// days is a trend in a few words: date, +opened, -resolved, open.
func days(s *drift.Section) []string {
	var all []string
	for _, d := range s.Trend {
		all = append(all, fmt.Sprintf("%s +%d -%d =%d", d.Date[8:], d.Opened, d.Resolved, d.Open))
	}
	return all
}

func ids(list []drift.Change) string {
	var all []string
	for _, c := range list {
		all = append(all, c.ID)
	}
	return strings.Join(all, " ")
}

func TestTrend(t *testing.T) {
	old, new, flapping, gone := finding("old", "high", ago(9)), finding("new", "low", ago(1)), finding("flapping", "high", ago(0.1)), finding("gone", "high", ago(5))
	h := drift.NewHistory(ago(4))
	for _, e := range []drift.Event{
		event(2, reconcile.Closed, gone), // it was open when the history began
		event(1, reconcile.Opened, new),  //
		event(1, reconcile.Opened, new),  // told twice, as after a crash
		event(3, reconcile.Opened, flapping), event(2.9, reconcile.Closed, flapping), event(0.1, reconcile.Opened, flapping),
		event(1, reconcile.Opened, reconcile.Finding{ID: "other", Severity: "high", Subject: reconcile.Subject{Platform: "incus"}}),
	} {
		h.Add(e)
	}
	r := drift.Make(drift.Input{At: now, Platform: "libvirt", Findings: []reconcile.Finding{old, new, flapping}, History: h})
	if diff := cmp.Diff([]string{"20 +0 -0 =2", "21 +1 -1 =2", "22 +0 -1 =1", "23 +1 -0 =2", "24 +1 -0 =3"}, days(&r.Sections[0])); diff != "" {
		t.Errorf("trend (-want +got):\n%s", diff)
	}
	first, last := r.Sections[0].Trend[0], r.Sections[0].Trend[4]
	if !first.Part || !last.Part || r.Sections[0].Trend[1].Part {
		t.Errorf("which days are whole: %+v", r.Sections[0].Trend)
	}
	if last.BySeverity["high"] != 2 || last.BySeverity["low"] != 1 {
		t.Errorf("severities at the end: %v", last.BySeverity)
	}
	c := &r.Sections[0].Changes
	if c.From != drift.FromEvents || ids(c.New) != "flapping new" || ids(c.Gone) != "gone" || c.Passed != 0 {
		t.Errorf("changes: %+v", c)
	}
}

// Events that are gone with their age say nothing of the days before them.
func TestTrendBeginsWhereEventsDo(t *testing.T) {
	h := drift.NewHistory(ago(14))
	h.Begin(ago(1))
	r := drift.Make(drift.Input{At: now, Findings: []reconcile.Finding{finding("a", "high", ago(20))}, History: h})
	if diff := cmp.Diff([]string{"23 +0 -0 =1", "24 +0 -0 =1"}, days(&r.Sections[0])); diff != "" {
		t.Errorf("trend (-want +got):\n%s", diff)
	}
	if n := len(r.Sections[0].Changes.New); n != 0 {
		t.Errorf("%d are new that are older than the events", n)
	}
}

// What happens at midnight belongs to the day that begins.
func TestTrendAtMidnight(t *testing.T) {
	h := drift.NewHistory(ago(3))
	midnight := now.Truncate(24 * time.Hour)
	f := finding("f", "high", midnight)
	h.Add(drift.Event{At: midnight, Change: reconcile.Opened, Finding: f})
	r := drift.Make(drift.Input{At: now, Findings: []reconcile.Finding{f}, History: h})
	if diff := cmp.Diff([]string{"21 +0 -0 =0", "22 +0 -0 =0", "23 +0 -0 =0", "24 +1 -0 =1"}, days(&r.Sections[0])); diff != "" {
		t.Errorf("trend (-want +got):\n%s", diff)
	}
}

// Law: where every event is there, what is open at the end of a day is what was
// open a day before, and what was opened, without what was resolved; and the last
// day is how things stand.
func TestTrendAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drift.NewHistory(ago(10))
		var open []reconcile.Finding
		for i := range rapid.IntRange(0, 8).Draw(t, "findings") {
			f := finding(fmt.Sprintf("f-%d", i), "high", ago(20))
			isOpen := rapid.Bool().Draw(t, "open before")
			times := rapid.SliceOfNDistinct(rapid.IntRange(1, 10*24*60-1), 0, 6, rapid.ID[int]).Draw(t, "minutes")
			slices.Sort(times)
			for _, minute := range times {
				at := ago(10).Add(time.Duration(minute) * time.Minute)
				change := reconcile.Opened
				if isOpen {
					change = rapid.SampledFrom([]reconcile.Change{reconcile.Closed, reconcile.Changed}).Draw(t, "change")
				}
				if change != reconcile.Changed {
					isOpen = !isOpen
				}
				h.Add(drift.Event{At: at, Change: change, Finding: f})
				f.Since = at
			}
			if isOpen {
				open = append(open, f)
			}
		}
		r := drift.Make(drift.Input{At: now, Platform: "libvirt", Findings: open, History: h})
		trend := r.Sections[0].Trend
		for i := 1; i < len(trend); i++ {
			if want := trend[i-1].Open + trend[i].Opened - trend[i].Resolved; trend[i].Open != want {
				t.Fatalf("%s: %d open, want %d of %+v", trend[i].Date, trend[i].Open, want, trend)
			}
		}
		if last := trend[len(trend)-1].Open; last != len(open) {
			t.Fatalf("%d open at the end, want %d", last, len(open))
		}
	})
}

func TestChangesSinceAReport(t *testing.T) {
	same, worse, gone, new := finding("same", "high", ago(9)), finding("worse", "low", ago(9)), finding("gone", "high", ago(9)), finding("new", "high", ago(1))
	before := drift.Make(drift.Input{At: ago(2), Findings: []reconcile.Finding{same, worse, gone}, History: drift.NewHistory(ago(2))})
	h := drift.NewHistory(ago(14))
	h.Add(event(1.5, reconcile.Closed, gone))
	passed := finding("passed", "high", ago(1.4))
	h.Add(event(1.4, reconcile.Opened, passed))
	h.Add(event(1.3, reconcile.Closed, passed))
	earlier := finding("earlier", "high", ago(5))
	h.Add(event(5, reconcile.Opened, earlier))
	h.Add(event(4, reconcile.Closed, earlier))
	worse.Severity, worse.Message = "critical", "worse differs more"

	data, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	read, err := drift.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := drift.Make(drift.Input{At: now, Findings: []reconcile.Finding{same, worse, new}, History: h, Before: read}).Sections[0].Changes
	if ids(c.New) != "new" || ids(c.Changed) != "worse" || ids(c.Gone) != "gone" || c.Passed != 1 || c.From != drift.FromReport || !c.Since.Equal(ago(2)) {
		t.Errorf("changes: %+v", c)
	}
	if w := c.Changed[0]; w.WasSeverity != "low" || w.WasMessage != "worse differs" || w.Severity != "critical" {
		t.Errorf("changed: %+v", w)
	}
	if !c.Gone[0].At.Equal(ago(1.5)) {
		t.Errorf("gone at %s", c.Gone[0].At)
	}
	// A platform of which nothing is left is told of once more.
	r := drift.Make(drift.Input{At: now, History: drift.NewHistory(ago(14)), Before: read})
	if len(r.Sections) != 1 || ids(r.Sections[0].Changes.Gone) != "gone same worse" {
		t.Errorf("sections: %+v", r.Sections)
	}
}

// What happened on a platform is told although nothing is open there any more.
func TestSectionOfWhatIsOver(t *testing.T) {
	h := drift.NewHistory(ago(14))
	h.Add(event(1, reconcile.Closed, finding("gone", "high", ago(20))))
	r := drift.Make(drift.Input{At: now, History: h})
	if len(r.Sections) != 1 || r.Sections[0].Platform != "libvirt" || ids(r.Sections[0].Changes.Gone) != "gone" || r.Sections[0].Trend[0].Open != 1 {
		t.Errorf("sections: %+v", r.Sections)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "no report in JSON",
		"[]":                             "no report in JSON",
		`{}`:                             `schema is ""`,
		`{"schema": "avstem.report/v2"}`: `schema is "avstem.report/v2" and not avstem.report/v1`,
	} {
		if _, err := drift.Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema": "avstem.report/v1", "sections": [{"platform": "libvirt", "findings": [{"id": "f-1"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := drift.Read(bytes.NewReader(data))
		if err == nil {
			drift.Make(drift.Input{At: now, History: drift.NewHistory(ago(1)), Before: r})
		}
	})
}

func TestSections(t *testing.T) {
	incus := finding("on incus", "low", ago(1))
	incus.Subject.Platform = "incus"
	record := finding("record", "medium", ago(1))
	record.Subject = reconcile.Subject{Type: "inventory", ID: "x.yaml", Site: "osl1"}
	pending, elsewhere := finding("pending", "high", now), finding("elsewhere", "high", ago(1))
	pending.State, elsewhere.Subject.Site = reconcile.Pending, "trd1"
	all := []reconcile.Finding{finding("a", "low", ago(3)), finding("b", "critical", ago(2)), incus, record, pending, elsewhere}
	health := &evaluate.Health{Platforms: []evaluate.Fleet{{Platform: "libvirt", Hosts: map[evaluate.HostState]int{evaluate.HostSilent: 1, evaluate.HostLive: 3}}},
		Hosts: []evaluate.HostHealth{{Host: "hv-07", Platforms: []string{"libvirt"}, State: evaluate.HostSilent}}}
	r := drift.Make(drift.Input{At: now, Site: "osl1", Findings: all, History: drift.NewHistory(ago(1)), Health: health,
		Numbers: []evaluate.Numbers{{Platform: "qemu"}, {Platform: "libvirt", VMs: 7}}})
	var names []string
	for _, s := range r.Sections {
		names = append(names, fmt.Sprintf("%s:%d", s.Platform, s.Open))
	}
	if diff := cmp.Diff([]string{"incus:1", "libvirt:2", "qemu:0", ":1"}, names); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	s := &r.Sections[1]
	if s.Pending != 1 || s.BySeverity["critical"] != 1 || s.Fleet.Total() != 4 || len(s.Troubled) != 1 || s.Numbers[0].VMs != 7 {
		t.Errorf("libvirt: %+v", s)
	}
	if s.Findings[0].ID != "b" || s.VMs[0].Name != "acme/web/b" || s.VMs[0].Host != "hv-01" || s.Projects[0].Open != 2 || s.Hosts[0].Oldest != ago(3) {
		t.Errorf("libvirt: %+v", s)
	}
	only := drift.Make(drift.Input{At: now, Platform: "xen", Findings: all, History: drift.NewHistory(ago(1))})
	if len(only.Sections) != 1 || only.Sections[0].Platform != "xen" || only.Sections[0].Open != 0 {
		t.Errorf("a platform that isn't there: %+v", only.Sections)
	}
}
