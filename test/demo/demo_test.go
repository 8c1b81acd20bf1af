package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/reconcile"
)

var update = flag.Bool("update", false, "write golden files anew")

// The whole way, with nothing replaced: real guests under a real libvirtd and
// Open vSwitch, "avstem up" beside them, and the findings that "avstem drift"
// then gives.
func TestFindings(t *testing.T) {
	program := buildProgram(t)
	r := world(t)
	a, err := StartAvstem(r, program)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	data, err := a.Await(ctx, Progress.Settled, func(Progress) {})
	if err != nil {
		log, _ := os.ReadFile(a.LogFile())
		t.Fatalf("%v\nfindings:\n%s\nlog:\n%s", err, data, log[max(0, len(log)-8192):])
	}
	got := normalise(t, data)
	golden := filepath.Join("testdata", "findings.golden.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("findings (-want +got; -update writes them anew):\n%s", diff)
	}
	checkAgreeing(t, data)
}

// checkAgreeing holds the silence: what agrees gets no finding.
func checkAgreeing(t *testing.T, data []byte) {
	t.Helper()
	var findings []reconcile.Finding
	if err := json.Unmarshal(data, &findings); err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		for i := range guests {
			if guests[i].Agrees && f.Subject.Name == guests[i].Name {
				t.Errorf("%s agrees in everything, and has a finding: %s", f.Subject.Name, f.Message)
			}
		}
	}
}

func buildProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "avstem")
	cmd := exec.Command("go", "build", "-o", program, "github.com/dataverket/avstem/cmd/avstem")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build avstem: %v\n%s", err, out)
	}
	return program
}

var (
	findingID = regexp.MustCompile(`\bf-[a-z0-9]{8,}\b`)
	timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
)

// normalise replaces what differs from run to run: times, the host's ID, and
// with it the IDs of findings, which are numbered in the order of the list.
func normalise(t *testing.T, data []byte) []byte {
	t.Helper()
	var findings []reconcile.Finding
	if err := json.Unmarshal(data, &findings); err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	text := timestamp.ReplaceAllString(indented.String(), "TIME")
	for _, f := range findings {
		if f.Provenance != nil && f.Provenance.Host.String() != "" {
			text = strings.ReplaceAll(text, f.Provenance.Host.String(), "HOST-ID")
		}
	}
	ids := map[string]string{}
	for i, f := range findings {
		ids[f.ID] = fmt.Sprintf("f-%02d", i+1)
	}
	text = findingID.ReplaceAllStringFunc(text, func(id string) string {
		if number, known := ids[id]; known {
			return number
		}
		return id
	})
	return []byte(strings.TrimSpace(text) + "\n")
}
