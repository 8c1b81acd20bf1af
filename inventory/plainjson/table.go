package plainjson

import (
	"hash/maphash"
	"reflect"
)

// table remembers what was read of texts that come again and again. A set of it has
// two places: what came once more moves to the first, and what is new takes the
// second, so that texts which come once push out only one another.
type table[V any] struct {
	seed  maphash.Seed
	sets  [][2]entry[V]
	bytes int // of texts
	most  int
}

type entry[V any] struct {
	text  string
	value V
}

// newTable makes a table of some sets, a power of two, whose texts together have so
// many bytes at most.
func newTable[V any](sets, most int) *table[V] {
	return &table[V]{seed: maphash.MakeSeed(), sets: make([][2]entry[V], sets), most: most}
}

// find gives the entry of a text, and nil where there is none. What it gives holds
// until the next call.
func (t *table[V]) find(text []byte) *entry[V] {
	set := t.set(text)
	if set[0].text == string(text) {
		return &set[0]
	}
	if set[1].text == string(text) {
		set[0], set[1] = set[1], set[0]
		return &set[0]
	}
	return nil
}

func (t *table[V]) set(text []byte) *[2]entry[V] {
	return &t.sets[maphash.Bytes(t.seed, text)&uint64(len(t.sets)-1)]
}

// add remembers a text that isn't there.
func (t *table[V]) add(text []byte, value V) *entry[V] {
	set := t.set(text)
	if t.bytes += len(text) - len(set[1].text); t.bytes > t.most {
		clear(t.sets)
		t.bytes = len(text)
	}
	set[1] = entry[V]{string(text), value}
	return &set[1]
}

// words are strings, each of which there is once.
type words struct{ *table[struct{}] }

const (
	wordSets = 4096
	// longestWord is the longest string that is looked for.
	longestWord = 128
)

func newWords() words { return words{newTable[struct{}](wordSets, 2*wordSets*longestWord)} }

// of gives a string for its bytes.
func (w words) of(text []byte) string {
	if len(text) == 0 || len(text) > longestWord {
		return string(text)
	}
	if e := w.find(text); e != nil {
		return e.text
	}
	return w.add(text, struct{}{}).text
}

// read is what a text was read as: the value, at what depth, and how many elements it
// has.
type read struct {
	value           reflect.Value
	depth, elements int
}
