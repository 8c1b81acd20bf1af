package history

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Values are what one side says of one thing: JSON values by path, written as
// findings write their fields ("memory", "nics[52:54:00:aa:00:01].vlan").
type Values map[string]any

// keys are the fields that tell the elements of a list apart, the first that an
// element has. An element of a list that isn't here is named by its place.
var keys = map[string][]string{
	"nics": {"mac"}, "disks": {"serial", "target", "wwn", "name", "source"}, "links": {"name"},
	"backing": {"source"}, "portVLANs": {"id"}, "vfs": {"index"}, "neighbours": {"chassisID", "portID"},
	"ovsBridges": {"name"}, "ports": {"name"}, "interfaces": {"name"}, "blockDevices": {"name"}, "paths": {"name"},
	"fileSystems": {"mount"}, "storagePools": {"name"}, "volumes": {"name"}, "imageFiles": {"path"},
	"snapshots": {"name"}, "vms": {"uuid", "nativeID", "name"},
}

// fleeting are fields that change all the time, so that they say nothing about
// what somebody did.
var fleeting = map[string]bool{
	"allocation": true, "asOf": true, "used": true, "available": true, "undigested": true,
}

// ordered are the lists whose order means something: a guest numbers its devices
// by it.
var ordered = map[string]bool{"nics": true, "disks": true}

// flatten puts a value, as JSON writes it, below a path.
func (v Values) flatten(path string, value any) {
	v.put(path, "", plain(value))
}

func (v Values) put(path, list string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, inner := range value {
			if fleeting[name] {
				continue
			}
			v.put(below(path, name), name, inner)
		}
	case []any:
		if !objects(value) {
			if len(value) > 0 {
				v[path] = value
			}
			return
		}
		used := map[string]bool{}
		var order []any
		for i, element := range value {
			key := keyOf(list, element.(map[string]any), i)
			if used[key] {
				key += " #" + strconv.Itoa(i+1)
			}
			used[key] = true
			order = append(order, key)
			v.put(path+"["+key+"]", "", element)
		}
		if ordered[path] {
			v[path] = order
		}
	case nil:
	default:
		v[path] = value
	}
}

func objects(list []any) bool {
	for _, element := range list {
		if _, is := element.(map[string]any); !is {
			return false
		}
	}
	return len(list) > 0
}

func keyOf(list string, element map[string]any, place int) string {
	for _, name := range keys[list] {
		switch value := element[name].(type) {
		case string:
			if value != "" {
				return value
			}
		case json.Number:
			return value.String()
		}
	}
	return "#" + strconv.Itoa(place+1)
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// plain gives a value as JSON knows it.
func plain(v any) any {
	switch v.(type) {
	case nil, string, bool, json.Number:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error() // JSON has no word for it, such as a NaN
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var out any
	if err := dec.Decode(&out); err != nil {
		return err.Error()
	}
	return out
}

// equal compares two JSON values.
func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// entities are the paths of the elements that a path lies in, the outermost
// first: a[1].b[2].c lies in a[1] and a[1].b[2]. A key may hold dots and brackets.
func entities(path string) []string {
	var all []string
	for i := 0; i < len(path); i++ {
		if path[i] == ']' && (i+1 == len(path) || path[i+1] == '.') && strings.Contains(path[:i], "[") {
			all = append(all, path[:i+1])
		}
	}
	return all
}
