package plainjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// plan makes the readers of a type.
type plan struct {
	shared  map[string]bool // fields, and whether they were found
	objects map[reflect.Type]*object
}

// reader reads values of one type into places that are zero.
type reader interface {
	read(s *scan, v reflect.Value) bool
}

func (p *plan) reader(t reflect.Type) reader {
	if leaf := leafReader(t); leaf != nil {
		return leaf
	}
	switch t.Kind() {
	case reflect.Pointer:
		elem := p.reader(t.Elem())
		if leafReader(t.Elem()) != nil {
			return &sharedLeaf{pointer{t.Elem(), elem}, newTable[reflect.Value](leafSets, leafBytes)}
		}
		return &pointer{t.Elem(), elem}
	case reflect.Struct:
		return p.object(t)
	case reflect.Slice:
		if t.Elem().Kind() != reflect.Uint8 {
			return &list{elem: p.reader(t.Elem()), empty: reflect.MakeSlice(t, 0, 0), scratch: reflect.New(t).Elem()}
		}
	case reflect.Map:
		if t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String && leafReader(t.Key()) == (word{}) && leafReader(t.Elem()) == (word{}) {
			return dictionary{t}
		}
	}
	panic("plainjson: can't read " + t.String())
}

// leafReader gives the reader of a type that is written as a string, a whole number or a
// truth, and nil for others.
func leafReader(t reflect.Type) reader {
	switch p := reflect.PointerTo(t); {
	case p.Implements(reflect.TypeFor[json.Unmarshaler]()):
		return byItself{}
	case p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return byText{}
	}
	switch t.Kind() {
	case reflect.String:
		return word{}
	case reflect.Bool:
		return truth{}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return signed{}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return unsigned{}
	}
	return nil
}

// object makes the reader of a struct. Its embedded structs' fields are as its own,
// which is so as long as no two have one name.
func (p *plan) object(t reflect.Type) *object {
	if o, begun := p.objects[t]; o != nil {
		return o
	} else if begun {
		panic("plainjson: can't read " + t.String() + ", which is in itself")
	}
	p.objects[t] = nil
	o := &object{byName: map[string]int{}}
	for _, f := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			continue // its fields come by themselves
		case !f.IsExported() || name == "-" || name == "":
			panic("plainjson: can't read " + t.String() + "." + f.Name)
		case strings.Contains(options, "string"):
			panic("plainjson: can't read " + t.String() + "." + f.Name + " as a string")
		}
		if _, twice := o.byName[name]; twice || len(o.fields) == mostFields {
			panic("plainjson: can't read " + t.String() + ": too many fields, or two named " + name)
		}
		o.byName[name] = len(o.fields)
		o.fields = append(o.fields, field{name, f.Index, p.field(name, f.Type)})
	}
	p.objects[t] = o
	return o
}

func (p *plan) field(name string, t reflect.Type) reader {
	r := p.reader(t)
	if _, share := p.shared[name]; share && leafReader(t) == nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		if _, done := r.(*sharedLeaf); !done {
			p.shared[name] = true
			return newShared(r)
		}
	}
	return r
}
