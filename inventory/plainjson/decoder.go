// Package plainjson reads JSON into Go values as encoding/json does, several times as
// fast, and has what is equal share its memory: a fleet's documents repeat a few
// hundred words, and tables that all agents of one version have in common.
//
// It reads plain JSON only, such as encoding/json writes of the same Go type. Whatever
// else there may be (spaces, null, a name twice or in other case, a value that doesn't
// fit, what isn't JSON at all) it declines and leaves to encoding/json, which then
// decides. So it has no errors of its own, and what it does read is what
// encoding/json reads; a fuzz test holds it to that.
//
// It knows nothing of what is read.
package plainjson

import (
	"reflect"
)

// Limits are what a text may have at most. One that has more is declined.
type Limits struct {
	Depth    int // of objects and lists in one another
	Elements int // objects, lists, and commas in lists
}

// Decoder reads values of one type. What it gave is only to be read, since other
// values share parts of it. What it remembers to share has a bound: some megabytes at
// most, and a fifth of one with what real documents say. It is not for several
// goroutines at once.
type Decoder[T any] struct {
	root reader
	scan scan
}

// New makes a decoder. The fields of the names in shared, which are pointers to
// structs, or lists, are expected to have few different values: those that are
// written alike share one. New panics if T has a type that it can't read, or no such
// field.
func New[T any](limits Limits, shared ...string) *Decoder[T] {
	p := plan{shared: map[string]bool{}, objects: map[reflect.Type]*object{}}
	for _, name := range shared {
		p.shared[name] = false
	}
	root := p.reader(reflect.TypeFor[T]())
	for name, found := range p.shared {
		if !found {
			panic("plainjson: no field " + name + " in " + reflect.TypeFor[T]().String())
		}
	}
	return &Decoder[T]{root: root, scan: scan{limits: limits, words: newWords()}}
}

// Decode reads a text. It gives false where encoding/json is to decide about it. The
// text may be overwritten afterwards.
func (d *Decoder[T]) Decode(text []byte) (*T, bool) {
	s := &d.scan
	s.text, s.at, s.depth, s.elements = text, 0, 0, 0
	defer func() { s.text = nil }()
	value := new(T)
	if !d.root.read(s, reflect.ValueOf(value).Elem()) || s.at != len(text) {
		return nil, false
	}
	return value, true
}
