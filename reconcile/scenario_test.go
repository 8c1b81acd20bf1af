package reconcile_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
	"golang.org/x/tools/txtar"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/policy"
	"github.com/dataverket/avstem/sentral"

	gocmp "github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the findings that came out into the scenarios")

// epoch is when every scenario begins.
var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// TestScenarios plays each file of testdata/scenarios: what Sentral says
// (intended.yaml), what hosts showed (observed.yaml), and the findings that must
// come of it (findings), one a line; speakers.yaml holds the agents that use one
// host ID, gaps.yaml documents that did not arrive, clocks.yaml how far hosts' clocks
// are ahead, policy.yaml is a policy file, tasks.yaml what Maskin says of its tasks
// (deadlines as "+60s" from the beginning), and paths the ways of the NICs. Sections
// whose names begin with a time, as
// "+20s/observed.yaml", change what they name at that time; "+20s/findings" is
// what stands then, and "+20s/again", which is empty, has the hosts say again what
// they showed last. The comment above the first section says what the scenario
// is for.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenarios/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	kindsSeen := map[reconcile.Kind]bool{}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { playScenario(t, file, kindsSeen) })
	}
	for _, info := range reconcile.Kinds() {
		// What observe.refused and policy.invalid report is no document, so no
		// scenario can hold it.
		if !kindsSeen[info.Kind] && info.Kind != reconcile.ObserveRefused && info.Kind != reconcile.PolicyInvalid {
			t.Errorf("no scenario shows %s", info.Kind)
		}
	}
}

