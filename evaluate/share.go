package evaluate

import (
	"cmp"
	"slices"
	"time"

	"github.com/dataverket/avstem/inventory"
)

// Share is how many of a number of things have something.
type Share struct {
	Have int `json:"have"`
	Of   int `json:"of"`
}

// Ratio is the share from 0 to 1, and false where there is nothing to count.
func (s Share) Ratio() (float64, bool) {
	if s.Of == 0 {
		return 0, false
	}
	return float64(s.Have) / float64(s.Of), true
}

func (s *Share) add(other Share) { s.Have, s.Of = s.Have+other.Have, s.Of+other.Of }

// Why is why a value is not there, or could not be compared.
type Why string

// The reasons for a gap, the ones that a person can do most about first.
const (
	Refused     Why = "refused"      // we may not read it
	TimedOut    Why = "timed-out"    // the source didn't answer in time
	Broken      Why = "broken"       // the answer couldn't be understood, or what it refers to isn't there
	Silent      Why = "silent"       // the host or its document is too old to count
	Unset       Why = "unset"        // it could be seen, and nobody has set it
	NotRead     Why = "not-read"     // this version of avstem doesn't read it there
	NotThere    Why = "not-there"    // the runtime doesn't have it
	NotCompared Why = "not-compared" // it could not be compared, for the reason in the note
)

// whys is the order in which gaps are listed.
var whys = []Why{Refused, TimedOut, Broken, Silent, Unset, NotRead, NotThere, NotCompared}

// Gap is how many things lack a value for one reason.
type Gap struct {
	Why   Why `json:"why"`
	Count int `json:"count"`
	// Note is the reason in words, of one of them; Remedy what helps.
	Note   string `json:"note,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// FieldShare is how a field fares over the things that should have it.
type FieldShare struct {
	Field inventory.Field `json:"field"`
	Share
	// Needed marks the fields that reconciling needs; the headline is made of
	// them alone.
	Needed bool `json:"needed,omitempty"`
	// Known is direct, derived, absent or, where the sources differ, mixed; ""
	// means that no source declares it. Change is event, poll or mixed.
	Known  string `json:"known,omitempty"`
	Change string `json:"change,omitempty"`
	From   string `json:"from,omitempty"` // the API call or file, of one source
	// Oldest is the age of the oldest value that was counted.
	Oldest time.Duration `json:"oldestNanos,omitempty"`
	Gaps   []Gap         `json:"gaps,omitempty"`
}

// Settable counts what was seen and what could be seen if somebody set it.
func (f *FieldShare) Settable() Share {
	s := f.Share
	for _, g := range f.Gaps {
		if g.Why == Unset {
			s.Have += g.Count
		}
	}
	return s
}

// lack notes that count things lack the value.
func (f *FieldShare) lack(gap Gap) {
	if gap.Count <= 0 {
		return
	}
	i := slices.IndexFunc(f.Gaps, func(g Gap) bool { return g.Why == gap.Why && (gap.Why != NotCompared || g.Note == gap.Note) })
	if i < 0 {
		f.Gaps = append(f.Gaps, gap)
		return
	}
	g := &f.Gaps[i]
	g.Count += gap.Count
	// Any one will do, as long as it is always the same one.
	if g.Note == "" || gap.Note != "" && gap.Note < g.Note {
		g.Note, g.Remedy = gap.Note, gap.Remedy
	}
}

func (f *FieldShare) sortGaps() {
	slices.SortFunc(f.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(slices.Index(whys, a.Why), slices.Index(whys, b.Why)), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Note, b.Note))
	})
}

// merge adds the same field of other things.
func (f *FieldShare) merge(other *FieldShare) {
	f.Share.add(other.Share)
	f.Known, f.Change = either(f.Known, other.Known), either(f.Change, other.Change)
	if f.From == "" || other.From != "" && other.From < f.From {
		f.From = other.From
	}
	f.Oldest = max(f.Oldest, other.Oldest)
	for _, g := range other.Gaps {
		f.lack(g)
	}
}

// mixed is said where the sources of one number differ.
const mixed = "mixed"

func either(a, b string) string {
	switch {
	case a == "" || a == b:
		return b
	case b == "":
		return a
	}
	return mixed
}
