package document

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/inventory"
)

// scalar decodes into v if its type is one that a single value stands for. What
// is wrong comes back as a sentence; v is left zero then.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value) (known bool, fault string) {
	switch target := v.Addr().Interface().(type) {
	case *inventory.MAC:
		*target, fault = d.mac(n)
	case *uuid.UUID:
		*target, fault = d.uuid(n)
	case *inventory.VLAN:
		*target, fault = vlan(n)
	case *inventory.Bytes:
		*target, fault = d.size(n)
	case *int:
		*target, fault = integer(n)
	case *bool:
		*target, fault = boolean(n)
	case encoding.TextUnmarshaler:
		fault = d.unmarshal(n, target)
	default:
		if v.Kind() != reflect.String {
			return false, ""
		}
		var text string
		text, fault = d.text(n)
		if fault == "" && text == "" && v.Type() != reflect.TypeFor[string]() {
			fault = emptyValue // one word of a few: none of them is empty
		}
		if fault == "" {
			v.SetString(text)
		}
	}
	return true, fault
}

// text takes numbers and dates as they are written: quotes are easily forgotten
// round a version or a serial, and YAML keeps what was written. JSON leaves no
// doubt about what is text, and YAML's true and no are too easily mistaken.
func (d *decoder) text(n *yaml.Node) (string, string) {
	if n.Kind != yaml.ScalarNode {
		return "", "want text, and not " + describe(n)
	}
	switch n.Tag {
	case "!!str":
		return n.Value, ""
	case "!!int", "!!float", "!!timestamp":
		if !d.strict {
			return n.Value, ""
		}
	}
	return "", fmt.Sprintf("want text, and not %s: put it in quotes", n.Value)
}

func (d *decoder) mac(n *yaml.Node) (inventory.MAC, string) {
	text, fault := d.text(n)
	if fault != "" {
		return inventory.MAC{}, fault
	}
	mac, err := inventory.ParseMAC(text)
	switch {
	case text != strings.TrimSpace(text):
		return inventory.MAC{}, fmt.Sprintf("%q begins or ends with a space", text)
	case err != nil:
		return inventory.MAC{}, err.Error()
	case mac == inventory.MAC{}:
		return mac, fmt.Sprintf("%q is no interface's address: leave the key out where it isn't known", text)
	}
	return mac, ""
}

func (d *decoder) uuid(n *yaml.Node) (uuid.UUID, string) {
	text, fault := d.text(n)
	if fault != "" {
		return uuid.Nil, fault
	}
	id, err := inventory.ParseUUID(text)
	switch {
	case text != strings.TrimSpace(text):
		return uuid.Nil, fmt.Sprintf("%q begins or ends with a space", text)
	case err != nil:
		return uuid.Nil, err.Error()
	// uuid.Parse takes any two characters for the braces.
	case len(text) == 38 && (text[0] != '{' || text[37] != '}'):
		return uuid.Nil, fmt.Sprintf("%q is not a UUID", text)
	case id == uuid.Nil:
		return id, fmt.Sprintf("%q is nobody's UUID: leave the key out where it isn't known", text)
	}
	return id, ""
}

func vlan(n *yaml.Node) (inventory.VLAN, string) {
	number, fault := integer(n)
	if fault == "" && number >= 0 && number <= math.MaxUint16 && inventory.VLAN(number).Valid() {
		return inventory.VLAN(number), ""
	}
	return 0, fmt.Sprintf("%s is not a VLAN ID: want a number from 1 to 4094", shown(n))
}

// size reads a number as JSON means it (-0 and 2.0 are numbers too), and text
// as people write it.
func (d *decoder) size(n *yaml.Node) (inventory.Bytes, string) {
	if n.Kind != yaml.ScalarNode {
		return 0, fmt.Sprintf("want a size such as 4GiB, and not %s", describe(n))
	}
	if n.Tag == "!!int" || n.Tag == "!!float" {
		number, fault := integer(n)
		switch {
		case fault == "" && number >= 0:
			return inventory.Bytes(number), ""
		case hasLeadingZero(n):
			return 0, fault
		}
	}
	size, err := inventory.ParseBytes(n.Value)
	if err != nil {
		return 0, err.Error()
	}
	return size, ""
}

// integer reads a whole number in decimal. YAML 1.1 and 1.2 disagree about what
// a leading zero means, so it is refused; JSON's 2.0 is whole (JSON Schema
// 2020-12, 6.1.1).
func integer(n *yaml.Node) (int, string) {
	switch {
	case n.Kind != yaml.ScalarNode || hasLeadingZero(n):
	case n.Tag == "!!int":
		if number, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return int(number), ""
		}
	case n.Tag == "!!float":
		number, err := strconv.ParseFloat(n.Value, 64)
		if err == nil && number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int(number), ""
		}
	}
	return 0, fmt.Sprintf("want a whole number, and not %s", shown(n))
}

func hasLeadingZero(n *yaml.Node) bool {
	digits := strings.TrimPrefix(n.Value, "-")
	return len(digits) > 1 && digits[0] == '0' && strings.IndexByte(".eE", digits[1]) < 0
}

func boolean(n *yaml.Node) (bool, string) {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
		return false, fmt.Sprintf("want true or false, and not %s", describe(n))
	}
	return strings.EqualFold(n.Value, "true"), ""
}

// shown gives a number as it was written, and anything else as described.
func shown(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && (n.Tag == "!!int" || n.Tag == "!!float") {
		return n.Value
	}
	return describe(n)
}
