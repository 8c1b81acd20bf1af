package inventory

import (
	"reflect"
	"strings"
	"unicode"
)

// Reported counts, for each field, the entities of the body that report it: the
// share of a runtime's VMs on which a field is really seen is made of this.
// A plain bool that is false counts as not reported.
func (b *Body) Reported() map[Field]int {
	counts := map[Field]int{}
	body := reflect.ValueOf(b).Elem()
	for i := range body.NumField() {
		countReported(body.Field(i), counts)
	}
	return counts
}

// countReported follows pointers, lists and the model's own structs.
func countReported(v reflect.Value, counts map[Field]int) {
	switch {
	case v.Kind() == reflect.Pointer && !v.IsNil():
		countReported(v.Elem(), counts)
	case v.Kind() == reflect.Slice && isEntity(v.Type().Elem()):
		for i := range v.Len() {
			countReported(v.Index(i), counts)
		}
	case isEntity(v.Type()):
		for i := range v.NumField() {
			if value := v.Field(i); !value.IsZero() {
				counts[fieldOf(v.Type(), i)]++
				countReported(value, counts)
			}
		}
	}
}

// isEntity says whether the type is one of the model's structs, whose fields
// the catalogue names.
func isEntity(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t.PkgPath() == reflect.TypeFor[Body]().PkgPath()
}

// fieldOf names a struct's field as the catalogue does: BackingFile.Source is
// "backingFile.source", OVSPort.Tag "ovsPort.tag", VM.UUID "vm.uuid".
func fieldOf(t reflect.Type, i int) Field {
	name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
	return Field(entityName(t.Name()) + "." + name)
}

// entityName lowers the leading capitals, except one that begins a word.
func entityName(typeName string) string {
	letters := []rune(typeName)
	for i, r := range letters {
		if !unicode.IsUpper(r) || i > 0 && i+1 < len(letters) && unicode.IsLower(letters[i+1]) {
			break
		}
		letters[i] = unicode.ToLower(r)
	}
	return string(letters)
}
