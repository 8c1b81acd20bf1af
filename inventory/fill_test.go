package inventory

import (
	"fmt"
	"hash/fnv"
	"reflect"
	"strings"
	"time"

	"github.com/google/uuid"
)

// filled gives every field of the model a value of its own, by reflection, so
// that a new field is in these tests from its first day. A value depends on its
// field's name and its place in lists only: a new field moves no other.
func filled[T any]() *T {
	v := new(T)
	fill(reflect.ValueOf(v).Elem(), "", 0)
	return v
}

func fill(v reflect.Value, name string, place int) {
	hash := fnv.New32a()
	hash.Write([]byte(name))
	number := uint64(hash.Sum32()%1000) + uint64(place) + 1
	switch v.Interface().(type) {
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.NewSHA1(uuid.Nil, fmt.Append(nil, name, place))))
		return
	case MAC:
		v.Set(reflect.ValueOf(MAC{0x52, 0x54, 0, 0, byte(number >> 8), byte(number)}))
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 11, 24, 0, 0, int(number), 0, time.UTC)))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			fill(v.Field(i), tag, place)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, place)
	case reflect.Slice:
		const n = 3
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(v.Index(i), name, n*place+i)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"iface-id", "vm-id"} {
			v.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(fmt.Sprint(name, " ", key, " ", place)))
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("%s %d", name, place))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(number))
	case reflect.Uint16, reflect.Uint64:
		v.SetUint(number)
	default:
		panic("fill doesn't know " + v.Type().String())
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
