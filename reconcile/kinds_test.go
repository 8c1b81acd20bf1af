package reconcile_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// TestFindingsPageIsTrue holds docs/findings.md to the kinds: an entry for each,
// with its severity, grace and meaning, and the reason for both.
func TestFindingsPageIsTrue(t *testing.T) {
	page, err := os.ReadFile("../docs/findings.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(page), "\n### ")[1:]
	entries := map[string]string{}
	for _, section := range sections {
		kind, text, _ := strings.Cut(section, "\n")
		entries[kind] = text
	}
	for _, info := range reconcile.Kinds() {
		grace := "at once"
		if info.Grace > 0 {
			grace = fmt.Sprintf("%d s", info.Grace/time.Second)
		}
		means := strings.ToUpper(info.Means[:1]) + info.Means[1:]
		want := fmt.Sprintf("**%s, %s.** %s", info.Severity, grace, means)
		if text, found := entries[string(info.Kind)]; !found {
			t.Errorf("docs/findings.md has no entry for %s", info.Kind)
		} else if !strings.HasPrefix(text, want) {
			t.Errorf("docs/findings.md on %s begins\n\t%.120s\nwant\n\t%s", info.Kind, text, want)
		}
		for _, part := range []string{"*Why it matters:*", "*Found by:*", "*Resolved by:*", "*By default:*"} {
			if !strings.Contains(entries[string(info.Kind)], part) {
				t.Errorf("docs/findings.md doesn't say of %s: %s", info.Kind, part)
			}
		}
		delete(entries, string(info.Kind))
	}
	for kind := range entries {
		t.Errorf("docs/findings.md has an entry for %s, which is no kind", kind)
	}
}
