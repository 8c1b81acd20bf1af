package packed

import (
	"encoding/binary"
	"reflect"
)

// Lists packs lists so that each of their values can be unpacked by itself: the first
// is written as it is, and of the others what is otherwise than in that one. Several
// goroutines may use it at once.
type Lists[T any] struct{ of *Packer[T] }

// NewLists makes one. It panics if T has a type that it can't pack.
func NewLists[T any]() *Lists[T] { return &Lists[T]{New[T]()} }

// offset is the size of where a value begins. Those of all but the first are at the
// end of the text.
const offset = 4

// Pack writes a list. Equal lists give one text; nil and the empty one are two.
func (l *Lists[T]) Pack(values []T) string {
	if values == nil {
		return ""
	}
	w := l.of.writer()
	defer l.of.put(w)
	w.number(uint64(len(values)))
	var first []reflect.Value
	begins := make([]byte, 0, offset*len(values))
	for i := range values {
		if i > 0 {
			begins = binary.LittleEndian.AppendUint32(begins, uint32(len(w.out)))
			copy(w.last, first)
		}
		l.of.root.put(w, reflect.ValueOf(&values[i]).Elem(), reflect.Value{})
		if i == 0 {
			first = append(first, w.last...)
		}
	}
	w.out = append(w.out, begins...)
	return string(w.out)
}

// Unpack gives the list that [Lists.Pack] wrote. Its values may share what is equal in
// them, so they are only to be read. It panics on what Pack didn't write.
func (l *Lists[T]) Unpack(text string) []T {
	if text == "" {
		return nil
	}
	r := l.of.reader(text)
	values := make([]T, r.number())
	var first []reflect.Value
	for i := range values {
		if i > 0 {
			copy(r.last, first)
		}
		l.of.root.get(r, reflect.ValueOf(&values[i]).Elem(), reflect.Value{})
		if i == 0 {
			first = append(first, r.last...)
		}
	}
	return values
}

// At gives one value of such a list, for which it reads that and the first.
func (l *Lists[T]) At(text string, at int) *T {
	r := l.of.reader(text)
	n := int(r.number())
	value := new(T)
	l.of.root.get(r, reflect.ValueOf(value).Elem(), reflect.Value{})
	if at == 0 {
		return value
	}
	begins := text[len(text)-offset*(n-at):]
	r.at = int(binary.LittleEndian.Uint32([]byte(begins[:offset])))
	value = new(T)
	l.of.root.get(r, reflect.ValueOf(value).Elem(), reflect.Value{})
	return value
}
