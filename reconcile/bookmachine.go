package reconcile

import (
	"cmp"
	"slices"
)

func (b *Book) dirtyNode(n *hostNode) {
	if !n.dirty {
		n.dirty = true
		b.dirtyNodes = append(b.dirtyNodes, n)
	}
}

func (b *Book) markHost(n *hostNode) {
	n.marked = true
	n.marks = slices.Clone(b.marker.ofHost(n))
	for _, mark := range n.marks {
		b.hostIndex[mark] = append(b.hostIndex[mark], n)
	}
	b.dirtyNode(n)
}

func (b *Book) unmarkHost(n *hostNode) {
	for _, mark := range n.marks {
		if left := slices.DeleteFunc(b.hostIndex[mark], func(other *hostNode) bool { return other == n }); len(left) > 0 {
			b.hostIndex[mark] = left
		} else {
			delete(b.hostIndex, mark)
		}
	}
	n.marks, n.marked = nil, false
	b.dirtyNode(n)
}

// settleMachines matches again the hosts that share marks with one that changed.
func (b *Book) settleMachines() {
	if len(b.dirtyNodes) == 0 {
		return
	}
	starts := b.dirtyNodes
	b.dirtyNodes = nil
	for i := 0; i < len(starts); i++ { // those that were matched with it before, too
		starts = b.partHosts(starts[i], starts)
	}
	p := b.scratch()
	for i := 0; i < len(starts); i++ {
		start := starts[i]
		if !start.dirty {
			continue
		}
		start.dirty = false
		if start.gone {
			continue
		}
		group := &hostGroup{nodes: []*hostNode{start}, unit: unit{stage: stageMachine}}
		start.group = group
		for j := 0; j < len(group.nodes); j++ {
			for _, mark := range group.nodes[j].marks {
				for _, n := range b.hostIndex[mark] {
					if n.group == group {
						continue
					}
					starts = b.partHosts(n, starts)
					n.dirty, n.group = false, group
					group.nodes = append(group.nodes, n)
				}
			}
		}
		b.matchGroup(p, group)
	}
}

// partHosts dissolves the group that a node was in, and adds its nodes to those
// that a group is to be found for.
func (b *Book) partHosts(n *hostNode, starts []*hostNode) []*hostNode {
	group := n.group
	if group == nil {
		return starts
	}
	b.dissolve(group)
	for _, other := range group.nodes {
		other.group = nil
		if !other.dirty {
			other.dirty = true
			starts = append(starts, other)
		}
	}
	return starts
}

func (b *Book) matchGroup(p *pass, group *hostGroup) {
	var records []*hostNode
	var views []*hostView
	for _, n := range group.nodes {
		if n.want != nil {
			records = append(records, n)
		} else {
			views = append(views, n.view)
		}
	}
	slices.SortFunc(records, func(a, b *hostNode) int { return cmp.Or(cmp.Compare(a.want.ID, b.want.ID), cmp.Compare(a.nth, b.nth)) })
	slices.SortFunc(views, func(a, b *hostView) int { return compareIDs(a.ID, b.ID) })
	p.begin()
	group.views = len(views)
	group.pairs = p.matchHosts(records, views)
	if len(records) > 0 {
		group.key = records[0].want.ID
	}
	b.put(&group.unit, p.findings)
	for _, hp := range group.pairs {
		key := hp.id() + "\x00" + string('0'+hp.nth)
		hp.ofHost, hp.ofPools = unit{stage: stageHost, key: key}, unit{stage: stagePools, key: key}
		hp.ofLoad, hp.ofStray = unit{stage: stageLoad, key: key}, unit{stage: stageStray, key: key}
		b.hostPairs[hp] = true
		b.dirtyHosts.add(hp)
		b.dirtyStrays.add(hp)
		if hp.Intended != nil {
			if held := b.hostRecord[hp.Intended.ID]; held == nil || held.nth <= hp.nth {
				b.hostRecord[hp.Intended.ID] = hp
			}
			b.touchHome(hp.Intended.ID)
		}
		hp.wasKey, hp.wasID = hp.key(), hp.id()
		insertPair(b.named, hp.wasKey, hp)
		insertPair(b.byID, hp.wasID, hp)
	}
	for _, h := range views {
		b.touchSpeakers(h)
		if h.former != nil {
			b.noteFacts(h)
		}
		for _, wwn := range h.wwns { // a former host is none that sees its disks
			b.touchPools(b.disks[wwn])
		}
	}
}

// dissolve forgets what was made of a group.
func (b *Book) dissolve(g *hostGroup) {
	b.put(&g.unit, nil)
	for _, hp := range g.pairs {
		b.put(&hp.ofHost, nil)
		b.put(&hp.ofPools, nil)
		b.put(&hp.ofLoad, nil)
		b.ledger.blame(&hp.ofLoad, nil)
		b.put(&hp.ofStray, nil)
		b.wake("site", hp.inSite.site)
		b.tellSite(hp, siteFacts{})
		b.unwatch(hp)
		b.wake("host", hp.wasKey)
		b.wake("host", hp.wasID)
		removePair(b.named, hp.wasKey, hp)
		removePair(b.byID, hp.wasID, hp)
		delete(b.hostPairs, hp)
		if hp.Intended != nil && b.hostRecord[hp.Intended.ID] == hp {
			delete(b.hostRecord, hp.Intended.ID)
			for other := range b.byID[hp.wasID].all() {
				if other.Intended != nil && other.Intended.ID == hp.Intended.ID && (b.hostRecord[hp.Intended.ID] == nil || other.nth > b.hostRecord[hp.Intended.ID].nth) {
					b.hostRecord[hp.Intended.ID] = other
				}
			}
		}
		if hp.Intended != nil {
			b.touchHome(hp.Intended.ID)
		}
		if hp.view != nil {
			b.touchSpeakers(hp.view)
		}
	}
	g.pairs = nil
}

// pairSet are hosts, sorted as a result has them.
type pairSet []*hostPair

func comparePairedHosts(a, b *hostPair) int {
	order := cmp.Or(cmp.Compare(a.key(), b.key()), cmp.Compare(a.id(), b.id()), cmp.Compare(a.nth, b.nth))
	if order == 0 && a.Observed != nil && b.Observed != nil {
		order = compareIDs(a.Observed.ID, b.Observed.ID)
	}
	return order
}

func (s pairSet) all() func(func(*hostPair) bool) { return slices.Values(s) }

func (s pairSet) insert(hp *hostPair) pairSet {
	at, _ := slices.BinarySearchFunc(s, hp, comparePairedHosts)
	return slices.Insert(s, at, hp)
}

func (s pairSet) remove(hp *hostPair) pairSet {
	if at := slices.Index(s, hp); at >= 0 {
		return slices.Delete(s, at, at+1)
	}
	return s
}

func insertPair(in map[string]pairSet, key string, hp *hostPair) { in[key] = in[key].insert(hp) }

func removePair(in map[string]pairSet, key string, hp *hostPair) {
	if left := in[key].remove(hp); len(left) > 0 {
		in[key] = left
	} else {
		delete(in, key)
	}
}
