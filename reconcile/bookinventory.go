package reconcile

import (
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/sentral"
)

// marksEach is about how many marks a record has.
const marksEach = 5

// intend takes in an inventory: records of VMs and hosts one by one, and
// everything anew where something else differs.
func (b *Book) intend(inv *sentral.Inventory) {
	old := b.in.Intended
	b.in.Intended = inv
	b.intended = newIntended(inv)
	// A problem may follow from what a record says.
	b.dirtyInventory = b.dirtyInventory || len(old.Problems)+len(inv.Problems) > 0
	if !sameRest(old, inv) {
		b.all = true
		b.intendProjects(inv.Projects)
		b.intendNetworks(inv.Networks)
	}
	b.round = !b.round
	if more := len(inv.VMs) - len(old.VMs); more > 0 {
		b.things.reserve(2*more, more*marksEach)
		b.dirtyThings = slices.Grow(b.dirtyThings, 2*more)
	}
	if len(b.things.things) == 0 {
		b.intendFirst(inv.VMs)
	} else {
		for i := range inv.VMs {
			b.intendVM(&inv.VMs[i])
		}
	}
	for i := range old.VMs {
		if t := b.recordOf(old.VMs[i].ID, func(t *thing) bool { return t.round != b.round }); t != nil {
			b.unbind(t)
			b.removeThing(t)
		}
	}
	b.intendHosts(inv.Hosts)
}

// sameRest says whether two inventories differ in records of VMs and hosts alone.
func sameRest(a, b *sentral.Inventory) bool {
	return a.Incomplete == b.Incomplete && reflect.DeepEqual(a.Networks, b.Networks) && reflect.DeepEqual(a.Images, b.Images) &&
		reflect.DeepEqual(a.LeftOut, b.LeftOut) && reflect.DeepEqual(a.Projects, b.Projects) && reflect.DeepEqual(a.Sites, b.Sites) &&
		reflect.DeepEqual(a.FailureDomains, b.FailureDomains)
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

// intendFirst takes the records of a book that is empty.
func (b *Book) intendFirst(vms []sentral.VM) {
	things := make([]thing, len(vms))
	for i := range vms {
		t := &things[i]
		t.want, t.round = &vms[i], b.round
		b.bind(t)
		b.addThing(t)
	}
	b.early.records = uint32(len(vms))
}

func (b *Book) intendVM(want *sentral.VM) {
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
	if t == nil {
		t = &thing{want: want, round: b.round, at: at}
		b.bind(t)
		b.addThing(t)
		return
	}
	t.round = b.round
	if reflect.DeepEqual(t.want, want) {
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
func (b *Book) bind(t *thing) {
	h := b.home(t.want.Host)
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
		b.allPools = b.allPools || before == 0 || before+by == 0
	}
}

func (b *Book) intendHosts(hosts []sentral.Host) {
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
		if reflect.DeepEqual(node.want, want) {
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
	for hp := range b.dirtyStrays {
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
	b.dirtyStrays = emptied(b.dirtyStrays)
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
