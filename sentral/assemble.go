package sentral

import (
	"cmp"
	"fmt"
	"slices"
)

// Assemble makes an inventory of what a source decoded. Faults are those of no
// single record, such as a file that could not be read.
//
//   - A record that breaks a rule is left out; what is known of it stays in
//     LeftOut.
//   - Where several records claim one ID or UUID, all of them are left out: none
//     of them can be trusted over the others.
//   - A MAC, serial or system UUID on two records, and a reference to what isn't
//     there, is a problem and no more: the records stay.
//   - A record that is a [LeftOut] stays one, without a problem of its own.
//   - A reference to a record that was left out is no problem of its own, and
//     none is looked for while records are missing of which nothing is known. Those
//     of a record that is left out itself are looked at, so that who mends it hears
//     of everything at once.
//
// The same records give the same inventory; problems are sorted by place.
func Assemble(records []Record, faults []Fault) *Inventory {
	a := &assembler{entries: make([]entry, len(records))}
	for _, fault := range faults {
		a.incomplete = a.incomplete || fault.Lost
		if fault.Error != "" {
			a.report(fault.Place, Problem{Key: fault.Key, Error: fault.Error})
		}
	}
	for i, record := range records {
		a.entries[i] = entry{Record: record, identity: Identify(record.Value)}
		a.checkShape(&a.entries[i])
	}
	a.checkClaims()
	a.checkSharing()
	if !a.incomplete {
		a.checkReferences()
	}
	return a.inventory()
}

type assembler struct {
	entries    []entry
	problems   []placed
	incomplete bool
}

type placed struct {
	place   Place
	problem Problem
}

func (a *assembler) report(place Place, p Problem) {
	p.Where = place.String()
	a.problems = append(a.problems, placed{place, p})
}

// complain reports a problem with a key of a record.
func (a *assembler) complain(e *entry, key, format string, args ...any) {
	a.report(e.Place(key), Problem{Record: e.identity.Label(), Name: e.identity.Called(), Key: key, Error: fmt.Sprintf(format, args...)})
}

// maxComplaints bounds what is said about one record: nobody reads more, and a
// file of nonsense must not cost more than one of sense.
const maxComplaints = 100

// checkShape holds a record against the rules that need no other record.
func (a *assembler) checkShape(e *entry) {
	complaints := 0
	decoded := map[string]bool{}
	for _, fault := range e.Faults {
		decoded[fault.Key] = true
		e.refuse(fault.Key)
		a.incomplete = a.incomplete || fault.Lost
		if complaints++; complaints <= maxComplaints {
			a.report(fault.Place, Problem{Record: e.identity.Label(), Name: e.identity.Called(), Key: fault.Key, Error: fault.Error})
		}
	}
	checkValue(e.Value, func(key, problem string) {
		if decoded[key] {
			return // it was given, and said to be unreadable
		}
		e.refuse(key)
		if complaints++; complaints <= maxComplaints {
			a.complain(e, key, "%s", problem)
		}
	})
	if complaints > maxComplaints {
		a.complain(e, "", "more problems: %d", complaints-maxComplaints)
	}
	e.left = complaints > 0 || isLeftOut(e)
	if e.left && e.identity.nameless() {
		a.incomplete = true
	}
}

func (a *assembler) inventory() *Inventory {
	inv := &Inventory{Incomplete: a.incomplete, Places: &Places{of: make(map[RecordID]func(string) Place, len(a.entries))}}
	for i := range a.entries {
		e := &a.entries[i]
		if e.left {
			inv.LeftOut = append(inv.LeftOut, e.identity)
			continue
		}
		inv.add(e.Value)
		inv.Places.of[RecordID{e.identity.Type, e.identity.ID}] = e.Place
	}
	slices.SortStableFunc(a.problems, func(x, y placed) int {
		return cmp.Or(x.place.compare(y.place), cmp.Compare(x.problem.Key, y.problem.Key))
	})
	for _, p := range a.problems {
		inv.Problems = append(inv.Problems, p.problem)
	}
	return inv
}

func (inv *Inventory) add(value any) {
	switch v := value.(type) {
	case *Site:
		inv.Sites = append(inv.Sites, *v)
	case *FailureDomain:
		inv.FailureDomains = append(inv.FailureDomains, *v)
	case *Project:
		inv.Projects = append(inv.Projects, *v)
	case *Image:
		inv.Images = append(inv.Images, *v)
	case *Network:
		inv.Networks = append(inv.Networks, *v)
	case *Host:
		inv.Hosts = append(inv.Hosts, *v)
	case *VM:
		inv.VMs = append(inv.VMs, *v)
	}
}
