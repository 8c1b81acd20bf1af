package sentral_test

import (
	"reflect"
	"testing"

	"github.com/dataverket/avstem/sentral"
)

// TestEqual changes each thing that a record can say, at whatever depth: no two of
// the records that come of it are equal, and each is equal to its like.
func TestEqual(t *testing.T) {
	each(t, (*sentral.VM).Equal)
	each(t, (*sentral.Host).Equal)
}

func each[T any](t *testing.T, equal func(a, b *T) bool) {
	t.Helper()
	kind := reflect.TypeFor[T]()
	n := len(variants(kind))
	if n < 20 {
		t.Fatalf("%s has %d variants", kind, n)
	}
	for i := range n {
		for j := range n {
			a, b := variants(kind)[i].Interface().(T), variants(kind)[j].Interface().(T) // nothing is shared
			if got, want := equal(&a, &b), reflect.DeepEqual(a, b); got != want || want != (i == j) {
				t.Errorf("%+v and %+v: equal is %t, and by reflection %t", a, b, got, want)
			}
		}
	}
}

// variants gives values of a type that all differ: the zero value, and one for each
// thing that can be said otherwise.
func variants(of reflect.Type) []reflect.Value {
	all := []reflect.Value{reflect.New(of).Elem()}
	add := func(set func(reflect.Value)) {
		v := reflect.New(of).Elem()
		set(v)
		all = append(all, v)
	}
	switch of.Kind() {
	case reflect.Struct:
		for i := range of.NumField() {
			for _, field := range variants(of.Field(i).Type)[1:] {
				add(func(v reflect.Value) { v.Field(i).Set(field) })
			}
		}
	case reflect.Pointer:
		for _, to := range variants(of.Elem()) {
			add(func(v reflect.Value) { v.Set(reflect.New(of.Elem())); v.Elem().Set(to) })
		}
	case reflect.Slice:
		add(func(v reflect.Value) { v.Set(reflect.MakeSlice(of, 0, 0)) })
		for _, one := range variants(of.Elem()) {
			add(func(v reflect.Value) { v.Set(reflect.Append(v, one)) })
		}
		add(func(v reflect.Value) { v.Set(reflect.MakeSlice(of, 2, 2)) })
	case reflect.Array:
		add(func(v reflect.Value) { v.Index(of.Len() - 1).Set(variants(of.Elem())[1]) })
	case reflect.String:
		add(func(v reflect.Value) { v.SetString("x") })
	case reflect.Bool:
		add(func(v reflect.Value) { v.SetBool(true) })
	case reflect.Int, reflect.Int64:
		add(func(v reflect.Value) { v.SetInt(7) })
	case reflect.Uint8, reflect.Uint16, reflect.Uint64:
		add(func(v reflect.Value) { v.SetUint(7) })
	default:
		panic("a record has a " + of.String())
	}
	return all
}
