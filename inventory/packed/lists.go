package packed

import (
	"encoding/binary"
	"unsafe"
)

// Lists packs lists so that each of their values can be unpacked by itself: a base is
// written as it is, and of each value what is otherwise in it than in that. Several
// goroutines may use it at once.
type Lists[T any] struct{ of *Packer[T] }

// NewLists makes one. It panics if T has a type that it can't pack.
func NewLists[T any]() *Lists[T] { return &Lists[T]{New[T]()} }

// A text is the number of values, the base, the values, and at its end, for each, where
// it begins.
const offset = 4

// Pack writes a list. Its base is the one of another list, or its first value where
// that has none. With one base equal lists give one text, and no other list gives that.
// A list without values, nil or not, gives "".
func (l *Lists[T]) Pack(values []T, like string) string {
	if len(values) == 0 {
		return ""
	}
	w := l.of.writer()
	defer l.of.put(w)
	w.number(uint64(len(values)))
	base := &values[0]
	if like != "" {
		base = l.base(l.of.reader(like))
	}
	l.put(w, base)
	begun := append([]unsafe.Pointer(nil), w.last...)
	begins := make([]byte, 0, offset*len(values))
	for i := range values {
		begins = binary.LittleEndian.AppendUint32(begins, uint32(len(w.out)))
		copy(w.last, begun)
		l.put(w, &values[i])
	}
	w.out = append(w.out, begins...)
	return string(w.out)
}

func (l *Lists[T]) put(w *writer, value *T) {
	l.of.root.put(w, unsafe.Pointer(value), nil)
}

func (l *Lists[T]) get(r *reader, value *T) {
	l.of.root.get(r, unsafe.Pointer(value), nil)
}

// base reads the base, which is where the reader is.
func (l *Lists[T]) base(r *reader) *T {
	r.number()
	base := new(T)
	l.get(r, base)
	return base
}

// Unpack gives the list that [Lists.Pack] wrote, nil of "". Its values may share what is
// equal in them, so they are only to be read. It panics on what Pack didn't write.
func (l *Lists[T]) Unpack(text string) []T {
	if text == "" {
		return nil
	}
	r := l.of.reader(text)
	l.base(r)
	begun := append([]unsafe.Pointer(nil), r.last...)
	values := make([]T, count(text))
	for i := range values {
		copy(r.last, begun)
		l.get(r, &values[i])
	}
	return values
}

// At gives one value of such a list, for which it reads that and the base.
func (l *Lists[T]) At(text string, at int) *T {
	r := l.of.reader(text)
	l.base(r)
	r.at, _ = span(text, at)
	value := new(T)
	l.get(r, value)
	return value
}

// HaveOneBase says whether two lists were written with one.
func HaveOneBase(text, other string) bool { return base(text) == base(other) }

// Alike says whether a value of one list is written as a value of another is, which it
// equals if both lists have one base, and else may not.
func Alike(text string, at int, other string, otherAt int) bool {
	begin, end := span(text, at)
	otherBegin, otherEnd := span(other, otherAt)
	return text[begin:end] == other[otherBegin:otherEnd]
}

func count(text string) int {
	r := reader{packed: text}
	return int(r.number())
}

// base is what is written of the base.
func base(text string) string {
	r := reader{packed: text}
	r.number()
	end, _ := span(text, 0)
	return text[r.at:end]
}

// span is where a value begins and ends.
func span(text string, at int) (begin, end int) {
	n := count(text)
	begins := len(text) - offset*n
	place := func(at int) int {
		if at == n {
			return begins
		}
		return int(binary.LittleEndian.Uint32([]byte(text[begins+offset*at:][:offset])))
	}
	return place(at), place(at + 1)
}
