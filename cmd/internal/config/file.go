package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/inventory/near"
)

// NoFile stands for no configuration file, where one is named.
const NoFile = "none"

// maxFile is far above any file of settings, and keeps a wrong path from
// filling the memory.
const maxFile = 1 << 20

// File is a configuration file that was read.
type File struct {
	Path   string
	Values []Value // in the file's order
}

// Value is one key of a file with what it is set to: one text, or several where
// it is a list.
type Value struct {
	Key  string
	Line int
	Text []string
}

// Problem is a mistake in a file. Line and Key are 0 and "" where it is about the
// whole.
type Problem struct {
	Line  int    `json:"line,omitempty"`
	Key   string `json:"key,omitempty"`
	Error string `json:"error"`
}

// FileError says what is wrong with a file, all of it.
type FileError struct {
	Path     string
	Problems []Problem
}

func (e *FileError) Error() string {
	var lines []string
	for _, p := range e.Problems {
		lines = append(lines, p.In(e.Path))
	}
	return strings.Join(lines, "\n")
}

// In is the problem as a line for people: file, line, key, what.
func (p Problem) In(path string) string {
	at := path
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", path, p.Line)
	}
	if p.Key != "" {
		at += ": " + p.Key
	}
	return at + ": " + p.Error
}

// Lookup finds a key.
func (f *File) Lookup(key string) (Value, bool) {
	if f == nil {
		return Value{}, false
	}
	i := slices.IndexFunc(f.Values, func(v Value) bool { return v.Key == key })
	if i < 0 {
		return Value{}, false
	}
	return f.Values[i], true
}

// First is the key's only value, or its first, and "" where it isn't set.
func (f *File) First(key string) string {
	v, ok := f.Lookup(key)
	if !ok {
		return ""
	}
	return v.Text[0]
}

// Open reads the file that is named, none where that is [NoFile], or the one in
// its usual place if it is there and path is "".
func Open(path, usual string, keys *pflag.FlagSet) (*File, error) {
	switch path {
	case NoFile:
		return nil, nil
	case "":
		file, err := Read(usual, keys)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return file, err
	}
	return Read(path, keys)
}

// Read reads a file whose keys are the flags of keys. What is wrong with its
// content is a [*FileError].
func Read(path string, keys *pflag.FlagSet) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes: is this the file that is meant?", path, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	file, problems := Parse(path, data, keys)
	if len(problems) > 0 {
		return file, &FileError{Path: path, Problems: problems}
	}
	return file, nil
}

// Parse reads a file's content. A key with a mistake is a problem and not in the
// file that is returned. Whether a flag takes a value is not looked at here: see
// [Check].
func Parse(path string, data []byte, keys *pflag.FlagSet) (*File, []Problem) {
	file := &File{Path: path}
	decoder := yaml.NewDecoder(strings.NewReader(string(data)))
	var document yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return file, nil // nothing but comments
	case err != nil:
		return file, []Problem{syntax(err)}
	}
	var next yaml.Node
	if err := decoder.Decode(&next); !errors.Is(err, io.EOF) {
		return file, []Problem{{Line: next.Line, Error: "it holds more than one document: remove all but one"}}
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return file, nil
	}
	if root.Kind != yaml.MappingNode {
		return file, []Problem{{Line: root.Line, Error: "want lines of the form key: value"}}
	}
	var problems []Problem
	for i := 0; i+1 < len(root.Content); i += 2 {
		value, err := entry(root.Content[i], root.Content[i+1], keys)
		if earlier, twice := file.Lookup(value.Key); err == nil && twice {
			err = fmt.Errorf("it is set twice, first in line %d", earlier.Line)
		}
		if err != nil {
			problems = append(problems, Problem{Line: value.Line, Key: value.Key, Error: err.Error()})
			continue
		}
		file.Values = append(file.Values, value)
	}
	return file, problems
}

// syntax takes the line out of yaml's errors, which have it in their text.
func syntax(err error) Problem {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	var line int
	if n, scanErr := fmt.Sscanf(text, "line %d:", &line); n == 1 && scanErr == nil {
		_, text, _ = strings.Cut(text, ": ")
		return Problem{Line: line, Error: "not YAML: " + text}
	}
	return Problem{Error: "not YAML: " + text}
}

func entry(key, value *yaml.Node, keys *pflag.FlagSet) (Value, error) {
	v := Value{Key: key.Value, Line: key.Line}
	if key.Kind != yaml.ScalarNode {
		return v, errors.New("a key must be a word")
	}
	flag := keys.Lookup(key.Value)
	if flag == nil {
		return v, fmt.Errorf("there is no such key%s", suggest(key.Value, keys))
	}
	switch value = followed(value); value.Kind {
	case yaml.ScalarNode:
		if value.Tag == "!!null" {
			return v, errors.New("it has no value: give it one, or remove the line")
		}
		v.Text = []string{value.Value}
	case yaml.SequenceNode:
		if !isList(flag) {
			return v, errors.New("it takes one value, and this is a list")
		}
		for _, item := range value.Content {
			if item = followed(item); item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return v, fmt.Errorf("line %d: what is in the list must be a text each", item.Line)
			}
			v.Text = append(v.Text, item.Value)
		}
		if len(v.Text) == 0 {
			return v, errors.New("the list is empty: remove the line")
		}
	default:
		return v, errors.New("it takes a value, and this has keys of its own")
	}
	return v, nil
}

func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isList(f *pflag.Flag) bool { return strings.HasSuffix(f.Value.Type(), "Array") }

// suggest finds the key that differs in its way of writing only, or that is the
// beginning or the end of a longer one.
func suggest(name string, keys *pflag.FlagSet) string {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == '-' || r == '_' || r == '.' {
				return -1
			}
			return r
		}, strings.ToLower(s))
	}
	wanted, found := plain(name), ""
	keys.VisitAll(func(f *pflag.Flag) {
		have := plain(f.Name)
		switch {
		case have == wanted || have+"s" == wanted:
			found = f.Name
		case found == "" && len(wanted) > 2 && (strings.HasPrefix(have, wanted) || strings.HasSuffix(have, wanted)):
			found = f.Name
		}
	})
	if found == "" {
		meant := near.Names(name, flagNames(keys), 1)
		if len(meant) == 0 {
			return ""
		}
		found = meant[0]
	}
	return ": did you mean " + found + "?"
}

func flagNames(keys *pflag.FlagSet) iter.Seq[string] {
	return func(yield func(string) bool) {
		more := true
		keys.VisitAll(func(f *pflag.Flag) { more = more && yield(f.Name) })
	}
}
