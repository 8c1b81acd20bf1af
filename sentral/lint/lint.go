// Package lint looks at the records of an inventory as an editor of its files
// wants them looked at: everything that is wrong, where it stands, and what to
// do about it, before avstem uses it.
//
// What makes a record unusable is said by package sentral; this adds what only
// becomes odd beside other records: quotas that the VMs don't fit in, networks
// that nobody uses. It knows nothing of what was observed, and keeps no state.
package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory/near"
	"github.com/dataverket/avstem/sentral"
)

// Level is how bad a note is.
type Level string

// The levels, worst first.
const (
	// Error breaks the contract: a record is left out, or leads nowhere.
	Error Level = "error"
	// Warning is taken, and will hardly be what is meant.
	Warning Level = "warning"
	// Hint could be better: avstem sees less than it might.
	Hint Level = "hint"
)

// Levels are all of them, worst first.
var levels = []Level{Error, Warning, Hint}

// AtLeast says whether the level is as bad as another, or worse.
func (l Level) AtLeast(other Level) bool {
	return slices.Index(levels, l) <= slices.Index(levels, other)
}

// Note is one thing to say about a record.
type Note struct {
	Level Level  `json:"level"`
	Rule  string `json:"rule"`
	// Where is file:line:column; the three are apart below.
	Where   string `json:"where"`
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Record  string `json:"record,omitempty"` // type and ID
	Name    string `json:"name,omitempty"`   // type and name, where that isn't Record
	Key     string `json:"key,omitempty"`    // the path within the record: nics[0].mac
	Message string `json:"message"`
	// Hint is what to do about it.
	Hint string `json:"hint,omitempty"`
}

// String is the note on one line, as compilers write theirs.
func (n Note) String() string {
	s := n.Where + ": " + string(n.Level)
	for _, part := range []string{cmp.Or(n.Name, n.Record), n.Key} {
		if part != "" {
			s += ": " + part
		}
	}
	return s + ": " + n.Message
}

// Check looks at all records of a source, and at what it could not read. Notes
// come the worst first, and those of a level in the order of their places. Where records are left out or missing, nothing
// is called unused.
func Check(records []sentral.Record, faults []sentral.Fault) []Note {
	inv := sentral.Assemble(records, faults)
	c := &checker{inv: inv, records: map[string]sentral.Record{}}
	left := map[string]bool{}
	for _, out := range inv.LeftOut {
		left[out.Label()] = true
	}
	for _, r := range records {
		c.records[sentral.Identify(r.Value).Label()] = r
	}
	for _, p := range inv.Problems {
		c.problem(p, left[p.Record])
	}
	c.vms()
	c.networks()
	c.hosts()
	c.quotas()
	if !inv.Incomplete && len(inv.LeftOut) == 0 {
		c.unused()
	}
	slices.SortStableFunc(c.notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Rule, b.Rule))
	})
	return c.notes
}

type checker struct {
	inv     *sentral.Inventory
	records map[string]sentral.Record // by label
	notes   []Note
	looked  int // for what references may have meant
}

// maxLooks bounds that, since each is a look at every record.
const maxLooks = 100

// problem takes over what package sentral says.
func (c *checker) problem(p sentral.Problem, left bool) {
	n := Note{Level: Error, Rule: "record", Record: p.Record, Name: p.Name, Key: p.Key, Message: p.Error, Hint: "the record is left out until this is mended"}
	switch {
	case p.Duplicate:
		n.Rule, n.Hint = "duplicate", "give each its own, or remove one of them; "
		if left {
			n.Hint += "none of them is used until then"
		} else {
			n.Hint += "the records are used as they are"
		}
	case p.Record == "":
		n.Rule, n.Hint = "file", "mend the file: what it holds, or a part of it, is missing from the inventory until then"
	case strings.HasSuffix(p.Error, "is not in the inventory"):
		n.Rule, n.Hint = "reference", c.nearest(p.Error)
	case p.Reference || !left:
		n.Rule, n.Hint = "contradiction", "correct one of the two"
		if !left {
			n.Hint += ": the record is used as it is"
		}
	}
	n.File, n.Line, n.Column = split(p.Where)
	n.Where = p.Where
	c.notes = append(c.notes, n)
}

// split takes file:line:column apart.
func split(where string) (file string, line, column int) {
	file = where
	for _, n := range []*int{&column, &line} {
		cut := strings.LastIndexByte(file, ':')
		if cut < 0 {
			return where, 0, 0
		}
		if _, err := fmt.Sscanf(file[cut+1:], "%d", n); err != nil {
			return where, 0, 0
		}
		file = file[:cut]
	}
	return file, line, column
}

// note says something of a record; value is one of the inventory's.
func (c *checker) note(level Level, rule string, value any, key, hint, format string, args ...any) {
	id := sentral.Identify(value)
	record, known := c.records[id.Label()]
	if !known {
		return
	}
	place := record.Place(key)
	c.notes = append(c.notes, Note{
		Level: level, Rule: rule, Where: place.String(), File: place.Name, Line: place.Line, Column: place.Column,
		Record: id.Label(), Name: id.Called(), Key: key, Message: fmt.Sprintf(format, args...), Hint: hint,
	})
}

// nearest looks for what a reference that leads nowhere may have meant.
func (c *checker) nearest(message string) string {
	kind, rest, _ := strings.Cut(message, " ")
	wanted := strings.Trim(strings.TrimSuffix(rest, " is not in the inventory"), `"`)
	best, distance := "", 3
	if c.looked++; c.looked > maxLooks {
		return "add a record for it, or correct the reference"
	}
	for label := range c.records {
		id, same := strings.CutPrefix(label, kind+" ")
		if n := near.Slips(id, wanted, distance); same && (n < distance || n == distance && id < best) {
			best, distance = id, n
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %q? Otherwise add a record for it", best)
	}
	return "add a record for it, or correct the reference"
}
