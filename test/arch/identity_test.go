package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestIdentityPageIsProved holds each row of docs/identity.md's table of what
// happens when to tests that exist.
func TestIdentityPageIsProved(t *testing.T) {
	page, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n## What happens when\n")
	if !found {
		t.Fatal("docs/identity.md has no table of what happens when")
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if len(cells) != 5 || strings.TrimSpace(cells[0]) == "what happens" || strings.HasPrefix(cells[0], "---") {
			continue
		}
		rows++
		proofs := quoted.FindAllStringSubmatch(cells[4], -1)
		if len(proofs) == 0 {
			t.Errorf("nothing proves %q", strings.TrimSpace(cells[0]))
		}
		for _, proof := range proofs {
			if why := unproved(t, proof[1]); why != "" {
				t.Errorf("%q is said to be proved by %s: %s", strings.TrimSpace(cells[0]), proof[1], why)
			}
		}
	}
	if rows < 20 {
		t.Errorf("the table has %d rows; did its form change?", rows)
	}
}

// unproved says why a reference leads nowhere: "scenario NAME", or a package's
// directory and a test's name with its subtest's.
func unproved(t *testing.T, proof string) string {
	where, name, _ := strings.Cut(proof, " ")
	if where == "scenario" {
		if _, err := os.Stat("../../reconcile/testdata/scenarios/" + name + ".txtar"); err != nil {
			return err.Error()
		}
		return ""
	}
	files, err := filepath.Glob("../../" + where + "/*_test.go")
	if err != nil || len(files) == 0 {
		return "there are no tests in " + where
	}
	test, sub, _ := strings.Cut(name, "/")
	for _, file := range files {
		code, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, body, found := strings.Cut(string(code), "\nfunc "+test+"(t *testing.T) {\n")
		if !found {
			continue
		}
		body, _, _ = strings.Cut(body, "\n}\n")
		if sub != "" && !strings.Contains(body, `t.Run("`+sub+`"`) {
			return test + " has no such subtest"
		}
		return ""
	}
	return "there is no such test"
}
