package document

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/sentral"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(sentral.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertVocabs()
	if err := compiler.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// accepts says what the schema and what the loader think of one JSON document,
// apart from what only holds across records.
func accepts(t interface{ Fatal(...any) }, schema *jsonschema.Schema, text string) (bySchema, byLoader bool, why string) {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	err = schema.Validate(value)
	c := Parse("a.json", []byte(text))
	faults := c.Faults
	if c.Broken != nil {
		faults = append(faults, *c.Broken)
	}
	whole := sentral.Assemble(nil, faults)
	lines := problems(whole)
	for _, record := range c.Records { // each alone, so that none refers to another
		for _, p := range sentral.Assemble([]sentral.Record{record}, nil).Problems {
			if !strings.Contains(p.Error, "is not in the inventory") && !p.Duplicate {
				lines = append(lines, p.String())
			}
		}
	}
	if err != nil {
		why = err.Error()
	}
	return err == nil, lines == nil, why + "\n" + strings.Join(lines, "\n")
}

// TestSchemaAgreesOnValues tries each value at each key of one good record.
func TestSchemaAgreesOnValues(t *testing.T) {
	schema := compileSchema(t)
	document := exampleJSON(t)
	if bySchema, byLoader, why := accepts(t, schema, marshal(t, document)); !bySchema || !byLoader {
		t.Fatalf("the example: schema %v, loader %v: %s", bySchema, byLoader, why)
	}
	accepted, refused := 0, 0
	part := map[string]any{} // one list at a time
	try := func(key string, value any) {
		bySchema, byLoader, why := accepts(t, schema, marshal(t, part))
		if bySchema != byLoader {
			t.Errorf("%s = %v: schema %v, loader %v: %s", key, value, bySchema, byLoader, why)
		}
		if byLoader {
			accepted++
		} else {
			refused++
		}
	}
	var walk func(path string, n any, set func(any))
	walk = func(path string, n any, set func(any)) {
		for _, value := range oddValues() {
			set(value)
			try(path, value)
		}
		set(n)
		switch n := n.(type) {
		case map[string]any:
			for key, value := range n {
				walk(path+"."+key, value, func(v any) { n[key] = v })
				delete(n, key)
				try(path+"."+key, "left out")
				n[key] = value
			}
			n["surplus"] = "x"
			try(path+".surplus", "added")
			delete(n, "surplus")
		case []any:
			for i, value := range n {
				walk(path+"[]", value, func(v any) { n[i] = v })
			}
		}
	}
	for key, list := range document {
		part = map[string]any{key: list}
		walk(key, list, func(v any) { part[key] = v })
	}
	if accepted < 100 || refused < 1000 {
		t.Errorf("only %d accepted and %d refused", accepted, refused)
	}
}

// oddValues are those that a key may be given, rightly or wrongly.
func oddValues() []any {
	return []any{
		nil, true, "", " ", "x", " x", "x ", "a\nb", "\u00a0x", "\u2003x", "\u0085", "Øl", "osl1", "Osl1", "-osl", "true", strings.Repeat("ø", 255), strings.Repeat("ø", 256), strings.Repeat("a", 64), strings.Repeat("a", 4097),
		0, 1, -1, 4094, 4095, 5000, 65536 + 110, 1.5, 2.0, json.Number("2.0"), json.Number("-0"), json.Number("1e2"), 1000000000, 1000000001, json.Number("18446744073709551615"), json.Number("18446744073709551616"), json.Number("99999999999999999999999"),
		"0", "4GiB", "4 gib", "960GB", "1.5GiB", "4.", ".5GiB", "0GiB", "0.0", "4GiBs", "-4GiB", "4B", "4K", "1.2.3", "4 PiB", "EiB",
		"52:54:00:aa:00:01", "52-54-00-AA-00-01", "5254.00aa.0001", "52:54:00:aa:00", "52:54:00-aa:00:01", "01:00:5e:00:00:01", "00:00:00:00:00:00", "0000.0000.0000", "52:54:00:aa:00:01 ", "52:54:00:aa:00:0g", "00:00:00:00:fe:80:00:00",
		"0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", "{0B7E2F6E-6d3a-4d43-9d0c-0d6a4c1c0001}", "(0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001)", "URN:uuid:0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", "0b7e2f6e6d3a4d439d0c0d6a4c1c0001", "0b7e2f6e-6d3a", "00000000-0000-0000-0000-000000000000", "{00000000-0000-0000-0000-000000000000}", "00000000000000000000000000000000",
		"running", "stopped", "absent", "active", "Active", "retired",
		[]any{}, []any{"x"}, []any{"x", nil}, []any{110}, []any{[]any{}}, map[string]any{}, map[string]any{"id": "x"}, map[string]any{"osl1": 110}, map[string]any{"name": "x", "vlans": []any{4095}},
	}
}

// TestSchemaAgrees tries documents made at random from good and bad parts.
func TestSchemaAgrees(t *testing.T) {
	schema := compileSchema(t)
	odd := oddValues()
	example := exampleJSON(t)
	source := marshal(t, example)
	rapid.Check(t, func(t *rapid.T) {
		document := decodeJSON(t, source)
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			mutate(t, document, odd)
		}
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		bySchema, byLoader, why := accepts(t, schema, string(text))
		if bySchema != byLoader {
			t.Fatalf("schema %v, loader %v: %s\n%s", bySchema, byLoader, why, text)
		}
	})
}

// mutate changes one value somewhere below n.
func mutate(t *rapid.T, n any, odd []any) {
	switch n := n.(type) {
	case map[string]any:
		if len(n) == 0 {
			return
		}
		key := rapid.SampledFrom(sortedKeys(n)).Draw(t, "key")
		switch rapid.IntRange(0, 5).Draw(t, "what") {
		case 0:
			n[key] = copied(rapid.SampledFrom(odd).Draw(t, "value"))
		case 1:
			delete(n, key)
		default:
			mutate(t, n[key], odd)
		}
	case []any:
		if len(n) == 0 {
			return
		}
		i := rapid.IntRange(0, len(n)-1).Draw(t, "index")
		if rapid.IntRange(0, 5).Draw(t, "what") == 0 {
			n[i] = copied(rapid.SampledFrom(odd).Draw(t, "value"))
			return
		}
		mutate(t, n[i], odd)
	}
}

// copied gives a value of its own, so that one that is put in twice never comes to
// lie in itself.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		c := make(map[string]any, len(v))
		for key, value := range v {
			c[key] = copied(value)
		}
		return c
	case []any:
		c := make([]any, len(v))
		for i, value := range v {
			c[i] = copied(value)
		}
		return c
	}
	return v
}

func sortedKeys(n map[string]any) []string {
	var keys []string
	for key := range n {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// exampleJSON is a good document that has every key.
func exampleJSON(t *testing.T) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return decodeJSON(t, marshal(t, document))
}

func decodeJSON(t interface{ Fatal(...any) }, text string) map[string]any {
	var document map[string]any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}

func marshal(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
