package reconcile

import (
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/sentral"
)

// intend takes in an inventory: what differs of it from the one before, record by
// record.
func (b *Book) intend(inv *sentral.Inventory) {
	old, was := b.in.Intended, b.intended
	b.in.Intended = inv
	rest := *was
	rest.Inventory = inv
	b.intended = &rest
	if !sharesRest(old, inv) {
		b.intended = newIntended(inv)
	}
	// A problem may follow from what a record says, and says where that stands.
	b.dirtyInventory = b.dirtyInventory || len(old.Problems)+len(inv.Problems)+len(was.contested)+len(b.intended.contested) > 0
	b.intendVMs(old.VMs, inv.VMs)
	b.intendHosts(old.Hosts, inv.Hosts)
	if !sharesRest(old, inv) {
		b.intendRest(was)
	}
}

// marksOf is about how many marks records have together.
func marksOf(vms []sentral.VM) (n int) {
	for i := range vms {
		n += 2 + len(vms[i].NICs) + len(vms[i].Disks) // its ID and its name, and what its parts are known by
	}
	return n
}

// sharesRest says whether two inventories have everything in common but records of
// VMs and hosts.
func sharesRest(a, b *sentral.Inventory) bool {
	return a.Incomplete == b.Incomplete && shared(a.Networks, b.Networks) && shared(a.Images, b.Images) && shared(a.LeftOut, b.LeftOut) &&
		shared(a.Projects, b.Projects) && shared(a.FailureDomains, b.FailureDomains)
}

// shared says whether two slices are one.
func shared[T any](a, b []T) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// recordOf finds the first record with the ID of which something is so.
func (b *Book) recordOf(id string, so func(*thing) bool) (found *thing) {
	b.marked(b.marker.label(id), func(t *thing) {
		if t.want != nil && t.want.ID == id && so(t) && (found == nil || t.at < found.at) {
			found = t
		}
	})
	return found
}

// intendVMs takes the records of VMs instead of those before. What is in both costs
// no more than to see that it says the same.
func (b *Book) intendVMs(old, all []sentral.VM) {
	if shared(old, all) {
		return
	}
	b.round = !b.round
	if more := len(all) - len(old); more > 0 {
		b.things.reserve(more, marksOf(all)*more/len(all))
		b.dirtyThings = slices.Grow(b.dirtyThings, 2*more)
	}
	if len(b.things.things) == 0 {
		b.records = b.intendFirst(all)
		return
	}
	b.markEarly() // which finds those of one ID
	before, records := b.records, make([]*thing, len(all))
	var left []*thing
	come := func(j int) { records[j] = b.intendVM(&all[j]) }
	inStep(len(old), len(all), func(i, j int) bool { return old[i].ID == all[j].ID }, func(i, j int) {
		t := before[i]
		if t.round == b.round || b.repeated[all[j].ID] { // there are several of this ID
			left = append(left, t)
			come(j)
			return
		}
		b.renewRecord(t, &all[j])
		records[j] = t
	}, func(i int) { left = append(left, before[i]) }, come)
	for _, t := range left {
		if t.round != b.round {
			b.unbind(t)
			b.removeThing(t)
		}
	}
	b.records = records
}

// intendFirst takes the records of a book that is empty.
func (b *Book) intendFirst(vms []sentral.VM) []*thing {
	things, records := make([]thing, len(vms)), make([]*thing, len(vms))
	b.rematched = slices.Grow(b.rematched, len(vms))
	var h *home
	for i := range vms {
		if i == 0 || vms[i].Host != vms[i-1].Host { // as inventories are often sorted by host
			h = b.home(vms[i].Host)
		}
		t := &things[i]
		t.want, t.round, records[i] = &vms[i], b.round, t
		b.bindTo(h, t)
		b.addThing(t)
	}
	b.early.records = uint32(len(vms))
	return records
}

// intendVM takes a record that isn't where it was in the inventory before, if it was
// there.
func (b *Book) intendVM(want *sentral.VM) *thing {
	var t *thing
	at := int32(0) // after those of this ID that there are
	b.marked(b.marker.label(want.ID), func(other *thing) {
		if other.want == nil || other.want.ID != want.ID {
			return
		}
		if at = max(at, other.at+1); other.round != b.round && (t == nil || other.at < t.at) {
			t = other
		}
	})
	if t != nil {
		b.renewRecord(t, want)
		return t
	}
	if at > 0 {
		b.repeated[want.ID] = true
	}
	t = &thing{want: want, round: b.round, at: at}
	b.bind(t)
	b.addThing(t)
	return t
}

