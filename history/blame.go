package history

import (
	"maps"
	"slices"
	"strings"
)

// Blame is when the value at a path became what it is, on each side.
type Blame struct {
	Path     string `json:"path"`
	Intended *Value `json:"intended,omitempty"`
	Observed *Value `json:"observed,omitempty"`
	Agrees   bool   `json:"agrees"`
}

// Blame looks up a value by its path (nics[52:54:00:aa:00:01].vlan), by its field
// (nic.vlan, vm.memory) or by the field without what it is of (memory); an element
// of a list (disks[x]) stands for all of its fields. Several may answer, and none.
func (t *Timeline) Blame(query string) []Blame {
	found := map[string]*Blame{}
	var paths []string
	for _, side := range []Side{Intended, Observed} {
		for path, value := range t.Values[side] {
			if path == Here || !t.answers(query, path) {
				continue
			}
			b := found[path]
			if b == nil {
				b = &Blame{Path: path}
				found[path] = b
				paths = append(paths, path)
			}
			if side == Intended {
				b.Intended = &value
			} else {
				b.Observed = &value
			}
		}
	}
	slices.SortFunc(paths, comparePaths)
	blames := make([]Blame, len(paths))
	for i, path := range paths {
		b := found[path]
		b.Agrees = b.Intended != nil && b.Observed != nil && equal(b.Intended.Value, b.Observed.Value)
		blames[i] = *b
	}
	return blames
}

// answers says whether a path is meant.
func (t *Timeline) answers(query, path string) bool {
	if strings.EqualFold(path, query) || strings.HasSuffix(query, "]") && strings.HasPrefix(path, query+".") {
		return true
	}
	for _, side := range []Side{Intended, Observed} {
		if field := string(t.Values[side][path].Field); field != "" && strings.EqualFold(field, query) {
			return true
		}
	}
	return strings.EqualFold(fieldOf(path), query) || strings.EqualFold(t.Thing.Type+"."+path, query)
}

// fieldOf is a path without its keys, in the catalogue's words: nic.vlan for
// nics[52:54:00:aa:00:01].vlan.
func fieldOf(path string) string {
	within := entities(path)
	if len(within) == 0 {
		return path
	}
	innermost := within[len(within)-1]
	outer := ""
	if len(within) > 1 {
		outer = within[len(within)-2] + "."
	}
	list, _, _ := strings.Cut(strings.TrimPrefix(innermost, outer), "[")
	rest := strings.TrimPrefix(path[len(innermost):], ".")
	name := strings.TrimSuffix(list, "s")
	if rest == "" {
		return name
	}
	return name + "." + rest
}

// Fields lists the fields that have a value on either side, without keys, for a
// person who asked for one that has none.
func (t *Timeline) Fields() []string {
	seen := map[string]bool{}
	for _, side := range []Side{Intended, Observed} {
		for path := range t.Values[side] {
			if path != Here {
				seen[fieldOf(path)] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
