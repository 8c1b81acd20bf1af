package packed

import (
	"encoding/binary"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"time"
	"unsafe"
)

var (
	momentType     = reflect.TypeFor[time.Time]()
	dictionaryType = reflect.TypeFor[map[string]string]()
)

// coder writes and reads values of one type, by where they are. The last one is what
// was in the same place before, and nil where nothing was. What is got is written over
// whatever is there.
//
// With reflect.Value instead of addresses, packing takes twice the time: that checks at
// each step what the plan has settled.
type coder interface {
	put(w *writer, v, last unsafe.Pointer)
	get(r *reader, v, last unsafe.Pointer)
	same(a, b unsafe.Pointer) bool
}

// writer and reader know of each struct of the type the one that came last.
type writer struct {
	out  []byte
	last []unsafe.Pointer
}

type reader struct {
	packed string
	at     int
	last   []unsafe.Pointer
}

func (w *writer) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

func (r *reader) number() (n uint64) {
	for shift := 0; ; shift += 7 {
		b := r.packed[r.at]
		r.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

// take gives the next n bytes, which keep all of the text in memory.
func (r *reader) take(n int) string {
	r.at += n
	return r.packed[r.at-n : r.at]
}

type truth struct{}

func (truth) put(w *writer, v, _ unsafe.Pointer) {
	if *(*bool)(v) {
		w.number(1)
	} else {
		w.number(0)
	}
}
func (truth) get(r *reader, v, _ unsafe.Pointer) { *(*bool)(v) = r.number() == 1 }
func (truth) same(a, b unsafe.Pointer) bool      { return *(*bool)(a) == *(*bool)(b) }

type signed[T int | int8 | int16 | int32 | int64] struct{}

func (signed[T]) put(w *writer, v, _ unsafe.Pointer) {
	n := int64(*(*T)(v))
	w.number(uint64(n<<1) ^ uint64(n>>63))
}
func (signed[T]) get(r *reader, v, _ unsafe.Pointer) {
	n := r.number()
	*(*T)(v) = T(int64(n>>1) ^ -int64(n&1))
}
func (signed[T]) same(a, b unsafe.Pointer) bool { return *(*T)(a) == *(*T)(b) }

type unsigned[T uint | uint8 | uint16 | uint32 | uint64] struct{}

func (unsigned[T]) put(w *writer, v, _ unsafe.Pointer) { w.number(uint64(*(*T)(v))) }
func (unsigned[T]) get(r *reader, v, _ unsafe.Pointer) { *(*T)(v) = T(r.number()) }
func (unsigned[T]) same(a, b unsafe.Pointer) bool      { return *(*T)(a) == *(*T)(b) }

// octets are arrays of bytes, so many: UUIDs, MACs.
type octets int

func (n octets) of(v unsafe.Pointer) []byte { return unsafe.Slice((*byte)(v), n) }

func (n octets) put(w *writer, v, _ unsafe.Pointer) { w.out = append(w.out, n.of(v)...) }
func (n octets) get(r *reader, v, _ unsafe.Pointer) { copy(n.of(v), r.take(int(n))) }
func (n octets) same(a, b unsafe.Pointer) bool      { return string(n.of(a)) == string(n.of(b)) }

// moment is a time. Its zone keeps its offset, and not its name.
type moment struct{}

func (moment) put(w *writer, v, _ unsafe.Pointer) {
	text, err := (*time.Time)(v).MarshalBinary()
	if err != nil {
		panic("packed: " + err.Error()) // no zone is years away
	}
	w.number(uint64(len(text)))
	w.out = append(w.out, text...)
}

func (moment) get(r *reader, v, _ unsafe.Pointer) {
	if err := (*time.Time)(v).UnmarshalBinary([]byte(r.take(int(r.number())))); err != nil {
		panic("packed: " + err.Error())
	}
}

func (moment) same(a, b unsafe.Pointer) bool { return *(*time.Time)(a) == *(*time.Time)(b) }

type pointer struct {
	to   reflect.Type
	elem coder
}

// pointed is what a pointer leads to; nil if to nothing, or there is none.
func pointed(v unsafe.Pointer) unsafe.Pointer {
	if v == nil {
		return nil
	}
	return *(*unsafe.Pointer)(v)
}

func (p pointer) put(w *writer, v, last unsafe.Pointer) {
	to := pointed(v)
	if to == nil {
		w.number(0)
		return
	}
	w.number(1)
	p.elem.put(w, to, pointed(last))
}

func (p pointer) get(r *reader, v, last unsafe.Pointer) {
	var to unsafe.Pointer
	if r.number() == 1 {
		to = reflect.New(p.to).UnsafePointer()
		p.elem.get(r, to, pointed(last))
	}
	*(*unsafe.Pointer)(v) = to
}

func (p pointer) same(a, b unsafe.Pointer) bool {
	x, y := pointed(a), pointed(b)
	return x == y || x != nil && y != nil && p.elem.same(x, y)
}

type list struct {
	t    reflect.Type
	elem coder
}

// slice is how Go keeps one.
type slice struct {
	data     unsafe.Pointer
	len, cap int
}

// each gives the places of a slice's elements, each with the one before.
func (l list) each(s *slice, do func(v, last unsafe.Pointer)) {
	var last unsafe.Pointer
	size := l.t.Elem().Size()
	for i := range s.len {
		v := unsafe.Add(s.data, uintptr(i)*size)
		do(v, last)
		last = v
	}
}

func (l list) put(w *writer, v, _ unsafe.Pointer) {
	s := (*slice)(v)
	if s.data == nil {
		w.number(0)
		return
	}
	w.number(uint64(s.len) + 1)
	l.each(s, func(v, last unsafe.Pointer) { l.elem.put(w, v, last) })
}

func (l list) get(r *reader, v, _ unsafe.Pointer) {
	s := (*slice)(v)
	n := int(r.number())
	if n == 0 {
		*s = slice{}
		return
	}
	*s = slice{reflect.MakeSlice(l.t, n-1, n-1).UnsafePointer(), n - 1, n - 1}
	l.each(s, func(v, last unsafe.Pointer) { l.elem.get(r, v, last) })
}

func (l list) same(a, b unsafe.Pointer) bool {
	x, y := (*slice)(a), (*slice)(b)
	if x.len != y.len || (x.data == nil) != (y.data == nil) {
		return false
	}
	if x.data == y.data {
		return true
	}
	size := l.t.Elem().Size()
	for i := range x.len {
		if at := uintptr(i) * size; !l.elem.same(unsafe.Add(x.data, at), unsafe.Add(y.data, at)) {
			return false
		}
	}
	return true
}

// dictionary is a map of strings, by its keys' order. Mostly it has the same keys as
// the last one, and then those aren't written.
type dictionary struct{}

// The ways in which a dictionary is written; with more it has as many strings less.
const (
	noDictionary = iota
	sameKeys
	otherKeys
)

func (dictionary) of(v unsafe.Pointer) map[string]string {
	if v == nil {
		return nil
	}
	return *(*map[string]string)(v)
}

func (d dictionary) put(w *writer, v, last unsafe.Pointer) {
	m, before := d.of(v), d.of(last)
	if m == nil {
		w.number(noDictionary)
		return
	}
	keys := slices.Sorted(maps.Keys(m))
	if before != nil && slices.Equal(keys, slices.Sorted(maps.Keys(before))) {
		w.number(sameKeys)
	} else {
		w.number(otherKeys + uint64(len(m)))
		for _, key := range keys {
			w.text(key, "")
		}
	}
	for _, key := range keys {
		w.text(m[key], before[key])
	}
}

func (d dictionary) get(r *reader, v, last unsafe.Pointer) {
	before := d.of(last)
	var keys []string
	switch n := r.number(); n {
	case noDictionary:
		*(*map[string]string)(v) = nil
		return
	case sameKeys:
		keys = slices.Sorted(maps.Keys(before))
	default:
		keys = make([]string, n-otherKeys)
		for i := range keys {
			keys[i] = r.text("")
		}
	}
	m := make(map[string]string, len(keys))
	for _, key := range keys {
		m[key] = r.text(before[key])
	}
	*(*map[string]string)(v) = m
}

func (d dictionary) same(a, b unsafe.Pointer) bool {
	x, y := d.of(a), d.of(b)
	return (x == nil) == (y == nil) && maps.Equal(x, y)
}

// object is a struct: the set of the fields that are otherwise than in the last one,
// and those.
type object struct {
	t      reflect.Type
	zero   unsafe.Pointer
	number int // among the type's structs
	fields []field
}

type field struct {
	at uintptr
	coder
}

// mostFields is how many bits the set has.
const mostFields = 64

// last gives the last one, and the zero one at the beginning.
func (o *object) last(all []unsafe.Pointer) unsafe.Pointer {
	if last := all[o.number]; last != nil {
		return last
	}
	return o.zero
}

func (o *object) put(w *writer, v, _ unsafe.Pointer) {
	last := o.last(w.last)
	var changed uint64
	for i := range o.fields {
		if f := &o.fields[i]; !f.same(unsafe.Add(last, f.at), unsafe.Add(v, f.at)) {
			changed |= 1 << i
		}
	}
	w.number(changed)
	for rest := changed; rest != 0; rest &= rest - 1 {
		f := &o.fields[bits.TrailingZeros64(rest)]
		f.put(w, unsafe.Add(v, f.at), unsafe.Add(last, f.at))
	}
	w.last[o.number] = v
}

func (o *object) get(r *reader, v, _ unsafe.Pointer) {
	last := o.last(r.last)
	reflect.NewAt(o.t, v).Elem().Set(reflect.NewAt(o.t, last).Elem())
	for changed := r.number(); changed != 0; changed &= changed - 1 {
		f := &o.fields[bits.TrailingZeros64(changed)]
		f.get(r, unsafe.Add(v, f.at), unsafe.Add(last, f.at))
	}
	r.last[o.number] = v
}

func (o *object) same(a, b unsafe.Pointer) bool {
	for i := range o.fields {
		if f := &o.fields[i]; !f.same(unsafe.Add(a, f.at), unsafe.Add(b, f.at)) {
			return false
		}
	}
	return true
}