func (b *Book) renewRecord(t *thing, want *sentral.VM) {
	t.round = b.round
	if t.want.Equal(want) {
		t.want = want
		return
	}
	b.unmark(t)
	b.unbind(t)
	t.want = want
	b.bind(t)
	b.mark(t)
	b.touch(t)
}

// bind notes where a record is to be found besides by its marks.
func (b *Book) bind(t *thing) { b.bindTo(b.home(t.want.Host), t) }

func (b *Book) bindTo(h *home, t *thing) {
	t.inHome = int32(len(h.things))
	h.things = append(h.things, t)
	b.countSources(t.want, 1)
}

func (b *Book) unbind(t *thing) {
	b.isAlone(t, false, false)
	b.isMatched(t, false)
	b.touchLoad(t)
	h := b.home(t.want.Host)
	last := h.things[len(h.things)-1]
	h.things[t.inHome], last.inHome = last, t.inHome
	h.things[len(h.things)-1] = nil
	h.things = h.things[:len(h.things)-1]
	b.countSources(t.want, -1)
}

// countSources counts the records' disks at each place, as a volume that one of
// them names is no orphan.
func (b *Book) countSources(want *sentral.VM, by int) {
	for i := range want.Disks {
		source := want.Disks[i].Source
		if source == "" {
			continue
		}
		before := b.sources[source]
		if b.sources[source] = before + by; before+by == 0 {
			delete(b.sources, source)
		}
		if before == 0 || before+by == 0 {
			b.dirtyPaths[source] = true
		}
	}
}

func (b *Book) intendHosts(old, hosts []sentral.Host) {
	if shared(old, hosts) {
		return
	}
	seen := make(map[string]int, len(hosts))
	for i := range hosts {
		want := &hosts[i]
		held := b.hostRecords[want.ID]
		n := seen[want.ID]
		seen[want.ID]++
		if n >= len(held) {
			node := &hostNode{want: want, nth: int32(n)}
			b.hostRecords[want.ID] = append(held, node)
			b.markHost(node)
			continue
		}
		node := held[n]
		if node.want.Equal(want) {
			b.renewHost(node, want)
			continue
		}
		b.unmarkHost(node)
		node.want = want
		b.markHost(node)
	}
	for id, held := range b.hostRecords {
		for _, node := range held[min(seen[id], len(held)):] {
			b.unmarkHost(node)
			node.gone = true
		}
		if b.hostRecords[id] = held[:min(seen[id], len(held))]; seen[id] == 0 {
			delete(b.hostRecords, id)
		}
	}
}

// renewHost lets go of the inventory before, whose record is no other.
func (b *Book) renewHost(node *hostNode, want *sentral.Host) {
	if node.group != nil {
		for _, hp := range node.group.pairs {
			if hp.Intended == node.want {
				hp.Intended = want
			}
		}
	}
	node.want = want
}

// settleInventory judges what is about records that break the contract, and about
// who speaks as whom.
func (b *Book) settleInventory() {
	p := b.scratch()
	if b.dirtyInventory {
		p.begin()
		p.checkInventory()
		b.put(&b.ofInventory, p.findings)
		b.dirtyInventory = false
	}
	if b.dirtySpeakers {
		p.begin()
		p.checkSpeakers()
		p.checkRefusals()
		p.checkGaps()
		p.checkClocks()
		b.put(&b.ofSpeakers, p.findings)
		b.dirtySpeakers = false
	}
}

// pairOf is the host that speaks, or spoke, under an ID.
func (b *Book) pairOf(id uuid.UUID) *hostPair {
	if h := b.hosts[id]; h != nil && len(h.docs) > 0 {
		return h.pair
	}
	return nil
}

// settleStrays judges the hosts that Sentral doesn't know.
func (b *Book) settleStrays() {
	p := b.scratch()
	for _, hp := range b.dirtyStrays.take() {
		if !b.hostPairs[hp] {
			continue
		}
		b.unwatch(hp)
		p.begin()
		if hp.unknown != "" {
			p.checkStray(hp)
		}
		b.put(&hp.ofStray, p.findings)
	}
}

// watch has a stray judged again when a host does that its VMs belong on.
func (b *Book) watch(id string, hp *hostPair) {
	h := b.home(id)
	if h.strays == nil {
		h.strays = map[*hostPair]bool{}
	}
	if !h.strays[hp] {
		h.strays[hp] = true
		hp.watches = append(hp.watches, id)
	}
}

func (b *Book) unwatch(hp *hostPair) {
	for _, id := range hp.watches {
		delete(b.homes[id].strays, hp)
	}
	hp.watches = slices.Delete(hp.watches, 0, len(hp.watches))
}
