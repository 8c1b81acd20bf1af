// Package edit changes single values of an inventory's files, and leaves
// everything else as people wrote it: comments, order, spaces.
//
// It exists for the resolution of a finding on Sentral's side: a patch that a
// person would have written. It changes text at the places that the parser
// names, and takes nothing on trust: what comes out is read again, and if
// anything else than was asked has changed, or that has not, the answer is an
// error. It knows nothing of findings. Nothing here keeps state.
package edit

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

// Change is one key of a record given another value.
type Change struct {
	// Key is the path within the record, as nics[0].network. One that isn't there
	// is put in; nics[N], where there are N, is added at the list's end.
	Key string
	// Value is text, a number, a bool, or [Fields] for a list's element. Nil takes
	// the key or element out.
	Value any
}

// Fields are the keys of a list's element, in order.
type Fields []Field

// Field is one of them. Value is as a [Change]'s.
type Field struct {
	Key   string
	Value any
}

// ByHandError says that a file is written in a way that is not changed here.
type ByHandError struct {
	Place sentral.Place
	Why   string
}

// Error implements error.
func (e ByHandError) Error() string {
	return fmt.Sprintf("%s: change it by hand: %s", e.Place, e.Why)
}

// Apply changes the record that begins at line and column of the text, which is
// the file called name, and gives the whole text anew.
func Apply(name string, text []byte, line, column int, changes []Change) ([]byte, error) {
	now := text
	for _, change := range changes {
		next, err := apply(name, now, line, column, change)
		if err != nil {
			return nil, fmt.Errorf("change %s of the record at %s:%d:%d: %w", change.Key, name, line, column, err)
		}
		now = next
	}
	if err := others(name, text, now, line, column); err != nil {
		return nil, fmt.Errorf("change the record at %s:%d:%d: %w", name, line, column, err)
	}
	return now, nil
}

// apply makes one change. The record's own place stays, since everything that is
// changed comes after where it begins.
func apply(name string, text []byte, line, column int, change Change) ([]byte, error) {
	steps, err := path(change.Key)
	if err != nil {
		return nil, err
	}
	e := &editor{name: name, text: string(text), json: strings.HasSuffix(strings.ToLower(name), ".json")}
	record, err := e.find(line, column)
	if err != nil {
		return nil, err
	}
	if err := e.change(record, steps, change.Value); err != nil {
		return nil, err
	}
	return []byte(e.text), nil
}

// others makes sure that nothing but the one record has changed, and that it can
// still be read.
func others(name string, before, after []byte, line, column int) error {
	was, is := document.Parse(name, before), document.Parse(name, after)
	switch {
	case is.Broken != nil:
		return ByHandError{sentral.Place{Name: name}, "it could not be read afterwards: " + is.Broken.Error}
	case len(was.Records) != len(is.Records):
		return ByHandError{sentral.Place{Name: name, Line: line, Column: column}, "other records would change"}
	}
	for i := range was.Records {
		at := was.Records[i].Place("")
		if at.Line == line && at.Column == column {
			if len(is.Records[i].Faults) > len(was.Records[i].Faults) {
				return ByHandError{at, "the record could not be used afterwards: " + is.Records[i].Faults[0].Error}
			}
			continue
		}
		if !reflect.DeepEqual(was.Records[i].Value, is.Records[i].Value) {
			return ByHandError{at, "another record would change: it shares lines with this one by an alias"}
		}
	}
	return nil
}

// editor is a text being changed.
type editor struct {
	name string
	text string
	json bool
}

// find gives the record that begins at a place.
func (e *editor) find(line, column int) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(strings.NewReader(e.text))
	for {
		var root yaml.Node
		if err := decoder.Decode(&root); err != nil {
			return nil, e.byHand(&yaml.Node{Line: line, Column: column}, "the record isn't there any more")
		}
		if found := at(&root, line, column); found != nil {
			return found, nil
		}
	}
}

func at(n *yaml.Node, line, column int) *yaml.Node {
	if n.Kind == yaml.MappingNode && n.Line == line && n.Column == column {
		return n
	}
	for _, child := range n.Content {
		if found := at(child, line, column); found != nil {
			return found
		}
	}
	return nil
}

func (e *editor) byHand(n *yaml.Node, why string) error {
	return ByHandError{sentral.Place{Name: e.name, Line: n.Line, Column: n.Column}, why}
}

// step is a key of a mapping, or an index of a list where name is "".
type step struct {
	name  string
	index int
}

// path takes a key apart: nics[0].network.
func path(key string) ([]step, error) {
	var steps []step
	for part := range strings.SplitSeq(key, ".") {
		name, rest, indexed := strings.Cut(part, "[")
		if name == "" {
			return nil, fmt.Errorf("%q is no key", key)
		}
		steps = append(steps, step{name: name})
		if !indexed {
			continue
		}
		var index int
		if n, err := fmt.Sscanf(rest, "%d]", &index); n != 1 || err != nil || index < 0 || rest != fmt.Sprintf("%d]", index) {
			return nil, fmt.Errorf("%q is no key", key)
		}
		steps = append(steps, step{index: index})
	}
	return steps, nil
}

// errAlias is about what stands at another place, for others too.
var errAlias = errors.New("it is an alias or merged in")

// change follows the steps and makes the change at their end.
func (e *editor) change(n *yaml.Node, steps []step, value any) error {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return e.byHand(n, "the value is shared by an anchor")
	}
	s, last := steps[0], len(steps) == 1
	if s.name == "" {
		return e.element(n, s.index, steps[1:], value)
	}
	if n.Kind != yaml.MappingNode {
		return e.byHand(n, "it is no mapping")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, child := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" && last && value == nil {
			return e.byHand(key, errAlias.Error())
		}
		if key.Value != s.name {
			continue
		}
		switch {
		case !last:
			return e.change(child, steps[1:], value)
		case value == nil:
			return e.removePair(n, i)
		}
		return e.replace(child, value)
	}
	if value == nil {
		return nil // it isn't there
	}
	return e.insert(n, nested(steps, value))
}

// nested is the pair that makes all steps that aren't there yet.
func nested(steps []step, value any) Field {
	f := Field{steps[0].name, value}
	if len(steps) > 1 {
		inner := nested(steps[1:], value)
		f.Value = Fields{inner}
		if inner.Key == "" { // an element of a list that isn't there
			f.Value = list{inner.Value}
		}
	}
	return f
}

// list is a list of one element.
type list struct{ element any }

func (e *editor) element(n *yaml.Node, index int, rest []step, value any) error {
	switch {
	case n.Kind != yaml.SequenceNode:
		return e.byHand(n, "it is no list")
	case index < len(n.Content) && len(rest) > 0:
		return e.change(n.Content[index], rest, value)
	case index < len(n.Content) && value == nil:
		return e.removeElement(n, index)
	case index == len(n.Content) && len(rest) == 0 && value != nil:
		return e.appendElement(n, value)
	}
	return e.byHand(n, fmt.Sprintf("the list has %d elements", len(n.Content)))
}
