package document

import (
	"bytes"
	"encoding"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
)

// Decode reads one YAML or JSON document that is no inventory, but is written by
// the same people and read with the same strictness, into what v points to: a
// struct whose fields have JSON names. Types that a single value stands for
// unmarshal themselves from text; what is any takes whatever is there. Every fault
// has a place, and what v holds is of no use where there is one. Place gives the
// place of a key's value, as "suppressions[2]". It never panics.
func Decode(name string, data []byte, v any) (place func(key string) sentral.Place, faults []sentral.Fault) {
	broken := func(fault *sentral.Fault) (func(string) sentral.Place, []sentral.Fault) {
		fault.Name, fault.Lost = name, true
		return func(string) sentral.Place { return fault.Place }, []sentral.Fault{*fault}
	}
	if fault := checkText(data); fault != nil {
		return broken(fault)
	}
	isJSON := strings.HasSuffix(strings.ToLower(name), ".json")
	read := readYAML
	if isJSON {
		read = readJSON
	}
	roots, fault := read(data)
	switch {
	case fault != nil:
		return broken(fault)
	case len(roots) == 0 || isNull(roots[0]):
		return broken(at(1, 1, "the file is empty"))
	case len(roots) > 1:
		return broken(at(max(roots[1].Line, 1), 1, "the file holds more than one document"))
	}
	d := newDecoder(name, isJSON)
	d.value(roots[0], reflect.ValueOf(v).Elem(), rootKey)
	if d.flooded {
		return broken(at(1, 1, "aliases unfold to more than %d values", maxAliased))
	}
	return newPlaces(name, d.keys, d.current.marks).of, d.current.faults
}

// SaysNothing tells whether a YAML document holds no text, or comments alone.
func SaysNothing(name string, data []byte) bool {
	if len(bytes.TrimSpace(data)) == 0 {
		return true
	}
	if strings.HasSuffix(strings.ToLower(name), ".json") || checkText(data) != nil {
		return false
	}
	roots, fault := readYAML(data)
	return fault == nil && (len(roots) == 0 || len(roots) == 1 && isNull(roots[0]))
}

// unmarshal lets a type read itself from text.
func (d *decoder) unmarshal(n *yaml.Node, target encoding.TextUnmarshaler) string {
	if n.Kind != yaml.ScalarNode {
		return "want a single value, and not " + describe(n)
	}
	if err := target.UnmarshalText([]byte(n.Value)); err != nil {
		return err.Error()
	}
	return ""
}

// anything gives what a node says as JSON has it: nil, bool, float64, string,
// []any or map[string]any.
func (d *decoder) anything(n *yaml.Node, key keyID, depth int) any {
	n, leave := d.follow(n)
	defer leave()
	if d.unfolded() {
		return nil
	}
	switch {
	case depth > maxMergeDepth:
		d.fault(n, key, "is nested more than %d deep", maxMergeDepth)
		return nil
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			list[i] = d.anything(item, d.keys.id(key, "", i), depth+1)
		}
		return list
	case n.Kind == yaml.MappingNode:
		table := map[string]any{}
		d.pairs(n, key, func(name string, _, value *yaml.Node) {
			table[name] = d.anything(value, d.keys.id(key, name, -1), depth+1)
		})
		return table
	}
	return plainScalar(n)
}

func plainScalar(n *yaml.Node) any {
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if number, err := strconv.ParseFloat(n.Value, 64); err == nil && number-number == 0 { // and not infinite
			return number
		}
	}
	return n.Value
}
