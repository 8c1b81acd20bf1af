package document

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
)

// decoder turns a file's trees into records. It goes on after a fault, so that
// all of them are found at once and as much as can be known of a bad record is.
type decoder struct {
	name    string
	strict  bool // text is only taken from text
	plans   map[reflect.Type]*plan
	keys    *keyTable
	records []sentral.Record
	faults  []sentral.Fault

	aliased int  // values reached through aliases so far
	within  int  // aliases that the walk is inside of
	flooded bool // maxAliased was passed
	current record
}

// record is the one being decoded.
type record struct {
	marks  []mark
	faults []sentral.Fault
}

// plan is what the decoder knows of a struct type.
type plan struct {
	fields map[string]int
	names  []string
}

func newDecoder(name string, strict bool) *decoder {
	return &decoder{name: name, strict: strict, plans: map[reflect.Type]*plan{}, keys: newKeyTable()}
}

func (d *decoder) plan(t reflect.Type) *plan {
	if p := d.plans[t]; p != nil {
		return p
	}
	p := &plan{fields: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			p.fields[name] = i
			p.names = append(p.names, name)
		}
	}
	d.plans[t] = p
	return p
}

func (d *decoder) place(n *yaml.Node) sentral.Place {
	return sentral.Place{Name: d.name, Line: max(n.Line, 1), Column: max(n.Column, 1)}
}

// lose reports what makes an unknown number of records go missing.
func (d *decoder) lose(n *yaml.Node, key, format string, args ...any) {
	d.faults = append(d.faults, sentral.Fault{Place: d.place(n), Key: key, Error: fmt.Sprintf(format, args...), Lost: true})
}

// document decodes the lists of one document.
func (d *decoder) document(root *yaml.Node) {
	root, leave := d.follow(root)
	defer leave()
	if isNull(root) {
		return // nothing but comments
	}
	if root.Kind != yaml.MappingNode {
		d.lose(root, "", "a document is a mapping of sites, vms and so on: this is %s", describe(root))
		return
	}
	inventory := d.plan(reflect.TypeFor[sentral.Inventory]())
	seen := map[string]int{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, list := root.Content[i], root.Content[i+1]
		index, known := inventory.fields[key.Value]
		switch line := seen[key.Value]; {
		case !known:
			d.lose(key, key.Value, "%s", unknownKey(key.Value, inventory.names))
		case line != 0:
			d.lose(key, key.Value, "is given twice: it stands at line %d too", line)
		default:
			seen[key.Value] = max(key.Line, 1)
			d.list(key.Value, list, reflect.TypeFor[sentral.Inventory]().Field(index).Type.Elem())
		}
	}
}

func (d *decoder) list(key string, n *yaml.Node, element reflect.Type) {
	n, leave := d.follow(n)
	defer leave()
	if n.Kind != yaml.SequenceNode {
		d.lose(n, key, "want a list of records, and not %s", describe(n))
		return
	}
	for i, item := range n.Content {
		d.record(fmt.Sprintf("%s[%d]", key, i), item, element)
	}
}

func (d *decoder) record(key string, n *yaml.Node, t reflect.Type) {
	n, leave := d.follow(n)
	defer leave()
	if d.flooded {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.lose(n, key, "want a record, and not %s", describe(n))
		return
	}
	d.current = record{marks: d.current.marks[:0]}
	value := reflect.New(t)
	d.value(n, value.Elem(), rootKey)
	if d.flooded {
		d.lose(n, key, "aliases unfold to more than %d values", maxAliased)
		return
	}
	marks := newPlaces(d.name, d.keys, d.current.marks)
	d.records = append(d.records, sentral.Record{Value: value.Interface(), Place: marks.of, Faults: d.current.faults})
}

// fault reports that a key of the current record can't be decoded.
func (d *decoder) fault(n *yaml.Node, key keyID, format string, args ...any) {
	d.current.faults = append(d.current.faults, sentral.Fault{Place: d.place(n), Key: d.keys.path(key), Error: fmt.Sprintf(format, args...)})
}

// value decodes a node into v, or reports why it can't be.
func (d *decoder) value(n *yaml.Node, v reflect.Value, key keyID) {
	n, leave := d.follow(n)
	defer leave()
	if d.unfolded() {
		return
	}
	d.current.marks = append(d.current.marks, mark{key, int32(max(n.Line, 1)), int32(max(n.Column, 1))})
	if v.Kind() == reflect.Interface { // nothing is a value there, too
		if plain := d.anything(n, key, 0); plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
		return
	}
	if isNull(n) && !(v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Interface) {
		d.fault(n, key, "%s", emptyValue)
		return
	}
	if known, fault := d.scalar(n, v); known {
		if fault != "" {
			d.fault(n, key, "%s", fault)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		d.pointer(n, v, key)
	case reflect.Struct:
		d.mapping(n, v, key)
	case reflect.Slice:
		d.sequence(n, v, key)
	case reflect.Map:
		d.table(n, v, key)
	}
}

// pointer leaves v nil where its target can't be decoded at all.
func (d *decoder) pointer(n *yaml.Node, v reflect.Value, key keyID) {
	faults := len(d.current.faults)
	target := reflect.New(v.Type().Elem())
	d.value(n, target.Elem(), key)
	if len(d.current.faults) == faults {
		v.Set(target)
	}
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, key keyID) {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, key, "want a list, and not %s", describe(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		d.value(item, v.Index(i), d.keys.id(key, "", i))
	}
}
