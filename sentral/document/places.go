package document

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/dataverket/avstem/sentral"
)

// keyID stands for a key's path in a keyTable. Records of one type have the
// same paths, so a mark of one is 12 bytes and no text.
type keyID uint32

// rootKey is the record itself.
const rootKey keyID = 0

// step is one step down a path: a name, or an index where that is not negative.
type step struct {
	parent keyID
	name   string
	index  int
}

type keyTable struct {
	ids   map[step]keyID
	steps []step
}

func newKeyTable() *keyTable { return &keyTable{ids: map[step]keyID{}, steps: make([]step, 1)} }

func (t *keyTable) id(parent keyID, name string, index int) keyID {
	s := step{parent, name, index}
	id, known := t.ids[s]
	if !known {
		id = keyID(len(t.steps))
		t.steps = append(t.steps, s)
		t.ids[s] = id
	}
	return id
}

// path writes a key as people do: nics[0].mac.
func (t *keyTable) path(id keyID) string {
	if id == rootKey {
		return ""
	}
	s := t.steps[id]
	parent := t.path(s.parent)
	switch {
	case s.index >= 0:
		return parent + "[" + strconv.Itoa(s.index) + "]"
	case parent == "":
		return s.name
	}
	return parent + "." + s.name
}

// down takes the first step of a written path, and gives the rest of it.
func (t *keyTable) down(parent keyID, path string) (id keyID, rest string, known bool) {
	name, index := strings.TrimPrefix(path, "."), -1
	if id, known = t.ids[step{parent, name, -1}]; known { // a name may hold dots
		return id, "", true
	}
	if strings.HasPrefix(path, "[") {
		digits, after, _ := strings.Cut(path[1:], "]")
		index, _ = strconv.Atoi(digits)
		name, rest = "", after
	} else if cut := strings.IndexAny(name, ".["); cut >= 0 {
		name, rest = name[:cut], name[cut:]
	}
	id, known = t.ids[step{parent, name, index}]
	return id, rest, known
}

// mark is where a key's value stands.
type mark struct {
	key          keyID
	line, column int32
}

// places are the marks of one record, sorted by key, the record's own first.
type places struct {
	file  string
	keys  *keyTable
	marks []mark
}

func newPlaces(file string, keys *keyTable, marks []mark) places {
	marks = slices.Clone(marks)
	slices.SortStableFunc(marks, byKey)
	return places{file, keys, marks}
}

func byKey(a, b mark) int { return cmp.Compare(a.key, b.key) }

// of gives the place of a key's value, or of the nearest above it that is there.
func (p places) of(key string) sentral.Place {
	best := p.marks[0]
	for id, known := rootKey, true; key != ""; {
		if id, key, known = p.keys.down(id, key); !known {
			break
		}
		if i, found := slices.BinarySearchFunc(p.marks, mark{key: id}, byKey); found {
			best = p.marks[i]
		}
	}
	return sentral.Place{Name: p.file, Line: int(best.line), Column: int(best.column)}
}