func playScenario(t *testing.T, file string, kindsSeen map[reconcile.Kind]bool) {
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(bytes.TrimSpace(archive.Comment)) == 0 {
		t.Error("the scenario doesn't say what it is for")
	}
	in := reconcile.Input{Policy: reconcile.DefaultPolicy(), Intended: &sentral.Inventory{}}
	var maskin fakeMaskin
	var observed []byte
	var findings []reconcile.Finding
	checked := false
	for i := range archive.Files {
		section := &archive.Files[i]
		at, name := epoch, section.Name
		if offset, rest, timed := strings.Cut(section.Name, "/"); timed {
			d, err := time.ParseDuration(strings.TrimPrefix(offset, "+"))
			if err != nil {
				t.Fatal(err)
			}
			at, name = epoch.Add(d), rest
		}
		switch name {
		case "intended.yaml":
			in.Intended = readIntended(t, section.Data)
		case "observed.yaml":
			observed = section.Data
			in.Observed = readObserved(t, observed, at)
		case "again": // the hosts say the same again
			in.Observed = readObserved(t, observed, at)
		case "speakers.yaml":
			in.Speakers = map[uuid.UUID][]reconcile.Speaker{}
			var listed map[string][]reconcile.Speaker
			decodeYAML(t, section.Data, &listed)
			for host, speakers := range listed {
				in.Speakers[hostID(host)] = speakers
			}
		case "policy.yaml":
			in.Policy, err = policy.Parse("policy.yaml", section.Data)
			if err != nil {
				t.Fatal(err)
			}
		case "tasks.yaml":
			maskin.say(t, section.Data, at)
		case "gaps.yaml":
			var listed []struct {
				reconcile.Gap
				Host string `json:"host"`
			}
			decodeYAML(t, section.Data, &listed)
			in.Gaps = nil
			for _, gap := range listed {
				gap.Gap.Host, gap.Gap.Since = hostID(gap.Host), at
				in.Gaps = append(in.Gaps, gap.Gap)
			}
		case "clocks.yaml":
			in.Clocks = map[uuid.UUID]time.Duration{}
			var listed map[string]string
			decodeYAML(t, section.Data, &listed)
			for host, ahead := range listed {
				d, err := time.ParseDuration(ahead)
				if err != nil {
					t.Fatal(err)
				}
				in.Clocks[hostID(host)] = d
			}
		case "findings":
			in.Now, in.Tasks = at, maskin.tasks
			result := reconcile.Reconcile(in)
			checkLaws(t, in, result)
			maskin.settle(result)
			findings, _ = reconcile.Advance(findings, result, in.Policy, at)
			for _, f := range findings {
				kindsSeen[f.Kind] = true
			}
			got := listFindings(findings)
			if *update {
				section.Data = []byte(got)
			} else if diff := gocmp.Diff(strings.TrimSpace(string(section.Data)), strings.TrimSpace(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", section.Name, diff)
			}
			checked = true
		case "paths":
			in.Now = at
			got := listPaths(reconcile.Reconcile(in))
			if *update {
				section.Data = []byte(got)
			} else if diff := gocmp.Diff(string(section.Data), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", section.Name, diff)
			}
			checked = true
		default:
			t.Fatalf("section %s is neither intended.yaml, observed.yaml, again, speakers.yaml, gaps.yaml, clocks.yaml, policy.yaml, tasks.yaml, paths nor findings", section.Name)
			t.Fatalf("section %s is neither intended.yaml, observed.yaml, again, speakers.yaml, gaps.yaml, clocks.yaml, paths nor findings", section.Name)
		}
	}
	if !checked {
		t.Error("the scenario expects nothing")
	}
	if *update {
		if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// listFindings writes findings as scenarios hold them: state, verdict where it
// isn't confirmed, severity, kind, subject, field, both values, cause.
func listFindings(findings []reconcile.Finding) string {
	kindOf := map[string]reconcile.Kind{}
	for _, f := range findings {
		kindOf[f.ID] = f.Kind
	}
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s %s %s %s %s: %s → %s", f.State, f.Severity, f.Kind, cmp.Or(f.Subject.Name, f.Subject.ID), f.Field, asJSON(f.Intended), asJSON(f.Observed))
		if f.Verdict != reconcile.Confirmed {
			fmt.Fprintf(&b, " (%s)", f.Verdict)
		}
		if f.Suppression != nil {
			fmt.Fprintf(&b, " suppression %s%s", f.Suppression.ID, lapsed(f.Suppression))
		}
		if f.Task != nil {
			fmt.Fprintf(&b, " task %s", f.Task.ID)
		}
		if f.Flaps > 0 {
			fmt.Fprintf(&b, " flaps %d", f.Flaps)
		}
		if f.CausedBy != "" {
			fmt.Fprintf(&b, " causedBy %s", cmp.Or(kindOf[f.CausedBy], "nothing that stands"))
		}
		b.WriteString("\n")
	}
	if b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}

func lapsed(s *reconcile.Suppressing) string {
	if s.Lapsed == "" {
		return ""
	}
	return " (" + s.Lapsed + ")"
}

// fakeMaskin says what becomes of tasks, and is heard at once.
type fakeMaskin struct{ tasks []reconcile.Task }

func (m *fakeMaskin) say(t *testing.T, data []byte, at time.Time) {
	t.Helper()
	var said []struct {
		reconcile.Task
		Deadline string `json:"deadline"`
	}
	decodeYAML(t, data, &said)
	for i := range said {
		task := said[i].Task
		if said[i].Deadline != "" {
			d, err := time.ParseDuration(strings.TrimPrefix(said[i].Deadline, "+"))
			if err != nil {
				t.Fatal(err)
			}
			task.Deadline = epoch.Add(d)
		}
		m.tasks = reconcile.TakeTask(m.tasks, task, at)
	}
}

func (m *fakeMaskin) settle(result *reconcile.Result) {
	var agreed []string
	for _, became := range result.Tasks {
		if became.Outcome == reconcile.TaskAgrees {
			agreed = append(agreed, became.ID)
		}
	}
	m.tasks = reconcile.SettleTasks(m.tasks, agreed)
}

func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func decodeYAML(t *testing.T, data []byte, v any) {
	t.Helper()
	var plain any
	if err := yaml.Unmarshal(data, &plain); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(plain)
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(asJSON))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func readIntended(t *testing.T, data []byte) *sentral.Inventory {
	t.Helper()
	var doc struct {
		sentral.Inventory
		Problems   []sentral.Problem `json:"problems"`
		LeftOut    []sentral.LeftOut `json:"leftOut"`
		Incomplete bool              `json:"incomplete"`
	}
	decodeYAML(t, data, &doc)
	doc.Inventory.Problems, doc.Inventory.LeftOut, doc.Inventory.Incomplete = doc.Problems, doc.LeftOut, doc.Incomplete
	return &doc.Inventory
}

// readObserved reads documents. A host is written as a word; what a document
// leaves out is filled in: complete, seen just now or its age ago.
func readObserved(t *testing.T, data []byte, now time.Time) []reconcile.Document {
	t.Helper()
	var listed []struct {
		inventory.Observation
		Host string `json:"host"`
		Age  string `json:"age"`
	}
	decodeYAML(t, data, &listed)
	var docs []reconcile.Document
	for i := range listed {
		o := listed[i].Observation
		o.Schema = inventory.Schema
		o.Host = hostID(listed[i].Host)
		o.Epoch, o.Gen = max(o.Epoch, 1), max(o.Gen, 1)
		if o.Outcome == "" {
			o.Outcome = inventory.OutcomeComplete
			if len(o.Problems) > 0 {
				o.Outcome = inventory.OutcomePartial
			}
			o.Complete = true
		}
		age := time.Duration(0)
		if listed[i].Age != "" {
			var err error
			if age, err = time.ParseDuration(listed[i].Age); err != nil {
				t.Fatal(err)
			}
		}
		o.ObservedAt = now.Add(-age)
		if err := o.Seal(); err != nil {
			t.Fatal(err)
		}
		docs = append(docs, reconcile.Document{Observation: &o, Received: o.ObservedAt})
	}
	return docs
}

func hostID(word string) uuid.UUID {
	if id, err := uuid.Parse(word); err == nil {
		return id
	}
	return uuid.NewSHA1(uuid.NameSpaceDNS, []byte(word))
}
