package inventory

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
)

// filler gives every field of the model a value of its own, by reflection, so
// that a new field is in these tests from its first day.
type filler struct{ n int }

func filled[T any]() *T {
	var f filler
	v := new(T)
	f.fill(reflect.ValueOf(v).Elem(), "")
	return v
}

func (f *filler) fill(v reflect.Value, name string) {
	f.n++
	switch v.Interface().(type) {
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.NewSHA1(uuid.Nil, []byte(fmt.Sprint(name, f.n)))))
		return
	case MAC:
		v.Set(reflect.ValueOf(MAC{0x52, 0x54, 0, 0, byte(f.n >> 8), byte(f.n)}))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 0, 0, f.n, 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			f.fill(v.Field(i), tag)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range v.Len() {
			f.fill(v.Index(i), name)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"iface-id", "vm-id"} {
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(fmt.Sprint(name, " ", f.n)))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%s %d", name, f.n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(f.n))
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(uint64(f.n))
	default:
		panic("the filler doesn't know " + v.Type().String())
	}
}

// eachLeaf calls visit for every value in v that holds no others, with its path
// without indexes, such as "Body.VMs.Disks.Allocation".
func eachLeaf(v reflect.Value, path string, visit func(path string, leaf reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer:
		eachLeaf(v.Elem(), path, visit)
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachLeaf(v.Index(i), path, visit)
		}
	case isEntity(v.Type()):
		for i := range v.NumField() {
			eachLeaf(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), visit)
		}
	default:
		visit(path, v)
	}
}

// change gives a leaf another value.
func change(leaf reflect.Value) {
	switch leaf.Kind() {
	case reflect.Bool:
		leaf.SetBool(!leaf.Bool())
	case reflect.String:
		leaf.SetString(leaf.String() + "!")
	case reflect.Int, reflect.Int64:
		leaf.SetInt(leaf.Int() + 1000)
	case reflect.Uint16, reflect.Uint64:
		leaf.SetUint(leaf.Uint() + 2000)
	case reflect.Array: // UUID, MAC
		last := leaf.Index(leaf.Len() - 1)
		last.SetUint(last.Uint() ^ 0xff)
	case reflect.Map:
		leaf.SetMapIndex(reflect.ValueOf("iface-id"), reflect.ValueOf("another"))
	case reflect.Struct: // time.Time
		leaf.Set(reflect.ValueOf(leaf.Interface().(time.Time).Add(time.Hour)))
	default:
		panic("change doesn't know " + leaf.Type().String())
	}
}
