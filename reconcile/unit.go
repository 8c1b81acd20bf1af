package reconcile

import (
	"cmp"
	"reflect"
	"slices"
	"time"
)

// unit is one unit of a pass with what it found.
type unit struct {
	stage stage
	key   string // orders the units of one stage,
	first *thing // or of VMs, the first of its things
	found []*Finding
}

// stage is where in a pass a unit stands. Where several find the same, the first
// has the word.
type stage uint8

const (
	stageInventory stage = iota
	stageMachine
	stageHost
	stageVM
	stageAbsence
	stagePools
	stageProject
	stageLoad
	stageGroup
	stageStray
	stageSpeakers
)

// ledger holds what all units found, by finding ID.
type ledger struct {
	parts map[string][]part
	// changed are the findings that differ from those of the last settling.
	changed map[string]bool
}

// part is what one unit has to say of a finding.
type part struct {
	unit    *unit
	finding *Finding
}

// put replaces what a unit found.
func (l *ledger) put(u *unit, found []Finding) {
	if len(u.found) == 0 && len(found) == 0 {
		return
	}
	before := u.found
	u.found = nil
	for i := range found {
		f := &found[i]
		at := slices.IndexFunc(before, func(b *Finding) bool { return b != nil && b.ID == f.ID })
		if at >= 0 && sameFound(before[at], f) {
			u.found = append(u.found, before[at])
			before[at] = nil
			continue
		}
		kept := *f
		u.found = append(u.found, &kept)
		l.add(u, &kept)
		if at >= 0 {
			l.remove(u, before[at])
			before[at] = nil
		}
	}
	for _, f := range before {
		if f != nil {
			l.remove(u, f)
		}
	}
}

func (l *ledger) add(u *unit, f *Finding) {
	l.parts[f.ID] = append(l.parts[f.ID], part{u, f})
	l.changed[f.ID] = true
}

func (l *ledger) remove(u *unit, f *Finding) {
	left := slices.DeleteFunc(l.parts[f.ID], func(p part) bool { return p.finding == f })
	l.parts[f.ID] = left
	if len(left) == 0 {
		delete(l.parts, f.ID)
	}
	l.changed[f.ID] = true
}

// get gives a finding as a pass at the given time finds it.
func (l *ledger) get(id string, now time.Time) (f Finding, found bool) {
	parts := l.parts[id]
	if len(parts) == 0 {
		return Finding{}, false
	}
	if len(parts) > 1 {
		slices.SortFunc(parts, compareParts)
	}
	f = *parts[0].finding
	for _, other := range parts[1:] { // the same, found again
		f.Evidence = append(slices.Clip(f.Evidence), other.finding.Message)
	}
	f.State, f.FirstSeen, f.LastSeen, f.Since = Open, now, now, now
	return f, true
}

func compareParts(a, b part) int {
	if a.unit.first != nil && b.unit.first != nil {
		return compareThings(a.unit.first, b.unit.first)
	}
	return cmp.Or(cmp.Compare(a.unit.stage, b.unit.stage), cmp.Compare(a.unit.key, b.unit.key))
}

// sameFound says whether a unit found the same as before.
func sameFound(a, b *Finding) bool {
	if a.Message != b.Message || a.Severity != b.Severity || a.Verdict != b.Verdict {
		return false
	}
	x, y := *a, *b
	y.FirstSeen, y.LastSeen, y.Since = x.FirstSeen, x.LastSeen, x.Since
	return reflect.DeepEqual(&x, &y)
}
