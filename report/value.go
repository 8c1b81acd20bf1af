package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/inventory"
)

// none is how a side that has nothing is written.
const none = "none"

// plain gives a value as JSON knows it. Values come from the reconciler in
// this process or from a stream, and both must be written the same.
func plain(v any) any {
	switch v.(type) {
	case nil, string, bool, json.Number:
		return v
	}
	data, err := marshal(v)
	if err != nil {
		// Only what JSON has no word for comes here, such as a NaN.
		return err.Error()
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return err.Error()
	}
	return out
}

// isBytes says whether a name in the model or the inventory is that of a size.
func isBytes(name string) bool {
	switch name {
	case "memory", "size", "capacity", "allocation", "storage", "available":
		return true
	}
	return false
}

// text writes a value for people, on one line; leaf is the name of the field
// that holds it.
func text(v any, leaf string) string {
	switch v := plain(v).(type) {
	case nil:
		return none
	case string:
		if v == "" {
			return `""`
		}
		return printable(v)
	case json.Number:
		if n, err := strconv.ParseUint(v.String(), 10, 64); err == nil && isBytes(leaf) {
			return inventory.Bytes(n).String()
		}
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i], leaf)
		}
		if len(parts) == 0 {
			return none
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		return object(v)
	}
	return none
}

// object writes "name value" pairs sorted by name, but for a reference to an
// image, which people write as "id version".
func object(m map[string]any) string {
	id, hasID := m["id"].(string)
	if version, ok := m["version"].(string); ok && hasID && len(m) == 2 {
		return printable(id) + " " + printable(version)
	}
	if hasID && len(m) == 1 {
		return printable(id)
	}
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	parts := make([]string, len(names))
	for i, name := range names {
		parts[i] = printable(name) + " " + text(m[name], name)
	}
	if len(parts) == 0 {
		return none
	}
	return strings.Join(parts, ", ")
}

// sides writes both sides of a difference, so that they can be told apart: two
// sizes that round to the same words are written in bytes.
func sides(intended, observed any, leaf string) (string, string) {
	a, b := text(intended, leaf), text(observed, leaf)
	if a == b {
		if x, y := text(intended, ""), text(observed, ""); x != y {
			return x + " bytes", y + " bytes"
		}
	}
	return a, b
}

// flat writes a value for a program that reads text: a string as it is, all else
// as JSON, and nothing for nothing.
func flat(v any) string {
	switch v := plain(v).(type) {
	case nil:
		return ""
	case string:
		return printable(v)
	default:
		data, err := marshal(v)
		if err != nil {
			return err.Error()
		}
		return printable(string(data))
	}
}

// splitPath takes a path such as nics[52:54:00:aa:00:01].vlan apart. What is
// within the brackets may hold anything, brackets and dots too. An entity of an
// entity, storagePools[default].volumes[custom/blk], is called default/custom/blk, and
// switches[br0].vlans[110] br0 VLAN 110.
func splitPath(path string) (list, entity, leaf string) {
	open, end := strings.IndexByte(path, '['), strings.LastIndexByte(path, ']')
	if open < 0 || end < open {
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			return path[:i], "", path[i+1:]
		}
		return "", "", path
	}
	entity = path[open+1 : end]
	if outer, inner, nested := strings.Cut(entity, "].volumes["); nested {
		entity = outer + "/" + inner
	}
	for _, word := range []struct{ between, as string }{
		{"].vlans[", " VLAN "}, {"].return[", " VLAN "}, {"].failureDomain[", " in "}, {"].host[", " on "},
	} {
		if outer, inner, nested := strings.Cut(entity, word.between); nested {
			entity = outer + word.as + inner
		}
	}
	return path[:open], entity, strings.TrimPrefix(path[end+1:], ".")
}
