package document

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/sentral"
)

// FuzzParse: no text makes the loader panic, every problem has a place within
// the text, and what is used is good by itself.
func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../files/testdata/bad/*", "../../docs/examples/inventory/*.yaml", "../../docs/examples/inventory/*/*.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no seeds in %s: %v", pattern, err)
		}
		for _, path := range paths {
			if data, err := os.ReadFile(path); err == nil {
				f.Add(data, filepath.Ext(path) == ".json")
			}
		}
	}
	for _, text := range []string{
		"vms:\n- &b {id: a}\n- {<<: [*b, *b], nics: [{mac: x}]}\n", "a: &a [*a]", "vms: [{id: |\n  x\n}]", "%YAML 1.2\n---\nvms: []\n...\n", "? {a: b}\n: c\n", "sites: !!set {a, b}",
		"vms:\n  - id: \"\\ud800\"\n", "sites: [{id: !!binary aGk=}]", "sites: [{id: a, ? [b] : c}]", "networks: [{id: a, vlans: {1: 2, [a]: 3}}]", "sites: [{id: a, id: b}]\nsites: []",
	} {
		f.Add([]byte(text), false)
	}
	for _, text := range []string{`{"sites": [{"id": "a"}, `, `[[[[`, `{"sites": [{"id": "\ud800"}]}`, `{"a": 1e999}`, `{"vms": [{"vcpus": 1E400}]}`, `nul`} {
		f.Add([]byte(text), true)
	}
	where := regexp.MustCompile(`^a\.(yaml|json):([1-9][0-9]*):([1-9][0-9]*)$`)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		name := "a.yaml"
		if isJSON {
			name = "a.json"
		}
		inv, c := assemble(name, string(data))
		for _, p := range inv.Problems {
			if !where.MatchString(p.Where) || p.Error == "" || !utf8.ValidString(p.Error) {
				t.Errorf("a problem without place or words: %q", p)
			}
		}
		lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + bytes.Count(data, []byte("\u0085")) + bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029")) + 1
		faults := c.Faults
		if c.Broken != nil {
			faults = append(faults, *c.Broken)
		}
		for _, record := range c.Records {
			faults = append(faults, record.Faults...)
		}
		for _, fault := range faults {
			if fault.Line > lines {
				t.Errorf("line %d of %d: %s", fault.Line, lines, fault.Error)
			}
		}
		if again, _ := assemble(name, string(data)); !cmp.Equal(inv, again) {
			t.Error("the second reading differs")
		}
		for i := range inv.VMs {
			record := sentral.Record{Value: &inv.VMs[i], Place: func(string) sentral.Place { return sentral.Place{} }}
			if alone := sentral.Assemble([]sentral.Record{record}, nil); len(alone.VMs) != 1 {
				t.Errorf("a bad VM is used: %v", alone.Problems)
			}
		}
	})
}
