package reconcile

import (
	"hash/maphash"
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
)

// vmUnit are things that share marks, judged together.
type vmUnit struct {
	things []*thing
	// vms are those on either side or on both, matched those on both.
	vms, matched int32
	told         *told // nil of most
}

// told is what a unit has to say.
type told struct {
	unit
	joined []*vmGroup
	unread []unreadVM
}

// unitOf is the unit that a thing is in; nil where it is to be found yet.
func (b *Book) unitOf(t *thing) *vmUnit {
	switch {
	case t.unit == &b.lone:
		return &vmUnit{things: []*thing{t}, vms: 1}
	case t.unit == &b.paired && t.want != nil:
		return &vmUnit{things: []*thing{t, t.mate}, vms: 1, matched: 1}
	case t.unit == &b.paired:
		return &vmUnit{things: []*thing{t.mate, t}, vms: 1, matched: 1}
	}
	return t.unit
}

// isSame says whether both are one unit, as no thing is in two.
func (u *vmUnit) isSame(other *vmUnit) bool { return u.things[0] == other.things[0] }

func (u *vmUnit) tell() *told {
	if u.told == nil {
		u.told = &told{unit: unit{stage: stageVM, first: u.things[0]}}
	}
	return u.told
}

// counts are what a status says, kept current.
type counts struct {
	vms     int // on either side or both
	matched int // on both
	silent  int // hosts that stopped speaking
}

// replace takes in a document of a host's instead of the one before; either may be
// nil. Only the VMs that differ are judged again, unless something differs that
// may be read of any of them.
func (b *Book) replace(h *hostView, old, next *source) {
	h.retimed = true
	if old != nil && next != nil && old.packed.by != nil {
		b.pack(next, old.packed)
	}
	if old == nil || next == nil || !sameFrame(old, next) {
		h.changed = true
	}
	var before []*thing
	if old != nil {
		before = old.things
	}
	if old != nil {
		b.release(old.capabilities)
	}
	if next == nil {
		for _, t := range before {
			b.removeThing(t)
		}
		return
	}
	vms := next.VMs()
	next.things = make([]*thing, len(vms))
	if len(before) == 0 {
		b.addThings(next)
		return
	}
	at := 0
	for ; at < len(before) && at < len(vms); at++ {
		same := sameVM(old, at, next, at)
		if !same && keyOf(old.vm(at)) != keyOf(&vms[at]) {
			break
		}
		b.renew(h, next, before[at], at, same)
	}
	if at == len(before) && at == len(vms) {
		return
	}
	left := map[vmKey][]*thing{}
	old.VMs()
	for _, t := range before[at:] {
		left[keyOf(t.vm())] = append(left[keyOf(t.vm())], t)
	}
	last := int32(-1)
	for i := at; i < len(vms); i++ {
		key := keyOf(&vms[i])
		if same := left[key]; len(same) > 0 {
			left[key] = same[1:]
			h.changed = h.changed || same[0].at < last // their order tells which goes first
			last = same[0].at
			b.renew(h, next, same[0], i, sameVM(old, int(same[0].at), next, i))
			continue
		}
		t := &thing{doc: next, at: int32(i)}
		next.things[i] = t
		b.addThing(t)
	}
	for _, things := range left {
		for _, t := range things {
			b.removeThing(t)
		}
	}
}

// addThings takes in the VMs of a source that showed none before. It looks at none of
// them, as all of a fleet's are too many to be at hand when they are judged.
func (b *Book) addThings(s *source) {
	things := make([]thing, len(s.things))
	for i := range things {
		t := &things[i]
		t.doc, t.at = s, int32(i)
		s.things[i] = t
		b.addThing(t)
	}
}

// vmKey is by what a VM of one document is found in the next.
type vmKey struct {
	id           uuid.UUID
	native, name string
}

func keyOf(vm *inventory.VM) vmKey { return vmKey{vm.UUID, vm.NativeID, vm.Name} }

