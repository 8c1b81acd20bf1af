package lint

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

var update = flag.Bool("update", false, "write the expected notes anew")

// check lints documents by name.
func check(documents []txtar.File) []Note {
	var records []sentral.Record
	var faults []sentral.Fault
	for _, d := range documents {
		c := document.Parse(d.Name, d.Data)
		records = append(records, c.Records...)
		faults = append(faults, c.Faults...)
		if c.Broken != nil {
			faults = append(faults, *c.Broken)
		}
	}
	return Check(records, faults)
}

// TestRules has one script for each rule: files, and the notes that they give.
func TestRules(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	seen := map[string]bool{}
	for _, name := range scripts {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		last := len(archive.Files) - 1
		if last < 0 || archive.Files[last].Name != "notes" {
			t.Fatalf("%s: the last file is to be the notes", name)
		}
		var got strings.Builder
		for _, n := range check(archive.Files[:last]) {
			seen[n.Rule] = true
			got.WriteString(n.String() + " [" + n.Rule + "]\n  " + n.Hint + "\n")
		}
		if *update {
			archive.Files[last].Data = []byte(got.String())
			if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(string(archive.Files[last].Data), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	rules := []string{
		"record", "duplicate", "file", "reference", "contradiction",
		"name-taken", "host-not-active", "no-uuid", "no-mac", "network-elsewhere", "foreign-network", "affinity-impossible",
		"vlan-shared", "vlan-claimed", "size-tiny", "no-host-id", "capacity-exceeded", "quota-exceeded", "quota-uncounted", "unused", "no-vlan", "image-unverifiable",
	}
	for _, rule := range rules {
		if !seen[rule] {
			t.Errorf("no script shows %s", rule)
		}
		delete(seen, rule)
	}
	for rule := range seen {
		t.Errorf("%s is not in the list of rules", rule)
	}
}

// TestExampleIsClean: the inventory that people copy has nothing to say about
// but what nobody can know beforehand.
func TestExampleIsClean(t *testing.T) {
	var documents []txtar.File
	for _, pattern := range []string{"../../docs/examples/inventory/*.yaml", "../../docs/examples/inventory/*/*.yaml"} {
		paths, _ := filepath.Glob(pattern)
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			documents = append(documents, txtar.File{Name: path, Data: data})
		}
	}
	for _, n := range check(documents) {
		if n.Level.AtLeast(Warning) {
			t.Error(n)
		}
	}
}

func TestSplit(t *testing.T) {
	for where, want := range map[string]Note{
		"a.yaml:3:14": {File: "a.yaml", Line: 3, Column: 14}, "c:/x/a.yaml:3:14": {File: "c:/x/a.yaml", Line: 3, Column: 14},
		"a.yaml": {File: "a.yaml"}, "": {}, "https://s:80": {File: "https://s:80"},
	} {
		var got Note
		got.File, got.Line, got.Column = split(where)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", where, diff)
		}
	}
}

// FuzzCheck: no documents make it panic, and every note says where and what.
func FuzzCheck(f *testing.F) {
	scripts, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range scripts {
		if archive, err := txtar.ParseFile(name); err == nil {
			for _, file := range archive.Files {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, n := range check([]txtar.File{{Name: "a.yaml", Data: data}}) {
			if n.File != "a.yaml" || n.Line == 0 || n.Message == "" || n.Hint == "" {
				t.Errorf("%+v", n)
			}
		}
	})
}
