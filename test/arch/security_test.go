package arch

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestSecurityPageIsProved holds each row of docs/security.md's table of attacks to
// tests that exist.
func TestSecurityPageIsProved(t *testing.T) {
	page, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n## Attacks\n")
	if !found {
		t.Fatal("docs/security.md has no table of attacks")
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 3 || strings.TrimSpace(cells[0]) == "attack" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		proofs := quoted.FindAllStringSubmatch(cells[2], -1)
		if len(proofs) == 0 {
			t.Errorf("no test tries %q", strings.TrimSpace(cells[0]))
		}
		for _, proof := range proofs {
			if why := unproved(t, proof[1]); why != "" {
				t.Errorf("%q is said to be tried by %s: %s", strings.TrimSpace(cells[0]), proof[1], why)
			}
		}
	}
	if rows < 15 {
		t.Errorf("the table has %d rows; did its form change?", rows)
	}
}