// renew makes a thing the VM of a newer document, which may be the same.
func (b *Book) renew(h *hostView, next *source, t *thing, at int, same bool) {
	next.things[at] = t
	if !same {
		b.unmark(t)
		b.leadsOutward(h, t.vm(), next.vm(at))
	}
	t.doc, t.at = next, int32(at)
	if !same {
		b.mark(t)
		b.touch(t)
	}
}

// leadsOutward notes that a container's links changed, which tell what is a way
// off the host and what is not.
func (b *Book) leadsOutward(h *hostView, vms ...*inventory.VM) {
	h.changed = h.changed || slices.ContainsFunc(vms, func(vm *inventory.VM) bool { return vm.IsContainer() })
}

// sameFrame says whether two documents of one source say the same besides of VMs,
// and besides when they were made.
func sameFrame(a, b *source) bool {
	frame := func(s *source) *inventory.Observation {
		o := *s.Observation
		swapParts(&o, parts{})
		o.VMs = nil
		o.ObservedAt, o.Took, o.Epoch, o.Gen, o.Digest = time.Time{}, 0, 0, 0, ""
		return &o
	}
	return sameParts(a, b) && reflect.DeepEqual(frame(a), frame(b))
}

// mark has a thing found by its marks: at once, or while none is judged yet before
// the first are.
func (b *Book) mark(t *thing) {
	if b.early != nil {
		return
	}
	for _, mark := range b.marker.ofVM(t) {
		b.things.add(mark, t.number)
	}
}

func (b *Book) unmark(t *thing) {
	b.markEarly()
	b.early = nil
	for _, mark := range b.marker.ofVM(t) {
		b.things.remove(mark, t)
	}
}

// marked gives the things that have a mark.
func (b *Book) marked(mark uint64, do func(*thing)) {
	b.markEarly()
	b.things.each(mark, do)
}

func (b *Book) addThing(t *thing) {
	if h := t.host(); h != nil {
		b.leadsOutward(h, t.vm())
	}
	b.things.enter(t)
	b.mark(t)
	b.touch(t)
}

func (b *Book) removeThing(t *thing) {
	if h := t.host(); h != nil {
		b.leadsOutward(h, t.vm())
	}
	b.unmark(t)
	b.things.leave(t)
	b.touch(t)
}

// touch has a thing's unit judged again.
func (b *Book) touch(t *thing) {
	if !t.dirty {
		t.dirty = true
		b.dirtyThings = append(b.dirtyThings, t)
	}
}

// settleVMs finds the units of the things that were touched, and judges them.
func (b *Book) settleVMs() {
	if len(b.dirtyThings) == 0 {
		return
	}
	starts := b.dirtyThings
	b.dirtyThings = nil
	if b.early != nil {
		units := b.earlyUnits(starts)
		b.early = nil
		b.judgeUnits(units)
		return
	}
	b.judgeUnits(b.findUnits(starts))
}

// findUnits finds the units of things by their marks.
func (b *Book) findUnits(starts []*thing) (units []*vmUnit) {
	var reading leafing
	defer reading.end()
	// Whatever shared a unit with one of them may be in another from now on.
	for i := 0; i < len(starts); i++ {
		reading.come(starts, i)
		starts = b.part(starts[i], starts)
	}
	for i := 0; i < len(starts); i++ {
		reading.come(starts, i)
		start := starts[i]
		if !start.dirty {
			continue
		}
		start.dirty = false
		if start.gone() {
			if start.want != nil {
				b.isAlone(start, false, false)
			}
			continue
		}
		u := &vmUnit{things: append(make([]*thing, 0, 2), start)}
		start.unit = u
		for j := 0; j < len(u.things); j++ {
			for _, mark := range b.marker.ofVM(u.things[j]) {
				if mark&junk != 0 && !b.isRecorded(mark) {
					continue
				}
				b.marked(mark, func(t *thing) {
					if t.unit == u {
						return
					}
					starts = b.part(t, starts)
					t.dirty, t.unit = false, u
					u.things = append(u.things, t)
				})
			}
		}
		units = append(units, u)
	}
	return units
}

// isRecorded says whether a record has the mark.
func (b *Book) isRecorded(mark uint64) (recorded bool) {
	b.marked(mark, func(t *thing) { recorded = recorded || t.want != nil })
	return recorded
}

