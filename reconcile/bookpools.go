package reconcile

import (
	"hash/maphash"
	"path"
	"slices"

	"github.com/dataverket/avstem/inventory"
)

// sitePools is what the users of a site's shared storage are found by. While no
// host has a pool that others reach, nothing of it is kept.
type sitePools struct {
	// readers are the hosts with a pool that others of the site reach.
	readers map[*hostPair]bool
	// names counts the hosts that use something, by the hash of its name; volumes
	// are the readers that have a volume of that name.
	names   map[uint64]int
	volumes map[uint64][]*hostPair
	hides   pairSet // hosts of which not every VM is seen with all of its disks
}

func (b *Book) hashName(name string) uint64 { return maphash.String(b.marker.seed, name) }

// usersIn gives what is used in the site of a host's pool, or why that isn't known.
func (b *Book) usersIn(hp *hostPair, pool *inventory.StoragePool, own *uses) (*uses, string) {
	s := b.site(hp.inSite.site)
	if s.pools.readers == nil { // the first of the site
		s.pools.readers, s.pools.names, s.pools.volumes = map[*hostPair]bool{}, map[uint64]int{}, map[uint64][]*hostPair{}
		for other := range s.hosts {
			b.tellUses(s, other)
		}
	}
	s.pools.readers[hp] = true
	for i := range pool.Volumes {
		name := b.hashName(path.Base(pool.Volumes[i].Path))
		if !slices.Contains(s.pools.volumes[name], hp) {
			s.pools.volumes[name] = append(s.pools.volumes[name], hp)
			hp.volumes = append(hp.volumes, name)
		}
	}
	for _, other := range s.pools.hides {
		if other != hp {
			return nil, "other hosts can reach the pool, and " + other.inSite.hides
		}
	}
	all := *own
	all.site, all.hash = s.pools.names, b.hashName
	return &all, ""
}

// tellUses tells a site what one of its hosts uses.
func (b *Book) tellUses(s *site, hp *hostPair) {
	var now []uint64
	if hp.view != nil {
		p := b.scratch()
		for name := range p.usedOn(hp).names {
			now = append(now, b.hashName(name))
		}
		if !hp.view.opened {
			hp.view.close()
		}
		slices.Sort(now)
		now = slices.Compact(now)
	}
	b.countUses(s, hp, now)
}

func (b *Book) countUses(s *site, hp *hostPair, now []uint64) {
	for _, name := range now {
		if s.pools.names[name]++; s.pools.names[name] == 1 {
			b.touchReaders(s, name)
		}
	}
	for _, name := range hp.uses {
		if s.pools.names[name]--; s.pools.names[name] == 0 {
			delete(s.pools.names, name)
			b.touchReaders(s, name)
		}
	}
	hp.uses = now
}

func (b *Book) touchReaders(s *site, name uint64) {
	for _, hp := range s.pools.volumes[name] {
		b.dirtyPools.add(hp)
	}
}

// leavePools takes out what a site was told of a host's storage.
func (b *Book) leavePools(s *site, hp *hostPair) {
	if s.pools.readers == nil {
		return
	}
	b.countUses(s, hp, nil)
	b.stopReading(s, hp)
	if len(s.pools.readers) == 0 {
		b.quiet(s)
	}
}

// quiet drops what nobody reads any more.
func (b *Book) quiet(s *site) {
	for other := range s.hosts {
		other.uses = nil
	}
	s.pools = sitePools{hides: s.pools.hides}
}

func (b *Book) stopReading(s *site, hp *hostPair) {
	delete(s.pools.readers, hp)
	for _, name := range hp.volumes {
		left := slices.DeleteFunc(s.pools.volumes[name], func(other *hostPair) bool { return other == hp })
		if s.pools.volumes[name] = left; len(left) == 0 {
			delete(s.pools.volumes, name)
		}
	}
	hp.volumes = nil
}

// hide notes whether not every VM of a host is seen with all of its disks.
func (b *Book) hide(s *site, hp *hostPair, hidden bool) {
	first := func() (hosts [2]*hostPair) { copy(hosts[:], s.pools.hides); return }
	before := first()
	s.pools.hides = s.pools.hides.remove(hp)
	if hidden {
		s.pools.hides = s.pools.hides.insert(hp)
	}
	if now := first(); now != before || slices.Contains(now[:], hp) {
		for reader := range s.pools.readers {
			b.dirtyPools.add(reader)
		}
	}
}

// settlePools judges the hosts' storage pools that were touched.
func (b *Book) settlePools() {
	if b.allPools {
		for hp := range b.hostPairs {
			b.dirtyPools.add(hp)
		}
		b.allPools = false
	} else if len(b.dirtyPaths) > 0 {
		b.touchPoolsWith(b.dirtyPaths)
	}
	b.dirtyPaths = emptied(b.dirtyPaths)
	for _, hp := range b.dirtyPools.waiting { // which may touch others
		if s := b.sites[hp.inSite.site]; b.hostPairs[hp] && s != nil && s.pools.readers != nil {
			b.tellUses(s, hp)
		}
	}
	touched := b.dirtyPools.take()
	for _, hp := range touched {
		if s := b.sites[hp.inSite.site]; b.hostPairs[hp] && s != nil && s.pools.readers != nil {
			b.stopReading(s, hp)
		}
	}
	// What others use is asked in turn: the first who does has it collected.
	var reaching []*hostPair
	b.judgeHosts(touched, (*pass).judgePools, func(p *pass, hp *hostPair) {
		if hp.poolsReached {
			reaching = append(reaching, hp)
			return
		}
		b.takePools(p, hp)
	})
	p := b.scratch()
	for _, hp := range reaching {
		p.begin()
		hp.pools = nil
		p.checkPools(hp, b.usersIn)
		b.judged(hp.view, len(reaching))
		b.takePools(p, hp)
	}
	for _, s := range b.sites {
		if s.pools.readers != nil && len(s.pools.readers) == 0 {
			b.quiet(s)
		}
	}
}

// judgePools judges a host's pools as far as nobody else can reach them, and notes
// whether somebody can.
func (p *pass) judgePools(hp *hostPair) {
	hp.pools, hp.poolsReached = nil, false
	if hp.view != nil && slices.ContainsFunc(hp.view.docs, func(doc *source) bool { return doc.pooled }) {
		p.checkPools(hp, func(_ *hostPair, _ *inventory.StoragePool, own *uses) (*uses, string) {
			hp.poolsReached = true
			return own, ""
		})
	}
}

func (b *Book) takePools(p *pass, hp *hostPair) {
	b.put(&hp.ofPools, p.findings)
	b.wake("host", hp.id())
}

// touchPoolsWith has the pools judged again that have a volume at one of the paths.
func (b *Book) touchPoolsWith(paths map[string]bool) {
	asked := mentioned{}
	for at := range paths {
		asked[b.mention(mentionsPath, at)] = true
	}
	for hp := range b.hostPairs {
		if hp.view != nil && slices.ContainsFunc(hp.view.docs, asked.by) {
			b.dirtyPools.add(hp)
		}
	}
}

// sharedDisk says whether several hosts see a disk of that WWN.
func (b *Book) sharedDisk(wwn string) bool {
	hosts := 0
	for _, h := range b.disks[wwn] {
		if h.former == nil {
			hosts++
		}
	}
	return hosts > 1
}
