package sentral

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type object struct {
	Ref                  string             `json:"$ref"`
	Required             []string           `json:"required"`
	Properties           map[string]*object `json:"properties"`
	AdditionalProperties any                `json:"additionalProperties"`
	Items                *object            `json:"items"`
	Enum                 []string           `json:"enum"`
	Defs                 map[string]*object `json:"$defs"`
}

// TestSchemaHasEveryField holds the schema to the Go types, both ways: the same
// keys, the same that must be given, the same types below them.
func TestSchemaHasEveryField(t *testing.T) {
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	visited := map[string]bool{}
	var compare func(name string, o *object, typ reflect.Type)
	compare = func(name string, o *object, typ reflect.Type) {
		if visited[name] {
			return
		}
		visited[name] = true
		if o == nil || o.AdditionalProperties != false {
			t.Errorf("%s: the schema doesn't have it, or lets unknown keys pass", name)
			return
		}
		var keys, required []string
		for i := range typ.NumField() {
			field := typ.Field(i)
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if key == "-" {
				continue
			}
			keys = append(keys, key)
			if options == "" {
				required = append(required, key)
			}
			element := field.Type
			for element.Kind() == reflect.Pointer || element.Kind() == reflect.Slice {
				element = element.Elem()
			}
			if element.Kind() == reflect.Struct {
				property := o.Properties[key]
				if property != nil && property.Items != nil {
					property = property.Items
				}
				if property == nil || property.Ref != "#/$defs/"+element.Name() {
					t.Errorf("%s.%s: the schema doesn't say that it is a %s", name, key, element.Name())
				}
				compare(element.Name(), root.Defs[element.Name()], element)
			}
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(keys)), slices.Sorted(maps.Keys(o.Properties))); diff != "" {
			t.Errorf("%s: keys (-Go +schema):\n%s", name, diff)
		}
		if diff := cmp.Diff(slices.Sorted(slices.Values(required)), slices.Sorted(slices.Values(o.Required))); diff != "" {
			t.Errorf("%s: required (-Go +schema):\n%s", name, diff)
		}
	}
	compare("Inventory", &root, reflect.TypeFor[Inventory]())

	for name, states := range map[string]any{"Host": hostStates, "VM": vmStates} {
		want, _ := json.Marshal(states)
		got, _ := json.Marshal(root.Defs[name].Properties["state"].Enum)
		if string(got) != string(want) {
			t.Errorf("%s: the schema has the states %s, Go has %s", name, got, want)
		}
	}
}