// part dissolves the unit that a thing was in, and adds its things to those that
// a unit is to be found for.
func (b *Book) part(t *thing, starts []*thing) []*thing {
	u := b.unitOf(t)
	if u == nil {
		return starts
	}
	b.counts.vms -= int(u.vms)
	b.counts.matched -= int(u.matched)
	if u.told != nil {
		b.put(&u.told.unit, nil)
		for _, vm := range u.told.unread {
			s := b.site(vm.site)
			delete(s.unread, u)
			b.dirtySites[vm.site] = true
		}
		b.leaveGroups(u)
	}
	for _, other := range u.things {
		b.wakeThing(other)
		other.unit = nil
		if !other.dirty {
			other.dirty = true
			starts = append(starts, other)
		}
	}
	return starts
}

// capabilities are a source's table with its index. Hosts that have one agent
// share it.
type capabilities struct {
	table  []inventory.Capability
	sum    uint64
	users  int // documents
	known  map[inventory.Field]*inventory.Capability
	fields int
}

// newSource takes a document in, sharing what many have in common.
func (b *Book) newSource(h *hostView, doc Document, old *source) *source {
	s := &source{Document: doc, host: h}
	for i := range doc.Problems {
		problem := &doc.Problems[i]
		if s.problems == nil {
			s.problems = map[string][]*inventory.Problem{}
		}
		s.problems[problem.Entity] = append(s.problems[problem.Entity], problem)
	}
	if old != nil && slices.Equal(old.capabilities.table, doc.Capabilities) {
		s.capabilities = old.capabilities
	} else {
		s.capabilities = b.share(doc.Capabilities)
	}
	s.capabilities.users++
	if table := s.capabilities.table; len(table) > 0 && &doc.Capabilities[0] != &table[0] { // what was decoded for it alone goes
		o := *doc.Observation
		o.Capabilities = table
		s.Observation = &o
	}
	s.wired = len(doc.Links)+len(doc.OVSBridges) > 0
	s.pooled = len(doc.StoragePools) > 0
	for i := range doc.BlockDevices {
		if d := &doc.BlockDevices[i]; d.Kind == "disk" && d.WWN != "" {
			s.wwns = append(s.wwns, d.WWN)
		}
	}
	b.loose = append(b.loose, s)
	return s
}

func (b *Book) share(table []inventory.Capability) *capabilities {
	for _, c := range b.recent { // as one host's agent tells, another's does
		if c != nil && (shared(c.table, table) || slices.Equal(c.table, table)) {
			return c
		}
	}
	var h maphash.Hash
	h.SetSeed(b.marker.seed)
	for i := range table {
		h.WriteString(string(table[i].Field))
		h.WriteString(table[i].From)
	}
	sum := h.Sum64()
	for _, c := range b.tables[sum] {
		if slices.Equal(c.table, table) {
			b.remember(c)
			return c
		}
	}
	c := newCapabilities(table)
	c.sum = sum
	b.tables[sum] = append(b.tables[sum], c)
	b.remember(c)
	return c
}

// remember keeps at hand a table that was asked for.
func (b *Book) remember(c *capabilities) {
	copy(b.recent[1:], b.recent[:])
	b.recent[0] = c
}

func newCapabilities(table []inventory.Capability) *capabilities {
	c := &capabilities{table: table, known: make(map[inventory.Field]*inventory.Capability, len(table))}
	for i := range table {
		c.known[table[i].Field] = &table[i]
		if table[i].Known != inventory.KnownAbsent {
			c.fields++
		}
	}
	return c
}

func (b *Book) release(c *capabilities) {
	if c.users--; c.users > 0 {
		return
	}
	if i := slices.Index(b.recent[:], c); i >= 0 {
		b.recent[i] = nil
	}
	left := slices.DeleteFunc(b.tables[c.sum], func(other *capabilities) bool { return other == c })
	if b.tables[c.sum] = left; len(left) == 0 {
		delete(b.tables, c.sum)
	}
}
