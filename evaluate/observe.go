package evaluate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// observer counts what one document of a runtime shows.
type observer struct {
	doc      *inventory.Observation
	now      time.Time
	silent   string // why nothing in it counts as seen, "" where it does
	known    map[inventory.Field]inventory.Capability
	problems map[string][]inventory.Problem // by entity
}

func newObserver(doc reconcile.Document, now time.Time, silent string) *observer {
	o := &observer{doc: doc.Observation, now: now, silent: silent,
		known: make(map[inventory.Field]inventory.Capability, len(doc.Capabilities)), problems: map[string][]inventory.Problem{}}
	for _, c := range doc.Capabilities {
		o.known[c.Field] = c
	}
	for _, p := range doc.Problems {
		o.problems[p.Entity] = append(o.problems[p.Entity], p)
	}
	return o
}

// count adds one VM to a cell.
func (o *observer) count(vm *inventory.VM, c *Numbers) {
	c.VMs++
	stored := *vm
	stored.Disks = slices.DeleteFunc(slices.Clone(vm.Disks), func(d inventory.Disk) bool { return !d.IsStorage() })
	body := inventory.Body{VMs: []inventory.VM{stored}}
	reported := body.Reported()
	age := o.now.Sub(o.doc.ObservedAt)
	if vm.AsOf != nil {
		age = o.now.Sub(*vm.AsOf)
	}
	unread := o.hides(vm, "")
	for i, a := range askedFields {
		f := &c.Fields[i]
		of := a.per.counted(&stored)
		if of == 0 && unread != nil {
			of = 1 // nobody knows how many it has
		}
		if of == 0 {
			continue
		}
		o.declare(f)
		f.Of += of
		if o.silent != "" {
			f.lack(Gap{Why: Silent, Count: of, Note: o.silent})
			continue
		}
		seen := min(reported[a.field], of)
		if f.Have += seen; seen > 0 {
			f.Oldest = max(f.Oldest, age)
		}
		f.lack(o.gap(vm, a, of-seen))
	}
}

// declare notes where the source has the field from.
func (o *observer) declare(f *FieldShare) {
	c, declared := o.known[f.Field]
	if !declared {
		return
	}
	f.Known = either(f.Known, c.Known)
	if c.Known == inventory.KnownAbsent {
		return
	}
	f.Change = either(f.Change, cmp.Or(c.Change, inventory.ChangeByPoll))
	if f.From == "" || c.From < f.From {
		f.From = c.From
	}
}

// gap says why count of a VM's things lack a field.
func (o *observer) gap(vm *inventory.VM, a asked, count int) Gap {
	if count == 0 {
		return Gap{}
	}
	if p := o.hides(vm, a.field); p != nil {
		g := Gap{Count: count, Note: p.Call + ": " + p.Error, Remedy: p.Remedy}
		switch p.Why {
		case inventory.WhyRefused:
			g.Why = Refused
		case inventory.WhyTimedOut:
			g.Why = TimedOut
		default:
			g.Why = Broken
		}
		return g
	}
	switch c, declared := o.known[a.field]; {
	case !declared:
		return Gap{Why: NotRead, Count: count}
	case c.Known == inventory.KnownAbsent:
		return Gap{Why: NotThere, Count: count, Note: c.Note}
	default:
		return Gap{Why: Unset, Count: count, Note: c.Note}
	}
}

// hides gives the problem that kept a field of a VM, or with "" the whole VM,
// from being read: one of that VM, or one of the field on every VM.
func (o *observer) hides(vm *inventory.VM, field inventory.Field) *inventory.Problem {
	of := func(problems []inventory.Problem, whole bool) *inventory.Problem {
		for i, p := range problems {
			if p.Field == "" && whole || field != "" && holds(p.Field, field) {
				return &problems[i]
			}
		}
		return nil
	}
	if p := of(o.problems[inventory.VMEntity(vm.UUID)], true); p != nil {
		return p
	}
	if vm.NativeID != "" {
		if p := of(o.problems["vm:"+vm.NativeID], true); p != nil {
			return p
		}
	}
	return of(o.problems[""], false)
}

// holds says whether a problem with one field hides another: with all NICs of a
// VM it hides each of theirs.
func holds(hidden, field inventory.Field) bool {
	switch hidden {
	case field:
		return true
	case "vm.nics":
		return strings.HasPrefix(string(field), "nic.")
	case "vm.disks":
		return strings.HasPrefix(string(field), "disk.") || strings.HasPrefix(string(field), "backingFile.")
	case "disk.backing":
		return strings.HasPrefix(string(field), "backingFile.") || field == "image.source"
	case "vm.placement":
		return strings.HasPrefix(string(field), "placement.")
	case "vm.image":
		return strings.HasPrefix(string(field), "image.")
	}
	return false
}
