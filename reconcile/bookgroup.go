package reconcile

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// vmGroup are VMs that are judged together although they share no mark: those of
// a project with a quota, of an anti-affinity group, or of a project that Sentral
// has not.
type vmGroup struct {
	unit
	project *sentral.Project // of a project with a quota
	lost    projectKey       // of one that Sentral has not
	key     groupKey
	members map[*thing]member // by the record, or else the leading place
	gone    bool
}

// member is what a group was told of one of its VMs.
type member struct {
	share uint64 // a hash of all that the group's check reads of it
	round uint32
}

// leave is a VM that may have left a group.
type leave struct {
	group *vmGroup
	thing *thing
}

// unresolvedGroup is that of a project which Sentral has not; nil if it has it.
func (b *Book) unresolvedGroup(k projectKey) *vmGroup {
	if !b.intended.unresolved(k) {
		return nil
	}
	g := b.unresolved[k]
	if g == nil {
		g = &vmGroup{unit: unit{stage: stageUnresolved, key: k.String()}, lost: k, members: map[*thing]member{}}
		b.unresolved[k] = g
		b.dirtyGroups[g] = true
	}
	return g
}

// groupsOf are the groups that a VM belongs to.
func (b *Book) groupsOf(vp *pair) (groups [3]*vmGroup) {
	tenant, project, _ := vp.owner()
	if vp.Intended != nil && vp.Intended.State != sentral.VMAbsent {
		groups[2] = b.unresolvedGroup(projectKey{tenant, project})
	} else if vp.stray != (projectKey{}) {
		groups[2] = b.unresolvedGroup(vp.stray)
	}
	if !vp.IsContainer() {
		groups[0] = b.projects[projectKey{tenant, project}]
	}
	want := vp.Intended
	if want == nil || want.AntiAffinity == "" || want.State == sentral.VMAbsent {
		return groups
	}
	key := groupKey{projectKey{want.Tenant, want.Project}, want.Site, want.AntiAffinity}
	g := b.groups[key]
	if g == nil {
		g = &vmGroup{unit: unit{stage: stageGroup, key: key.projectKey.String() + "\x00" + key.site + "\x00" + key.name}, key: key, members: map[*thing]member{}}
		b.groups[key] = g
	}
	groups[1] = g
	return groups
}

// joinGroups tells a VM's groups what it brings in.
func (b *Book) joinGroups(p *pass, u *vmUnit, vp *pair) {
	var t *thing
	var share uint64
	for _, g := range b.groupsOf(vp) {
		if g == nil {
			continue
		}
		if t == nil {
			t = vp.thing()
			share = b.share64(p, vp)
		}
		if held, is := g.members[t]; !is || held.share != share {
			b.dirtyGroups[g] = true
		}
		g.members[t] = member{share, b.settling}
		if m := u.tell(); !slices.Contains(m.joined, g) {
			m.joined = append(m.joined, g)
		}
	}
}

func (b *Book) leaveGroups(u *vmUnit) {
	for _, g := range u.told.joined {
		for _, t := range u.things {
			if _, is := g.members[t]; is {
				b.left = append(b.left, leave{g, t})
			}
		}
	}
}

// isTold says whether something was found that may tell when its VMs were seen.
func (u *vmUnit) isTold() bool {
	return u.told != nil && (len(u.told.found) > 0 || slices.ContainsFunc(u.told.joined, func(g *vmGroup) bool { return len(g.found) > 0 }))
}

// share64 hashes all that the checks of groups read of a VM.
func (b *Book) share64(p *pass, vp *pair) uint64 {
	var h maphash.Hash
	h.SetSeed(b.marker.seed)
	text := func(s string) { h.WriteString(s); h.WriteByte(0) }
	number := func(n uint64) { h.Write(binary.LittleEndian.AppendUint64(nil, n)) }
	yes := func(is ...bool) {
		for _, is := range is {
			if is {
				h.WriteByte(1)
			} else {
				h.WriteByte(2)
			}
		}
	}
	count := func(n *int) {
		if n != nil {
			number(uint64(*n))
		}
		h.WriteByte(3)
	}
	size := func(n *inventory.Bytes) {
		if n != nil {
			number(uint64(*n))
		}
		h.WriteByte(3)
	}
	if want := vp.Intended; want != nil {
		text(want.ID)
		text(want.Name)
		text(string(want.State))
		text(want.Host)
		text(want.FailureDomain)
		if home := p.home(want); home != nil {
			text("home " + home.Intended.FailureDomain)
		}
		count(want.VCPUs)
		size(want.Memory)
		for i := range want.Disks {
			size(want.Disks[i].Size)
			yes(want.Disks[i].Shared)
		}
	}
	if vp.seen == nil {
		return h.Sum64()
	}
	at := &vp.seen.lead
	text(vp.name())
	text(at.host.key())
	text(at.vm.Key())
	yes(at.fresh, vp.tied, vp.active(), at.vm.IsContainer(), vp.Match != nil, vp.Match != nil && vp.Match.Weak)
	if hp := at.host.pair; hp.Intended != nil {
		text("on " + hp.Intended.FailureDomain)
		yes(hp.tied, hp.Match.Weak)
	}
	if want := vp.Intended; want != nil && want.AntiAffinity != "" {
		text(at.doc.provenance("vm.uuid").Source)
		number(uint64(at.doc.ObservedAt.UnixNano()))
	}
	count(at.vm.VCPUs)
	size(at.vm.Memory)
	for i := range at.vm.Disks {
		d := &at.vm.Disks[i]
		size(d.Capacity)
		yes(d.IsStorage(), d.ReadOnly, d.Shareable)
	}
	return h.Sum64()
}

