package adopt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// YAML writes records as people write them: a key a line, small things on one,
// sizes with units.
func YAML(records *sentral.Inventory) ([]byte, error) {
	text, err := json.Marshal(records)
	if err != nil {
		return nil, fmt.Errorf("write records: %w", err)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil { // JSON is YAML
		return nil, fmt.Errorf("write records: %w", err)
	}
	style(&root, 0)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		return nil, fmt.Errorf("write records: %w", err)
	}
	return out.Bytes(), nil
}

// depths of a document's nodes: the document, its lists, records, their values,
// the elements of these.
const (
	recordDepth  = 3
	elementDepth = 5
)

func style(n *yaml.Node, depth int) {
	n.Style = 0
	if n.Tag == "!!str" && strings.Contains(n.Value, ":") {
		n.Style = yaml.DoubleQuotedStyle // a MAC, as people quote it
	}
	if n.Kind != yaml.ScalarNode && depth >= elementDepth || n.Kind == yaml.MappingNode && (depth > recordDepth || depth == recordDepth && isSmall(n)) {
		n.Style = yaml.FlowStyle
	}
	for i, child := range n.Content {
		style(child, depth+1)
		if n.Kind == yaml.MappingNode && i%2 == 1 && child.Tag == "!!int" {
			switch n.Content[i-1].Value {
			case "memory", "size", "storage":
				child.Value, child.Tag = Size(child.Value), "!!str"
			}
		}
	}
}

// isSmall says whether a record fits on a line.
func isSmall(n *yaml.Node) bool {
	length := 0
	for _, child := range n.Content {
		if child.Kind == yaml.SequenceNode {
			return false
		}
		length += len(child.Value) + 2
		for _, inner := range child.Content {
			length += len(inner.Value) + 2
		}
	}
	return length < 100
}

// Size writes bytes as people do, where that is exact: 4GiB.
func Size(digits string) string {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return digits
	}
	words := strings.ReplaceAll(inventory.Bytes(n).String(), " ", "")
	if again, err := inventory.ParseBytes(words); err != nil || again != inventory.Bytes(n) {
		return digits
	}
	return words
}
