package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
)

// maxDepth bounds the nesting of JSON. An inventory has six levels.
const maxDepth = 100

// jsonReader builds the tree that the YAML parser would, since that knows where
// each value stands. encoding/json alone takes a duplicate key's last value.
type jsonReader struct {
	data   []byte
	tokens *json.Decoder
	// line and column are those of offset, so that positions are counted in one
	// pass over the file.
	offset, line, column int
}

func readJSON(data []byte) ([]*yaml.Node, *sentral.Fault) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	r := &jsonReader{data: data, tokens: json.NewDecoder(bytes.NewReader(data)), line: 1, column: 1}
	r.tokens.UseNumber()
	root, fault := r.value(0)
	if fault != nil {
		return nil, fault
	}
	r.skip()
	if r.offset < len(data) {
		return nil, at(r.line, r.column, "not JSON: something follows the document: want one document a file")
	}
	return []*yaml.Node{root}, nil
}

// skip moves to where the next token begins.
func (r *jsonReader) skip() {
	r.advance(int(r.tokens.InputOffset()))
	for r.offset < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[r.offset]) >= 0 {
		r.advance(r.offset + 1)
	}
}

func (r *jsonReader) advance(to int) {
	for ; r.offset < to; r.offset++ {
		switch b := r.data[r.offset]; {
		case b == '\n':
			r.line, r.column = r.line+1, 1
		case b&0xc0 != 0x80: // not the middle of a character
			r.column++
		}
	}
}

// next reads a token and says where it stands.
func (r *jsonReader) next() (json.Token, *yaml.Node, *sentral.Fault) {
	r.skip()
	node := &yaml.Node{Line: r.line, Column: r.column}
	token, err := r.tokens.Token()
	if err == nil {
		return token, node, nil
	}
	line, column := node.Line, node.Column
	text := err.Error()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		offset := min(max(int(syntax.Offset)-1, 0), len(r.data))
		blank := len(r.data[offset:]) - len(bytes.TrimLeft(r.data[offset:], " \t\r\n"))
		line, column = position(r.data, offset+blank)
	} else if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		line, column = position(r.data, len(bytes.TrimSpace(r.data)))
		text = "the file ends in the middle"
	}
	return nil, nil, at(line, column, "not JSON, or only half of it: %s", text)
}

func (r *jsonReader) value(depth int) (*yaml.Node, *sentral.Fault) {
	token, node, fault := r.next()
	if fault != nil {
		return nil, fault
	}
	node.Kind = yaml.ScalarNode
	switch t := token.(type) {
	case json.Delim:
		if depth == maxDepth {
			return nil, at(node.Line, node.Column, "nested more than %d deep", maxDepth)
		}
		return node, r.children(node, t, depth)
	case string:
		node.Tag, node.Value = "!!str", t
	case json.Number:
		node.Tag, node.Value = "!!int", t.String()
		if strings.ContainsAny(node.Value, ".eE") {
			node.Tag = "!!float"
		}
	case bool:
		node.Tag, node.Value = "!!bool", "false"
		if t {
			node.Value = "true"
		}
	case nil:
		node.Tag, node.Value = "!!null", "null"
	}
	return node, nil
}

func (r *jsonReader) children(node *yaml.Node, open json.Delim, depth int) *sentral.Fault {
	node.Kind, node.Tag = yaml.SequenceNode, "!!seq"
	if open == '{' {
		node.Kind, node.Tag = yaml.MappingNode, "!!map"
	}
	for r.tokens.More() {
		child, fault := r.value(depth + 1) // keys and values alternate
		if fault != nil {
			return fault
		}
		node.Content = append(node.Content, child)
	}
	_, _, fault := r.next()
	return fault
}