// settleGroups judges the groups whose VMs brought in something else.
func (b *Book) settleGroups() {
	for _, l := range b.left {
		if held, is := l.group.members[l.thing]; is && held.round != b.settling {
			delete(l.group.members, l.thing)
			b.dirtyGroups[l.group] = true
		}
	}
	b.left = b.left[:0]
	if len(b.dirtyGroups) == 0 {
		return
	}
	p := b.scratch()
	for g := range b.dirtyGroups {
		if g.gone {
			continue
		}
		things := make([]*thing, 0, len(g.members))
		for t := range g.members {
			things = append(things, t)
		}
		slices.SortFunc(things, compareThings)
		vms := make([]*pair, len(things))
		for i, t := range things {
			vms[i] = p.recall(t)
		}
		p.begin()
		switch {
		case g.project != nil:
			p.checkQuota(&projectUnit{record: g.project, vms: vms})
		case g.lost != (projectKey{}):
			p.checkUnresolved(p.unresolvedOf(g.lost, vms))
			if len(p.findings) == 0 {
				delete(b.unresolved, g.lost)
			}
		case len(vms) == 0:
			delete(b.groups, g.key)
		default:
			p.checkAffinity(&groupUnit{groupKey: g.key, vms: vms})
		}
		b.put(&g.unit, p.findings)
	}
	clear(b.dirtyGroups)
}

// recall makes a pair again as it was matched, by its record or leading place. Of
// the observed side it has what the checks of groups read.
func (p *pass) recall(t *thing) *pair {
	vp := &pair{tied: t.tied}
	lead := t
	if t.want != nil {
		vp.Intended, vp.record, lead = t.want, t, t.head()
	}
	if lead == nil {
		return vp
	}
	vp.seen = &sighted{lead: p.place(lead)}
	if lead.spread {
		vp.seen.copies = make([]place, 1)
	}
	if lead.owner() != nil {
		vp.Match = &MatchBasis{Weak: lead.weak}
	} else {
		vp.Observed = &ObservedVM{VM: *lead.vm(), HostID: lead.doc.host.ID, Source: lead.doc.Source}
	}
	return vp
}

func (p *pass) place(t *thing) place {
	return place{vm: t.vm(), doc: t.doc, host: t.doc.host, thing: t, fresh: t.doc.host.fresh(t.doc, &p.in)}
}

// touchLoad has what the host of a thing has promised judged again.
func (b *Book) touchLoad(t *thing) {
	var hp *hostPair
	if t.want == nil {
		hp = t.doc.host.pair
	} else if t.want.Host != "" {
		hp = b.hostRecord[t.want.Host]
	}
	if hp != nil {
		b.dirtyLoads.add(hp)
	}
}

// settleLoads judges what hosts have promised their VMs.
func (b *Book) settleLoads() {
	b.judgeHosts(b.dirtyLoads.take(), (*pass).weighHost, func(p *pass, hp *hostPair) {
		b.wake("host", hp.id())
		b.put(&hp.ofLoad, p.findings)
		b.ledger.blame(&hp.ofLoad, p.blames)
	})
}

// weighHost judges what a host has promised its VMs, and what they have lost on it.
func (p *pass) weighHost(hp *hostPair) {
	hp.loads, hp.blindPaths = nil, false
	u := p.loadOf(hp)
	p.checkEmptied(u)
	p.checkCuts(u)
	p.checkOvercommit(u)
}

// loadOf gives a host with the VMs that it shows and those that records bind to it.
func (p *pass) loadOf(hp *hostPair) *hostUnit {
	u := &hostUnit{hostPair: hp}
	if hp.Intended != nil && hp.Intended.ID != "" && p.book.hostRecord[hp.Intended.ID] == hp {
		if home := p.book.homes[hp.Intended.ID]; home != nil {
			u.bound = home.things
		}
	}
	if hp.view == nil {
		return u
	}
	for _, doc := range hp.view.docs {
		doc.VMs() // as nearly all are read
		for _, t := range doc.things {
			if t.head() != nil && !t.headVM().IsContainer() {
				u.here = append(u.here, resident{t, hp.view.fresh(doc, &p.in)})
			}
		}
	}
	return u
}
