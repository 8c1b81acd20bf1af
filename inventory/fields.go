package inventory

import "slices"

// Field is the name of one field of the model: the entity and the field's JSON
// name, as "vm.state" or "nic.vlan". Collectors declare their capabilities,
// problems name what is hidden, and the reconciler lists what it compares, all
// in these words.
type Field string

// FieldInfo describes a field.
type FieldInfo struct {
	Field Field
	Unit  string // "bytes", "Mbit/s" …, where it has one
}

// Fields lists every field of the model, sorted. A test holds it to the types:
// a field that is in one and not in the other fails.
func Fields() []FieldInfo { return slices.Clone(catalogue) }

// Known says whether the field is in the catalogue.
func (f Field) Known() bool {
	_, found := slices.BinarySearchFunc(catalogue, f, func(info FieldInfo, f Field) int {
		switch {
		case info.Field < f:
			return -1
		case info.Field > f:
			return 1
		}
		return 0
	})
	return found
}
