package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/sentral"
)

// Content is what one document says.
type Content struct {
	Records []sentral.Record
	// Faults are what is wrong outside of records.
	Faults []sentral.Fault
	// Broken is why the document as a whole can't be read; the rest is empty then.
	Broken *sentral.Fault
}

// Parse reads a document's bytes, as JSON where the name ends in .json and as
// YAML otherwise. It never panics, and each fault has a place.
func Parse(name string, data []byte) Content {
	isJSON := strings.HasSuffix(strings.ToLower(name), ".json")
	var roots []*yaml.Node
	fault := checkText(data)
	switch {
	case fault != nil:
	case isJSON:
		roots, fault = readJSON(data)
	default:
		roots, fault = readYAML(data)
	}
	if fault != nil {
		fault.Name, fault.Lost = name, true
		return Content{Broken: fault}
	}
	d := newDecoder(name, isJSON)
	for _, root := range roots {
		d.document(root)
	}
	return Content{Records: d.records, Faults: d.faults}
}

// at makes a fault that is nowhere in particular yet.
func at(line, column int, format string, args ...any) *sentral.Fault {
	return &sentral.Fault{Place: sentral.Place{Line: line, Column: column}, Error: fmt.Sprintf(format, args...)}
}

// position is the line and column of an offset, both from 1; columns are
// characters.
func position(data []byte, offset int) (line, column int) {
	before := data[:min(max(offset, 0), len(data))]
	start := bytes.LastIndexByte(before, '\n') + 1
	return 1 + bytes.Count(before, []byte("\n")), 1 + utf8.RuneCount(before[start:])
}

// checkText refuses what is no UTF-8 text: neither YAML 1.2 nor RFC 8259 allows
// the control characters, and the YAML parser doesn't say where they are.
func checkText(data []byte) *sentral.Fault {
	if len(bytes.TrimSpace(data)) == 0 {
		return at(1, 1, "the file is empty: write something into it, or remove it")
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return at(1, 1, "the file is UTF-16: save it as UTF-8")
	}
	for i := 0; i < len(data); {
		r, size := rune(data[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(data[i:])
		}
		line := func() (int, int) { return position(data, i) }
		switch {
		case r == utf8.RuneError && size == 1:
			l, c := line()
			return at(l, c, "byte %#x is not UTF-8: save the file as UTF-8", data[i])
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r', r == 0x7f, r > 0x7f && r < 0xa0 && r != 0x85, r == 0xfffe, r == 0xffff:
			l, c := line()
			return at(l, c, "control character %U: remove it", r)
		case r == 0xfeff && i > 0:
			l, c := line()
			return at(l, c, "byte order mark in the middle of the file: remove it")
		}
		i += size
	}
	return nil
}

// readYAML gives the root of each document of a file.
func readYAML(data []byte) ([]*yaml.Node, *sentral.Fault) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var roots []*yaml.Node
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		switch {
		case errors.Is(err, io.EOF):
			return roots, nil
		case err != nil:
			return nil, explainYAML(data, err)
		case len(document.Content) == 1:
			roots = append(roots, document.Content[0])
		}
	}
}

// explainYAML finds where the YAML parser stopped. Of its errors, the scanner's
// name the line, unless it is the first; the parser's name the line before the
// beginning of whatever was being read, or none, so their place is found by how
// much had been read.
func explainYAML(data []byte, err error) *sentral.Fault {
	var line int
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	line = max(line, 1)
	if n := conflict(data); n > 0 {
		return at(n, 1, "a merge of git's was left half done here: keep one of the two sides, and take out the lines of <<<<<<<, ======= and >>>>>>>")
	}
	if strings.HasPrefix(text, "did not find expected") || strings.HasPrefix(text, "unknown anchor") {
		line, _ = position(data, len(bytes.TrimRight(data[:drained(data)], " \t\r\n"))-1)
	}
	lines := bytes.SplitAfterN(data, []byte("\n"), line+1)
	var faulty []byte
	if line <= len(lines) {
		faulty = lines[line-1]
	}
	indent := len(faulty) - len(bytes.TrimLeft(faulty, " \t\ufeff"))
	return at(line, indent+1, "not YAML, or only half of it: %s", text)
}

// conflict is the line of the first mark that git leaves where two sides conflict, 0
// where there is none.
func conflict(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		if n++; bytes.HasPrefix(line, []byte("<<<<<<< ")) {
			return n
		}
	}
	return 0
}

// drained says how many bytes the YAML parser needs to find its error.
func drained(data []byte) int {
	source := &drip{data: data}
	decoder := yaml.NewDecoder(source)
	for {
		var document yaml.Node
		if err := decoder.Decode(&document); err != nil {
			return source.read
		}
	}
}

// drip is a reader that gives one byte at a time.
type drip struct {
	data []byte
	read int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.read == len(d.data) {
		return 0, io.EOF
	}
	p[0] = d.data[d.read]
	d.read++
	return 1, nil
}
