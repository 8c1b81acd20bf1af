package document

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// Bounds on what aliases and merge keys may unfold to, since a few lines of
// them can stand for billions of values.
const (
	maxAliased    = 1_000_000 // values reached through aliases in one file
	maxMergeDepth = 20
)

// follow gives the node that an alias stands for, and counts what is reached
// through aliases until leave is called.
func (d *decoder) follow(n *yaml.Node) (target *yaml.Node, leave func()) {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		d.within++
		return n.Alias, func() { d.within-- }
	}
	return n, func() {}
}

// unfolded counts a value that may have been reached through an alias, and says
// whether there have been too many.
func (d *decoder) unfolded() bool {
	if d.within > 0 {
		d.aliased++
		d.flooded = d.flooded || d.aliased > maxAliased
	}
	return d.flooded
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, key keyID) {
	plan := d.plan(v.Type())
	d.pairs(n, key, func(name string, k, value *yaml.Node) {
		index, known := plan.fields[name]
		if !known {
			d.fault(k, d.keys.id(key, name, -1), "%s", unknownKey(name, plan.names))
			return
		}
		d.value(value, v.Field(index), d.keys.id(key, name, -1))
	})
}

func (d *decoder) table(n *yaml.Node, v reflect.Value, key keyID) {
	v.Set(reflect.MakeMap(v.Type()))
	d.pairs(n, key, func(name string, _, value *yaml.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(value, element, d.keys.id(key, name, -1))
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), element)
	})
}

// pairs gives a mapping's keys in order, and after them those that its merge
// keys bring in. A key given twice is a fault; one merged in gives way.
func (d *decoder) pairs(n *yaml.Node, key keyID, each func(name string, key, value *yaml.Node)) {
	g := gathering{d: d, key: key, given: make(map[string]int, len(n.Content)/2), each: each}
	g.gather(n, 0)
}

// gathering is one mapping being put together.
type gathering struct {
	d     *decoder
	key   keyID
	given map[string]int // the line that a key was first at
	each  func(name string, key, value *yaml.Node)
}

func (g *gathering) gather(n *yaml.Node, depth int) {
	n, leave := g.d.follow(n)
	defer leave()
	switch {
	case g.d.unfolded():
		return
	case n.Kind != yaml.MappingNode:
		g.d.fault(n, g.key, "want a mapping of keys to values, and not %s", describe(n))
		return
	case depth > maxMergeDepth:
		g.d.fault(n, g.key, "merge keys are nested more than %d deep", maxMergeDepth)
		return
	}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag == "!!merge" {
			merges = append(merges, n.Content[i+1])
			continue
		}
		g.pair(n.Content[i], n.Content[i+1], depth)
	}
	for _, merge := range merges {
		g.merge(merge, depth)
	}
}

func (g *gathering) pair(key, value *yaml.Node, depth int) {
	if key.Kind != yaml.ScalarNode {
		g.d.fault(key, g.key, "a key is text, and not %s", describe(key))
		return
	}
	line, twice := g.given[key.Value]
	switch {
	case !twice:
		g.given[key.Value] = max(key.Line, 1)
		g.each(key.Value, key, value)
	case depth == 0:
		g.d.fault(key, g.d.keys.id(g.key, key.Value, -1), "is given twice: it stands at line %d too", line)
	}
}

// merge takes what stands after "<<": a mapping or a list of mappings.
func (g *gathering) merge(n *yaml.Node, depth int) {
	n, leave := g.d.follow(n)
	defer leave()
	if n.Kind != yaml.SequenceNode {
		g.gather(n, depth+1)
		return
	}
	for _, item := range n.Content {
		g.gather(item, depth+1)
	}
}
