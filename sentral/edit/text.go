package edit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// offset is where a node begins in the text; columns are characters.
func (e *editor) offset(n *yaml.Node) int { return e.at(n.Line, n.Column) }

func (e *editor) at(line, column int) int {
	offset := 0
	for range line - 1 {
		next := strings.IndexByte(e.text[offset:], '\n')
		if next < 0 {
			return len(e.text)
		}
		offset += next + 1
	}
	for range column - 1 {
		_, size := utf8.DecodeRuneInString(e.text[offset:])
		offset += size
	}
	return offset
}

// end is where a node's text ends.
func (e *editor) end(n *yaml.Node) (int, error) {
	from := e.offset(n)
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Tag != "" && n.Style&yaml.TaggedStyle != 0:
		return 0, e.byHand(n, "it has an anchor, an alias or a tag")
	case n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle != 0, n.Kind != yaml.ScalarNode && e.json:
		if len(n.Content) == 0 {
			return e.closing(from, n)
		}
		last, err := e.end(n.Content[len(n.Content)-1])
		if err != nil {
			return 0, err
		}
		return e.closing(last, n)
	case n.Kind != yaml.ScalarNode:
		if len(n.Content) == 0 {
			return from, nil
		}
		return e.end(n.Content[len(n.Content)-1])
	case n.Style&yaml.DoubleQuotedStyle != 0 || e.json && strings.HasPrefix(e.text[from:], `"`):
		return e.quoted(n, from, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		return e.quoted(n, from, '\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 || !strings.HasPrefix(e.text[from:], n.Value):
		return 0, e.byHand(n, "its text goes over several lines")
	}
	return from + len(n.Value), nil
}

// quoted finds the end of a text in quotes.
func (e *editor) quoted(n *yaml.Node, from int, quote byte) (int, error) {
	for i := from + 1; i < len(e.text); i++ {
		switch c := e.text[i]; {
		case c == '\\' && quote == '"':
			i++
		case c == '\'' && quote == '\'' && strings.HasPrefix(e.text[i:], "''"):
			i++
		case c == quote:
			return i + 1, nil
		}
	}
	return 0, e.byHand(n, "its quotes have no end")
}

// closing finds the bracket that ends a flow collection, past comments.
func (e *editor) closing(from int, n *yaml.Node) (int, error) {
	for i := from; i < len(e.text); i++ {
		switch e.text[i] {
		case '#':
			if next := strings.IndexByte(e.text[i:], '\n'); next >= 0 {
				i += next
			}
		case '}', ']':
			return i + 1, nil
		}
	}
	return 0, e.byHand(n, "its bracket has no end")
}

func (e *editor) splice(from, to int, text string) { e.text = e.text[:from] + text + e.text[to:] }

// replace puts a value in the place of a scalar.
func (e *editor) replace(n *yaml.Node, value any) error {
	if n.Kind != yaml.ScalarNode {
		return e.byHand(n, "it is no single value")
	}
	end, err := e.end(n)
	if err != nil {
		return err
	}
	e.splice(e.offset(n), end, e.render(value, n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0))
	return nil
}

func (e *editor) isFlow(n *yaml.Node) bool { return e.json || n.Style&yaml.FlowStyle != 0 }

// insert puts a pair into a mapping, after its last one.
func (e *editor) insert(n *yaml.Node, f Field) error {
	if len(n.Content) == 0 {
		return e.byHand(n, "it is empty")
	}
	last := n.Content[len(n.Content)-1]
	end, err := e.end(last)
	if err != nil {
		return err
	}
	if e.isFlow(n) {
		e.splice(end, end, ", "+e.pair(f))
		return nil
	}
	e.insertLine(end, strings.Repeat(" ", n.Content[0].Column-1)+e.pair(f))
	return nil
}

// insertLine puts a line after the one that the offset is in.
func (e *editor) insertLine(offset int, line string) {
	next := strings.IndexByte(e.text[offset:], '\n')
	if next < 0 {
		e.splice(len(e.text), len(e.text), "\n"+line)
		return
	}
	at := offset + next + 1
	ending := "\n"
	if strings.HasSuffix(e.text[:at], "\r\n") {
		ending = "\r\n"
	}
	e.splice(at, at, line+ending)
}

// appendElement puts an element at the end of a list.
func (e *editor) appendElement(n *yaml.Node, value any) error {
	if len(n.Content) == 0 {
		if end, err := e.end(n); err != nil {
			return err
		} else if e.isFlow(n) {
			e.splice(end-1, end-1, e.render(value, false))
			return nil
		}
		return e.byHand(n, "it is empty")
	}
	end, err := e.end(n.Content[len(n.Content)-1])
	if err != nil {
		return err
	}
	if e.isFlow(n) {
		e.splice(end, end, ", "+e.render(value, false))
		return nil
	}
	e.insertLine(end, strings.Repeat(" ", n.Column-1)+"- "+e.render(value, false))
	return nil
}

// removeElement takes one out of a list; the last one leaves an empty list.
func (e *editor) removeElement(n *yaml.Node, index int) error {
	if e.isFlow(n) {
		return e.cut(n, index, index)
	}
	if len(n.Content) == 1 {
		return e.byHand(n, "it is the list's only element: remove the list")
	}
	end, err := e.end(n.Content[index])
	if err != nil {
		return err
	}
	e.cutLines(e.at(n.Content[index].Line, 1), end)
	return nil
}

// removePair takes the pair that begins at Content[i] out of a mapping.
func (e *editor) removePair(n *yaml.Node, i int) error {
	if len(n.Content) == 2 {
		return e.byHand(n, "it is the only key")
	}
	if e.isFlow(n) {
		return e.cut(n, i, i+1)
	}
	end, err := e.end(n.Content[i+1])
	if err != nil {
		return err
	}
	from := e.at(n.Content[i].Line, 1)
	if strings.TrimSpace(e.text[from:e.offset(n.Content[i])]) != "" {
		return e.byHand(n.Content[i], "it stands on the line that the record begins on")
	}
	e.cutLines(from, end)
	return nil
}

// cut takes nodes from..to of a flow collection out, with one comma.
func (e *editor) cut(n *yaml.Node, from, to int) error {
	begin := e.offset(n.Content[from])
	end, err := e.end(n.Content[to])
	if err != nil {
		return err
	}
	switch {
	case to+1 < len(n.Content):
		end = e.offset(n.Content[to+1])
	case from > 0:
		if begin, err = e.end(n.Content[from-1]); err != nil {
			return err
		}
	}
	e.splice(begin, end, "")
	return nil
}

// cutLines takes the lines out that from begins and end is on.
func (e *editor) cutLines(from, end int) {
	next := strings.IndexByte(e.text[end:], '\n')
	if next < 0 {
		e.splice(from, len(e.text), "")
		return
	}
	e.splice(from, end+next+1, "")
}

func (e *editor) pair(f Field) string {
	key := f.Key
	if e.json {
		key = e.render(key, true)
	}
	return key + ": " + e.render(f.Value, false)
}

// plain is text that needs no quotes in YAML, in a flow or a block.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// words are taken for something else without quotes.
var words = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null|y|n)$`)

// sized is a size as people write it, which needs no quotes either.
var sized = regexp.MustCompile(`^[0-9]+(B|[KMGTP]iB|[kMGTP]B)$`)

// render writes a value on one line.
func (e *editor) render(value any, quoted bool) string {
	switch v := value.(type) {
	case Fields:
		parts := make([]string, len(v))
		for i, f := range v {
			parts[i] = e.pair(f)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case list:
		return "[" + e.render(v.element, false) + "]"
	case string:
		if !e.json && !quoted && (plain.MatchString(v) && !words.MatchString(v) || sized.MatchString(v)) {
			return v
		}
		text, _ := json.Marshal(v) // JSON's texts are YAML's
		return string(text)
	}
	return fmt.Sprint(value)
}
