package plainjson

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

type word struct{}

func (word) read(s *scan, v reflect.Value) bool {
	inside, plain, ok := s.quoted()
	if !ok {
		return false
	}
	if plain {
		v.SetString(s.words.of(inside))
		return true
	}
	text, ok := unquote(inside)
	v.SetString(text)
	return ok
}

type truth struct{}

func (truth) read(s *scan, v reflect.Value) bool {
	if s.word("true") {
		v.SetBool(true)
		return true
	}
	return s.word("false")
}

type signed struct{}

func (signed) read(s *scan, v reflect.Value) bool {
	number, ok := s.whole()
	if !ok {
		return false
	}
	n, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil || v.OverflowInt(n) {
		return false
	}
	v.SetInt(n)
	return true
}

type unsigned struct{}

func (unsigned) read(s *scan, v reflect.Value) bool {
	number, ok := s.whole()
	if !ok {
		return false
	}
	n, err := strconv.ParseUint(string(number), 10, 64)
	if err != nil || v.OverflowUint(n) {
		return false
	}
	v.SetUint(n)
	return true
}

// byItself reads what has its own UnmarshalJSON.
type byItself struct{}

func (byItself) read(s *scan, v reflect.Value) bool {
	text, ok := s.scalar()
	return ok && v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text) == nil
}

// byText reads what has its own UnmarshalText.
type byText struct{}

func (byText) read(s *scan, v reflect.Value) bool {
	inside, plain, ok := s.quoted()
	if !ok {
		return false
	}
	if !plain {
		text, ok := unquote(inside)
		if !ok {
			return false
		}
		inside = []byte(text)
	}
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(inside) == nil
}

// object reads a struct.
type object struct {
	fields []field // in the order in which they are written
	byName map[string]int
}

// mostFields is how many bits the set of a struct's fields has.
const mostFields = 64

type field struct {
	name   string
	index  []int
	reader reader
}

func (o *object) read(s *scan, v reflect.Value) bool {
	var seen uint64
	next := 0
	return s.members(func(name []byte) bool {
		i, known := o.find(name, next)
		if !known {
			return !o.folds(name) && s.skip()
		}
		if seen&(1<<i) != 0 {
			return false
		}
		seen |= 1 << i
		next = i + 1
		f := &o.fields[i]
		if len(f.index) == 1 {
			return f.reader.read(s, v.Field(f.index[0]))
		}
		return f.reader.read(s, v.FieldByIndex(f.index))
	})
}

// find looks for a field, first among those that come after the last one.
func (o *object) find(name []byte, next int) (int, bool) {
	for i := next; i < len(o.fields); i++ {
		if o.fields[i].name == string(name) {
			return i, true
		}
	}
	i, known := o.byName[string(name)]
	return i, known
}

// folds says whether encoding/json might take a name for a field's that is written in
// other case.
func (o *object) folds(name []byte) bool {
	for i := range o.fields {
		if strings.EqualFold(o.fields[i].name, string(name)) {
			return true
		}
	}
	return false
}

// list reads a slice, which has no room left in the end. Its elements are read into
// scratch until it is known how many there are.
type list struct {
	elem    reader
	empty   reflect.Value
	scratch reflect.Value
}

// mostScratch is how many elements there is room for between documents.
const mostScratch = 4096

func (l *list) read(s *scan, v reflect.Value) bool {
	n := 0
	ok := s.list(func() bool {
		if n == l.scratch.Len() {
			l.scratch.Grow(1)
			l.scratch.SetLen(l.scratch.Cap())
		}
		n++
		return l.elem.read(s, l.scratch.Index(n-1))
	})
	if ok && n == 0 {
		v.Set(l.empty)
	} else if ok {
		v.Grow(n)
		v.SetLen(n)
		v.SetCap(n)
		reflect.Copy(v, l.scratch)
	}
	if l.scratch.Len() > mostScratch {
		l.scratch.SetZero()
	}
	for i := range min(n, l.scratch.Len()) {
		l.scratch.Index(i).SetZero()
	}
	return ok
}

// dictionary reads a map of strings.
type dictionary struct{ t reflect.Type }

func (d dictionary) read(s *scan, v reflect.Value) bool {
	m := reflect.MakeMap(d.t)
	ok := s.members(func(name []byte) bool {
		key, value := reflect.New(d.t.Key()).Elem(), reflect.New(d.t.Elem()).Elem()
		key.SetString(s.words.of(name))
		if m.MapIndex(key).IsValid() || !(word{}).read(s, value) {
			return false
		}
		m.SetMapIndex(key, value)
		return true
	})
	v.Set(m)
	return ok
}

// pointer reads what a pointer points to.
type pointer struct {
	t    reflect.Type // of what it points to
	elem reader
}

func (p *pointer) read(s *scan, v reflect.Value) bool {
	to := reflect.New(p.t)
	v.Set(to)
	return p.elem.read(s, to.Elem())
}

// sharedLeaf reads pointers to small values, which are the same for many.
type sharedLeaf struct {
	pointer
	known *table[reflect.Value]
}

const (
	leafSets  = 64
	leafBytes = 16 << 10
)

func (l *sharedLeaf) read(s *scan, v reflect.Value) bool {
	begin := s.at
	text, ok := s.scalar()
	if !ok {
		return false
	}
	if e := l.known.find(text); e != nil {
		v.Set(e.value)
		return true
	}
	s.at = begin
	to := reflect.New(l.t)
	if !l.elem.read(s, to.Elem()) {
		return false
	}
	v.Set(to)
	l.known.add(text, to)
	return true
}

// shared reads structs and lists that are the same for many: a text that was read
// before is recognized and not read again.
type shared struct {
	reader
	known *table[read]
	// recent are texts that came last. None is the beginning of another value's, so
	// that one which comes is the whole value.
	recent [4]string
}

const (
	sharedSets  = 128
	sharedBytes = 512 << 10
	sharedText  = 32 << 10 // longest text
)

func newShared(r reader) *shared {
	return &shared{reader: r, known: newTable[read](sharedSets, sharedBytes)}
}

func (r *shared) read(s *scan, v reflect.Value) bool {
	begin, elements := s.at, s.elements
	text, ok := r.ahead(s)
	if !ok {
		return false
	}
	if e := r.known.find(text); e != nil && e.value.depth == s.depth {
		s.at, s.elements = begin+len(text), elements+e.value.elements
		r.remember(e.text)
		v.Set(e.value.value)
		return s.elements <= s.limits.Elements
	}
	s.at, s.elements = begin, elements
	if !r.reader.read(s, v) {
		return false
	}
	if len(text) <= sharedText && r.known.find(text) == nil {
		value := reflect.New(v.Type()).Elem()
		value.Set(v)
		r.known.add(text, read{value, s.depth, s.elements - elements})
	}
	return true
}

// ahead gives the text of the value that comes.
func (r *shared) ahead(s *scan) ([]byte, bool) {
	rest := s.text[s.at:]
	for _, text := range r.recent {
		if text != "" && len(text) <= len(rest) && string(rest[:len(text)]) == text {
			return rest[:len(text)], true
		}
	}
	begin, depth := s.at, s.depth
	if !s.skip() {
		return nil, false
	}
	s.depth = depth
	return s.text[begin:s.at], true
}

// remember puts a text before the other recent ones.
func (r *shared) remember(text string) {
	i := 0
	for i < len(r.recent)-1 && r.recent[i] != text {
		i++
	}
	copy(r.recent[1:i+1], r.recent[:i])
	r.recent[0] = text
}
