package reconcile

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"time"
)

// unit is one unit of a pass with what it found.
type unit struct {
	stage stage
	key   string // orders the units of one stage,
	first *thing // or of VMs, the first of its things
	// blames are the causes that it knows of findings that others made.
	blames map[string]string
	found  []*Finding
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
	stageEmptied // before the hosts, as what one has lost follows from that first
	stageLoad
	stageGroup
	stageUnresolved
	stageStray
	stageSpeakers
	stageSilence
	stageTask
)

// ledger holds what all units found, by finding ID.
type ledger struct {
	parts map[string][]part
	// causes are what units say that findings of others follow from, and bySubject
	// the findings about each VM, by its ID in lower case.
	causes    map[string][]blame
	bySubject map[string]map[string]bool
	// stirred are the VMs, by ID in lower case, about which findings came, went or
	// changed in this settling, but for those of tasks.
	stirred map[string]bool
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

// blame is one unit's word on what a finding follows from.
type blame struct {
	unit  *unit
	cause string
}

// blame replaces what a unit says that findings of others follow from.
func (l *ledger) blame(u *unit, blames map[string]string) {
	for id := range u.blames {
		if blames[id] != u.blames[id] {
			l.blameOne(u, id, "")
		}
	}
	for id, cause := range blames {
		if u.blames[id] != cause {
			l.blameOne(u, id, cause)
		}
	}
	u.blames = blames
}

func (l *ledger) blameOne(u *unit, id, cause string) {
	all := slices.DeleteFunc(l.causes[id], func(b blame) bool { return b.unit == u })
	if cause != "" {
		all = append(all, blame{u, cause})
	}
	if l.causes[id] = all; len(all) == 0 {
		delete(l.causes, id)
	}
	l.changed[id] = true
}

// cause is what a finding of another unit follows from; of several units the one
// that is judged last knows best.
func (l *ledger) cause(id string) (cause string) {
	var last *unit
	for _, b := range l.causes[id] {
		if last == nil || cmp.Or(cmp.Compare(last.stage, b.unit.stage), cmp.Compare(last.key, b.unit.key)) < 0 {
			last, cause = b.unit, b.cause
		}
	}
	return cause
}

// about gives the findings about a VM, but for those of tasks.
func (b *Book) about(vm string) (all []Finding) {
	for id := range b.bySubject[strings.ToLower(vm)] {
		if f, found := b.get(id, b.in.Now); found && f.Kind != VMTask {
			all = append(all, f)
		}
	}
	SortFindings(all)
	return all
}

func (l *ledger) add(u *unit, f *Finding) {
	if key := strings.ToLower(f.Subject.ID); f.Subject.Type == "vm" {
		if l.bySubject[key] == nil {
			l.bySubject[key] = map[string]bool{}
		}
		l.bySubject[key][f.ID] = true
		if f.Kind != VMTask {
			l.stirred[key] = true
		}
	}
	l.parts[f.ID] = append(l.parts[f.ID], part{u, f})
	l.changed[f.ID] = true
}

func (l *ledger) remove(u *unit, f *Finding) {
	if f.Subject.Type == "vm" && f.Kind != VMTask {
		l.stirred[strings.ToLower(f.Subject.ID)] = true
	}
	left := slices.DeleteFunc(l.parts[f.ID], func(p part) bool { return p.finding == f })
	l.parts[f.ID] = left
	if len(left) == 0 {
		delete(l.parts, f.ID)
		if key := strings.ToLower(f.Subject.ID); f.Subject.Type == "vm" {
			if delete(l.bySubject[key], f.ID); len(l.bySubject[key]) == 0 {
				delete(l.bySubject, key)
			}
		}
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
	if f.CausedBy == "" {
		f.CausedBy = l.cause(id)
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
