package history

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// Change is one value that became another. Was and Now are JSON values, nil for
// none; where a whole element of a list came or went, such as a NIC, they are an
// object with its fields.
type Change struct {
	At    time.Time       `json:"at"`
	Side  Side            `json:"side"`
	Path  string          `json:"path"` // "" is the thing itself: there, not there or out of sight
	Field inventory.Field `json:"field,omitempty"`
	Was   any             `json:"was"`
	Now   any             `json:"now"`
	Cause Cause           `json:"cause"`
	// LastWas is when the old value was said last, by a document: the value changed
	// after that. Zero of a record, and where nothing had been said.
	LastWas time.Time `json:"lastWas,omitzero"`
}

// Value is what one side says at a path, and since when.
type Value struct {
	Value any             `json:"value"`
	Field inventory.Field `json:"field,omitempty"`
	// Changed is when it became that; nil where it has been that for as long as
	// anything is known.
	Changed *Change `json:"changed,omitempty"`
	// Known is the first that is kept and says it, where it never changed.
	Known *Cause `json:"known,omitempty"`
}

// Timeline is what became of a thing.
type Timeline struct {
	Thing   Thing    `json:"thing"`
	Changes []Change `json:"changes"` // the oldest first
	// Values are both sides at the end, by path.
	Values map[Side]map[string]Value `json:"-"`
	// Books are both sides at the end.
	Books *Books `json:"-"`
}

// Walk follows a thing through what was said, which is in the order of time.
// What the first that is kept of a source or a record says is where it begins and
// no change, but for records that came after the inventory was kept first.
func Walk(t Thing, entries []Entry, policy reconcile.Policy) *Timeline {
	w := &walk{
		Timeline: Timeline{Thing: t, Changes: []Change{}, Books: NewBooks(), Values: map[Side]map[string]Value{Intended: {}, Observed: {}}},
		last:     map[Side]Values{Intended: {}, Observed: {}},
	}
	first, moved := firstVersion(entries), false
	for i, e := range entries {
		w.before = w.Books.before(e)
		news, begins := w.Books.Take(e)
		if e.Side == Intended {
			moved = moved || e.Version != "" && e.Version != first // and may come to say again what was said first
			begins = e.Version == first && !moved
			if begins && i+1 < len(entries) && entries[i+1].Version == first {
				continue // the first inventory is one thing that was said
			}
		}
		if news {
			w.step(w.Books.see(&w.Thing, reconcile.Reconcile(w.Books.Input(e.At, policy))), e.Cause, begins)
		}
	}
	return &w.Timeline
}

// firstVersion is the version of the inventory that was kept first.
func firstVersion(entries []Entry) string {
	for _, e := range entries {
		if e.Side == Intended && e.Version != "" {
			return e.Version
		}
	}
	return ""
}

type walk struct {
	Timeline
	last   map[Side]Values
	before time.Time // when what the entry replaces was said
}

// step takes what the side that spoke says now. What it says can't change what
// the other one does.
func (w *walk) step(now look, cause Cause, begins bool) {
	side := cause.Side
	was, is := w.last[side], now.values[side]
	if is[Here] != string(There) {
		// What it was is what it will be held against when it is there again.
		w.note(side, Here, "", was[Here], is[Here], cause, begins)
		was[Here] = is[Here]
		return
	}
	paths := []string{Here}
	if len(was) > 1 { // it was there before
		paths = differing(was, is)
	}
	for _, path := range paths {
		w.note(side, path, now.fields[path], valueAt(was, path), valueAt(is, path), cause, begins)
	}
	w.values(side, was, &now, cause, begins)
	w.last[side] = is
}

// note adds a change.
func (w *walk) note(side Side, path string, field inventory.Field, was, is any, cause Cause, begins bool) {
	if begins || equal(was, is) || was == nil && path == Here && is == string(NotThere) {
		return
	}
	w.Changes = append(w.Changes, Change{At: cause.At, Side: side, Path: path, Field: field, Was: was, Now: is, Cause: cause, LastWas: w.lastWas(side, path)})
}

// lastWas is when the value that is about to go was said last: when what the
// entry replaces was, but not before it came to be.
func (w *walk) lastWas(side Side, path string) time.Time {
	if side == Intended || w.before.IsZero() {
		return time.Time{}
	}
	last := w.before
	switch v := w.Values[side][path]; {
	case v.Changed != nil && v.Changed.At.After(last):
		last = v.Changed.At
	case v.Known != nil && v.Known.At.After(last):
		last = v.Known.At
	}
	return last
}

// values keeps since when each value is what it is.
func (w *walk) values(side Side, was Values, now *look, cause Cause, begins bool) {
	all, is := w.Values[side], now.values[side]
	changed := func(path string, old, value any, field inventory.Field) Value {
		return Value{Value: value, Field: field, Changed: &Change{At: cause.At, Side: side, Path: path, Field: field, Was: old, Now: value, Cause: cause, LastWas: w.lastWas(side, path)}}
	}
	for path := range was {
		if _, still := is[path]; !still {
			all[path] = changed(path, was[path], nil, all[path].Field)
		}
	}
	for path, value := range is {
		old, had := was[path]
		field := cmp.Or(now.fields[path], all[path].Field)
		switch {
		case had && equal(old, value):
			kept := all[path]
			kept.Field = field
			// Another source that begins to tell of it may know better.
			if origin, has := now.origin(w.Books, side, path); begins && has && kept.Known != nil && origin.Source != kept.Known.Source {
				kept.Known = &origin
			}
			all[path] = kept
		case begins:
			known := cause
			if origin, has := now.origin(w.Books, side, path); has {
				known = origin
			}
			all[path] = Value{Value: value, Field: field, Known: &known}
		default:
			all[path] = changed(path, old, value, field)
		}
	}
}

// differing lists the paths at which two sets of values differ. An element that
// only one of them has is one path.
func differing(was, is Values) []string {
	have := func(v Values) map[string]bool {
		all := map[string]bool{}
		for path := range v {
			for _, entity := range entities(path) {
				all[entity] = true
			}
		}
		return all
	}
	before, after := have(was), have(is)
	found := map[string]bool{}
	add := func(path string) {
		for _, entity := range entities(path) {
			if before[entity] != after[entity] {
				found[entity] = true
				return
			}
		}
		found[path] = true
	}
	for path, value := range is {
		if old, had := was[path]; (!had || !equal(old, value)) && (!ordered[path] || sameSet(old, value)) {
			add(path)
		}
	}
	for path := range was {
		if _, still := is[path]; !still && !ordered[path] {
			add(path)
		}
	}
	paths := make([]string, 0, len(found))
	for path := range found {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, comparePaths)
	return paths
}

// sameSet says whether two lists differ in their order alone. Where they don't,
// what came or went says more.
func sameSet(a, b any) bool {
	count := map[any]int{}
	for _, list := range []any{a, b} {
		elements, _ := list.([]any)
		for _, element := range elements {
			count[element]++
		}
	}
	for _, n := range count {
		if n != 2 {
			return false
		}
	}
	return true
}

// valueAt is the value at a path, or the fields of the element there.
func valueAt(v Values, path string) any {
	if value, is := v[path]; is {
		return value
	}
	object := map[string]any{}
	for inner, value := range v {
		if rest, within := strings.CutPrefix(inner, path+"."); within {
			object[rest] = value
		}
	}
	if len(object) == 0 {
		return nil
	}
	return object
}

// comparePaths puts what is of the thing itself before what is of its parts.
func comparePaths(a, b string) int {
	return cmp.Or(cmp.Compare(len(entities(a)), len(entities(b))), cmp.Compare(a, b))
}
