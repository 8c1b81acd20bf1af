package capture

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/collectors/collectorstest"
	"github.com/dataverket/avstem/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

// seen is what a golden file holds of a source.
type seen struct {
	Source   string              `json:"source"`
	Outcome  inventory.Outcome   `json:"outcome"`
	Problems []inventory.Problem `json:"problems,omitempty"`
	inventory.Body
}

func build(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "avstem-agent")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", file, "github.com/dataverket/avstem/cmd/avstem-agent")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build avstem-agent: %v\n%s", err, said)
	}
	return file
}

func collect(t *testing.T, agent, root string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), agent, "collect", "--root", root, "--state-dir", "/nowhere", "-o", "json")
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, errors.String())
	}
	var all []seen
	if err := json.Unmarshal(bytes.ReplaceAll(out, []byte(root), []byte("ROOT")), &all); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}

// TestCaptures holds the whole pass over each capture to a golden file. Its first
// lines say whether it was taken from a host or written by hand.
func TestCaptures(t *testing.T) {
	agent := build(t)
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, archive := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(archive), ".txtar"), func(t *testing.T) {
			text, err := os.ReadFile(archive)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(text, []byte("Taken from")) && !bytes.HasPrefix(text, []byte("Written by hand")) {
				t.Error("it doesn't say where it is from")
			}
			got := collect(t, agent, collectorstest.Tree(t, archive))
			golden := strings.TrimSuffix(archive, ".txtar") + ".json"
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
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestTakeAndScrub takes a capture of a capture: the agent sees as much in it, and
// nothing is left that tells which host it was.
func TestTakeAndScrub(t *testing.T) {
	root := collectorstest.Tree(t, "testdata/dell-r640.txtar")
	var taken bytes.Buffer
	if err := Take(root, &taken); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{
		"7XK2P03", "4c4c4544-0058-4b10-8032-b7c04f503033", "5af3c9d1e0b84b62a1d7f0c9e8b7a654", "hv-osl1-07",
		"e4:43:4b:1a:2c:30", "1a:2c:30", "6d0946606e0c7b00", "CNIVC0098R01KL",
	} {
		if strings.Contains(strings.ToLower(taken.String()), strings.ToLower(secret)) {
			t.Errorf("%s is in the capture", secret)
		}
	}
	archive := filepath.Join(t.TempDir(), "again.txtar")
	if err := os.WriteFile(archive, taken.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	agent := build(t)
	before, after := collect(t, agent, root), collect(t, agent, collectorstest.Tree(t, archive))
	// What a value is may differ, and where there is one not.
	values := regexp.MustCompile(`"[^"]*"(,?)\n`)
	plain := func(text []byte) string { return string(values.ReplaceAll(text, []byte("\"\"$1\n"))) }
	if diff := cmp.Diff(plain(before), plain(after)); diff != "" {
		t.Errorf("(-host +capture of it):\n%s", diff)
	}
	for _, same := range []string{"PowerEdge R640", "PERC H730P Mini", "e4:43:4b:"} {
		if !strings.Contains(string(after), same) {
			t.Errorf("%s is lost", same)
		}
	}
}

func TestScrubIsConsistent(t *testing.T) {
	s := newScrubber()
	s.learn("7XK2P03\n")
	s.learn("t10.ATA     INTEL SSD   PHYG0123456789\n")
	s.learn("0000000000")
	text := "7XK2P03 52:54:00:aa:00:01 PHYG0123456789 00:00:00:00:00:00 0000000000 52:54:00:aa:00:01"
	got := strings.Fields(s.scrub(text))
	if got[1] != got[5] || got[1] == "52:54:00:aa:00:01" || !strings.HasPrefix(got[1], "52:54:00:") || got[3] != "00:00:00:00:00:00" || got[4] != "0000000000" {
		t.Errorf("scrubbed it is %v", got)
	}
	if got[0] == "7XK2P03" || len(got[0]) != 7 || got[2] == "PHYG0123456789" || s.scrub(text) != strings.Join(got, " ") {
		t.Errorf("scrubbed it is %v", got)
	}
	if other := newScrubber(); other.scrub(text) == s.scrub(text) {
		t.Error("two captures are scrubbed alike")
	}
}
