package report_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/evaluate"
	"github.com/dataverket/avstem/report"
)

// scorecard is of two platforms, one of them named to do harm.
func scorecard(t *testing.T) (*evaluate.Scorecard, *evaluate.Sources) {
	t.Helper()
	c, err := evaluate.MASKIN014()
	if err != nil {
		t.Fatal(err)
	}
	const hostile = `<script>alert("a b.c")</script>`
	s := &evaluate.Sources{
		Attested: []evaluate.Attestation{
			{Platform: "libvirt", Requirement: "cost", Level: 2, Says: "no licence", Source: "doc", Date: "2026-10-01", By: "kari", Where: "a.yaml:2"},
			{Platform: hostile, Requirement: "cost", Level: 1, Says: hostile, Source: "javascript:alert(1)", Date: "2026-10-01", By: "kari", Where: "a.yaml:3"},
		},
		Probes: []evaluate.ProbeFile{{Name: "libvirt.json", Run: &evaluate.ProbeRun{Platform: "libvirt", At: now, Limit: time.Second,
			Steps: []evaluate.ProbeStep{{Step: "create", Outcome: evaluate.ProbeWorked}, {Step: "clone", Outcome: evaluate.ProbeFailed, Error: "no room"}}}}},
	}
	return evaluate.Score(c, s, nil, now), s
}

func TestScorecardGolden(t *testing.T) {
	card, _ := scorecard(t)
	for name, o := range map[string]report.ScorecardOptions{
		"scorecard-100.txt": {Width: 100}, "scorecard-40.txt": {Width: 40}, "scorecard-evidence.txt": {Width: 160, Evidence: true},
	} {
		golden(t, name, written(t, func(w io.Writer) error { return report.Scorecard(w, card, o) }))
	}
	golden(t, "scorecard.md", written(t, func(w io.Writer) error { return report.ScorecardMarkdown(w, card) }))
}

var anchors = regexp.MustCompile(`href="#([^"]*)"`)

// The page is well formed, nobody's words are run in it, and each of its links
// leads to one place.
func TestScorecardHTML(t *testing.T) {
	card, sources := scorecard(t)
	page := written(t, func(w io.Writer) error { return report.ScorecardHTML(w, card, sources) })
	if strings.Contains(page, "<script") || strings.Contains(page, `href="javascript`) {
		t.Error("a name or a source is run in the page")
	}
	ids := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			open = append(open, e.Name.Local)
			for _, a := range e.Attr {
				if a.Name.Local == "id" {
					ids[a.Value]++
				}
			}
		case xml.EndElement:
			if last := open[len(open)-1]; last != e.Name.Local {
				t.Fatalf("%s is ended inside %s", e.Name.Local, last)
			}
			open = open[:len(open)-1]
		}
	}
	for id, count := range ids {
		if count != 1 || !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(id) {
			t.Errorf("the ID %q is there %d times", id, count)
		}
	}
	links := anchors.FindAllStringSubmatch(page, -1)
	if len(links) == 0 {
		t.Error("no level leads to its evidence")
	}
	for _, link := range links {
		if ids[link[1]] != 1 {
			t.Errorf("the link to %q leads nowhere", link[1])
		}
	}
}
