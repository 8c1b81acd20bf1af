package packed

import (
	"bytes"
	"encoding/binary"
	"maps"
	"math/bits"
	"reflect"
	"slices"
	"time"
)

var (
	momentType     = reflect.TypeFor[time.Time]()
	dictionaryType = reflect.TypeFor[map[string]string]()
)

// writer and reader know of each struct of the type the one that came last.
type writer struct {
	out  []byte
	last []reflect.Value
}

type reader struct {
	packed string
	at     int
	last   []reflect.Value
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

func (truth) put(w *writer, v, _ reflect.Value) {
	if v.Bool() {
		w.number(1)
	} else {
		w.number(0)
	}
}
func (truth) get(r *reader, v, _ reflect.Value) { v.SetBool(r.number() == 1) }
func (truth) same(a, b reflect.Value) bool      { return a.Bool() == b.Bool() }

type signed struct{}

func (signed) put(w *writer, v, _ reflect.Value) { w.number(uint64(v.Int()<<1) ^ uint64(v.Int()>>63)) }
func (signed) get(r *reader, v, _ reflect.Value) {
	n := r.number()
	v.SetInt(int64(n>>1) ^ -int64(n&1))
}
func (signed) same(a, b reflect.Value) bool { return a.Int() == b.Int() }

type unsigned struct{}

func (unsigned) put(w *writer, v, _ reflect.Value) { w.number(v.Uint()) }
func (unsigned) get(r *reader, v, _ reflect.Value) { v.SetUint(r.number()) }
func (unsigned) same(a, b reflect.Value) bool      { return a.Uint() == b.Uint() }

// octets are arrays of bytes: UUIDs, MACs.
type octets struct{}

func (octets) put(w *writer, v, _ reflect.Value) { w.out = append(w.out, v.Bytes()...) }
func (octets) get(r *reader, v, _ reflect.Value) { copy(v.Bytes(), r.take(v.Len())) }
func (octets) same(a, b reflect.Value) bool      { return bytes.Equal(a.Bytes(), b.Bytes()) }

// moment is a time. Its zone keeps its offset, and not its name.
type moment struct{}

func (moment) of(v reflect.Value) *time.Time { return v.Addr().Interface().(*time.Time) }

func (m moment) put(w *writer, v, _ reflect.Value) {
	text, err := m.of(v).MarshalBinary()
	if err != nil {
		panic("packed: " + err.Error()) // no zone is years away
	}
	w.number(uint64(len(text)))
	w.out = append(w.out, text...)
}

func (m moment) get(r *reader, v, _ reflect.Value) {
	if err := m.of(v).UnmarshalBinary([]byte(r.take(int(r.number())))); err != nil {
		panic("packed: " + err.Error())
	}
}

func (m moment) same(a, b reflect.Value) bool { return *m.of(a) == *m.of(b) }

type pointer struct {
	to   reflect.Type
	elem coder
}

func (p pointer) put(w *writer, v, last reflect.Value) {
	if v.IsNil() {
		w.number(0)
		return
	}
	w.number(1)
	p.elem.put(w, v.Elem(), pointed(last))
}

func (p pointer) get(r *reader, v, last reflect.Value) {
	if r.number() == 1 {
		to := reflect.New(p.to)
		p.elem.get(r, to.Elem(), pointed(last))
		v.Set(to)
	}
}

// pointed is what a pointer leads to, if there is anything.
func pointed(v reflect.Value) reflect.Value {
	if !v.IsValid() {
		return v
	}
	return v.Elem()
}

func (p pointer) same(a, b reflect.Value) bool {
	if a.IsNil() || b.IsNil() {
		return a.IsNil() && b.IsNil()
	}
	return a.UnsafePointer() == b.UnsafePointer() || p.elem.same(a.Elem(), b.Elem())
}

type list struct {
	t    reflect.Type
	elem coder
}

func (l list) put(w *writer, v, _ reflect.Value) {
	if v.IsNil() {
		w.number(0)
		return
	}
	w.number(uint64(v.Len()) + 1)
	var last reflect.Value
	for i := range v.Len() {
		l.elem.put(w, v.Index(i), last)
		last = v.Index(i)
	}
}

func (l list) get(r *reader, v, _ reflect.Value) {
	n := int(r.number())
	if n == 0 {
		return
	}
	v.Set(reflect.MakeSlice(l.t, n-1, n-1))
	var last reflect.Value
	for i := range n - 1 {
		l.elem.get(r, v.Index(i), last)
		last = v.Index(i)
	}
}

func (l list) same(a, b reflect.Value) bool {
	n := a.Len()
	if n != b.Len() || a.IsNil() != b.IsNil() {
		return false
	}
	if a.UnsafePointer() == b.UnsafePointer() {
		return true
	}
	for i := range n {
		if !l.elem.same(a.Index(i), b.Index(i)) {
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

func (dictionary) of(v reflect.Value) map[string]string {
	if !v.IsValid() {
		return nil
	}
	return *v.Addr().Interface().(*map[string]string)
}

func (d dictionary) put(w *writer, v, last reflect.Value) {
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

func (d dictionary) get(r *reader, v, last reflect.Value) {
	before := d.of(last)
	var keys []string
	switch n := r.number(); n {
	case noDictionary:
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
	v.Set(reflect.ValueOf(m))
}

func (d dictionary) same(a, b reflect.Value) bool {
	x, y := d.of(a), d.of(b)
	return (x == nil) == (y == nil) && maps.Equal(x, y)
}

// object is a struct: the set of the fields that are otherwise than in the last one,
// and those.
type object struct {
	zero   reflect.Value
	number int // among the type's structs
	fields []coder
}

// mostFields is how many bits the set has.
const mostFields = 64

// last gives the last one, and the zero one at the beginning.
func (o *object) last(all []reflect.Value) reflect.Value {
	if !all[o.number].IsValid() {
		return o.zero
	}
	return all[o.number]
}

func (o *object) put(w *writer, v, _ reflect.Value) {
	last := o.last(w.last)
	var changed uint64
	for i, f := range o.fields {
		if !f.same(last.Field(i), v.Field(i)) {
			changed |= 1 << i
		}
	}
	w.number(changed)
	for rest := changed; rest != 0; rest &= rest - 1 {
		i := bits.TrailingZeros64(rest)
		o.fields[i].put(w, v.Field(i), last.Field(i))
	}
	w.last[o.number] = v
}

func (o *object) get(r *reader, v, _ reflect.Value) {
	last := o.last(r.last)
	v.Set(last)
	for changed := r.number(); changed != 0; changed &= changed - 1 {
		i := bits.TrailingZeros64(changed)
		field := v.Field(i)
		field.SetZero()
		o.fields[i].get(r, field, last.Field(i))
	}
	r.last[o.number] = v
}

func (o *object) same(a, b reflect.Value) bool {
	for i, f := range o.fields {
		if !f.same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}
