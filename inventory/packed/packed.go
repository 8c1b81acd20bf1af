// Package packed keeps values in few bytes while nobody looks at them: of every struct
// in a list only what is otherwise than in the one before is written. What a host shows
// takes a sixth of the memory so that it takes as Go's own values, its network a tenth.
//
// It knows nothing of what it packs. What it writes is for the same process only.
package packed

import (
	"reflect"
	"sync"
)

// Packer packs values of one type. Several goroutines may use it at once.
type Packer[T any] struct {
	root    coder
	structs int       // in T, each at one place
	writers sync.Pool // of *writer, for their room
}

// New makes a packer. It panics if T has a type that it can't pack.
func New[T any]() *Packer[T] {
	p := plan{begun: map[reflect.Type]bool{}}
	root := p.coder(reflect.TypeFor[T]())
	return &Packer[T]{root: root, structs: p.structs, writers: sync.Pool{New: func() any { return new(writer) }}}
}

// Pack writes a value. Equal values give one text; nil and what is empty are two.
func (p *Packer[T]) Pack(value *T) string {
	w := p.writers.Get().(*writer)
	w.last = make([]reflect.Value, p.structs)
	p.root.put(w, reflect.ValueOf(value).Elem())
	text := string(w.out)
	w.out, w.last = w.out[:0], nil
	p.writers.Put(w)
	return text
}

// Unpack gives the value that [Packer.Pack] wrote. Neighbours in a list may share what
// is equal in them, so it is only to be read. It panics on what Pack didn't write.
func (p *Packer[T]) Unpack(text string) *T {
	value := new(T)
	r := reader{text: text, last: make([]reflect.Value, p.structs)}
	p.root.get(&r, reflect.ValueOf(value).Elem())
	return value
}

// plan makes the coders of a type.
type plan struct {
	structs int
	begun   map[reflect.Type]bool // structs that this one is in
}

// coder writes and reads values of one type.
type coder interface {
	put(w *writer, v reflect.Value)
	get(r *reader, v reflect.Value) // v is zero
	same(a, b reflect.Value) bool
}

func (p *plan) coder(t reflect.Type) coder {
	if t == momentType {
		return moment{}
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
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return octets{}
		}
	case reflect.Pointer:
		return pointer{t.Elem(), p.coder(t.Elem())}
	case reflect.Slice:
		return list{t, p.coder(t.Elem())}
	case reflect.Map:
		if t == dictionaryType {
			return dictionary{}
		}
	case reflect.Struct:
		return p.object(t)
	}
	panic("packed: can't pack " + t.String())
}

// object makes the coder of a struct, one for each place that it has in T.
func (p *plan) object(t reflect.Type) coder {
	if p.begun[t] {
		panic("packed: can't pack " + t.String() + ", which is in itself")
	}
	p.begun[t] = true
	o := &object{t: t, number: p.structs}
	p.structs++
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			panic("packed: can't pack " + t.String() + "." + t.Field(i).Name)
		}
		o.fields = append(o.fields, p.coder(t.Field(i).Type))
	}
	if len(o.fields) > mostFields {
		panic("packed: can't pack " + t.String() + ", which has too many fields")
	}
	delete(p.begun, t)
	return o
}
