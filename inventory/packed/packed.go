// Package packed keeps values in few bytes while nobody looks at them: of every struct
// only what is otherwise than in the one before is written, and of every text what is
// otherwise than in that one's. What a host shows takes a tenth of the memory so that
// it takes as Go's own values.
//
// It knows nothing of what it packs. What it writes is for the same process only.
package packed

import (
	"reflect"
	"sync"
	"unsafe"
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
	w := p.writer()
	defer p.put(w)
	p.root.put(w, unsafe.Pointer(value), nil)
	return string(w.out)
}

// Unpack gives the value that [Packer.Pack] wrote. Neighbours in a list may share what
// is equal in them, so it is only to be read. It panics on what Pack didn't write.
func (p *Packer[T]) Unpack(text string) *T {
	value := new(T)
	p.root.get(p.reader(text), unsafe.Pointer(value), nil)
	return value
}

func (p *Packer[T]) writer() *writer {
	w := p.writers.Get().(*writer)
	w.last = make([]unsafe.Pointer, p.structs)
	return w
}

// put keeps a writer's room for the next one, and nothing of what it wrote.
func (p *Packer[T]) put(w *writer) {
	w.out, w.last = w.out[:0], nil
	p.writers.Put(w)
}

func (p *Packer[T]) reader(text string) *reader {
	return &reader{packed: text, last: make([]unsafe.Pointer, p.structs)}
}

// plan makes the coders of a type.
type plan struct {
	structs int
	begun   map[reflect.Type]bool // structs that this one is in
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
	case reflect.Int:
		return signed[int]{}
	case reflect.Int8:
		return signed[int8]{}
	case reflect.Int16:
		return signed[int16]{}
	case reflect.Int32:
		return signed[int32]{}
	case reflect.Int64:
		return signed[int64]{}
	case reflect.Uint:
		return unsigned[uint]{}
	case reflect.Uint8:
		return unsigned[uint8]{}
	case reflect.Uint16:
		return unsigned[uint16]{}
	case reflect.Uint32:
		return unsigned[uint32]{}
	case reflect.Uint64:
		return unsigned[uint64]{}
	case reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return octets(t.Len())
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
	o := &object{t: t, zero: reflect.New(t).UnsafePointer(), number: p.structs}
	p.structs++
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			panic("packed: can't pack " + t.String() + "." + t.Field(i).Name)
		}
		o.fields = append(o.fields, field{t.Field(i).Offset, p.coder(t.Field(i).Type)})
	}
	if len(o.fields) > mostFields {
		panic("packed: can't pack " + t.String() + ", which has too many fields")
	}
	delete(p.begun, t)
	return o
}
