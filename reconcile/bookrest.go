package reconcile

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// moved is what an inventory says otherwise than the one before, besides of VMs and
// hosts, by what units look it up by.
type moved struct {
	networks map[string]bool
	vlans    map[siteVLAN]bool // whose networks are others
	images   map[string]bool   // by ID
	sources  map[string]bool   // of images
	digests  map[string]bool   // in lower case
	projects map[projectKey]bool
	// leftOut are marks of records that can't be used, or can be again. Nothing else
	// asks for them than what is in no record.
	leftOut   map[string]bool
	unmatched bool // all VMs in no record
}

// intendRest has judged again what reads something else than VMs and hosts that
// differs. Was is the index of the inventory before.
func (b *Book) intendRest(was *intended) {
	now := b.intended
	if was.unsure != now.unsure || was.Incomplete != now.Incomplete || (len(was.Projects) == 0) != (len(now.Projects) == 0) {
		b.all = true // what nothing can be concluded from, or can now
	}
	m := moved{
		networks: differing(was.networks, now.networks), vlans: differing(was.owners, now.owners),
		images: differing(byImageID(was.Images), byImageID(now.Images)), sources: differing(was.images, now.images), digests: differing(was.byDigest, now.byDigest),
		projects: differing(was.projects, now.projects), leftOut: differing(was.leftOut, now.leftOut),
	}
	m.unmatched = len(m.leftOut) > 0 || !maps.Equal(was.mapped, now.mapped)
	b.intendQuotas(now.Projects, &m)
	b.intendUnresolved(was)
	domains := differing(was.domains, now.domains)
	for key, g := range b.groups {
		if domains[key.site] {
			b.dirtyGroups[g] = true
		}
	}
	if b.allPools = b.allPools || (len(was.LeftOut) == 0) != (len(now.LeftOut) == 0); !b.allPools {
		maps.Copy(b.dirtyPaths, m.sources)
	}
	if len(m.leftOut) > 0 {
		for hp := range b.hostPairs {
			if hp.Intended == nil {
				b.dirtyHosts.add(hp)
			}
		}
		for id := range b.awaited {
			b.changed[id] = true
		}
	}
	if !b.all && !m.nothing() {
		b.touchReading(&m)
	}
}

// differing gives the keys of two maps that don't mean the same in both.
func differing[K comparable, V any](was, now map[K]V) map[K]bool {
	keys := map[K]bool{}
	for key, value := range now {
		if before, had := was[key]; !had || !reflect.DeepEqual(before, value) {
			keys[key] = true
		}
	}
	for key := range was {
		if _, has := now[key]; !has {
			keys[key] = true
		}
	}
	return keys
}

func byImageID(images []sentral.Image) map[string][]*sentral.Image {
	byID := make(map[string][]*sentral.Image, len(images))
	for i := range images {
		byID[images[i].ID] = append(byID[images[i].ID], &images[i])
	}
	return byID
}

// intendQuotas takes the projects whose quotas are to be held. The VMs of one that
// had none join it when they are judged.
func (b *Book) intendQuotas(records []sentral.Project, m *moved) {
	first, known := map[projectKey]*sentral.Project{}, map[projectKey]bool{}
	for i := range records {
		record := &records[i]
		key := projectKey{record.Tenant, record.ID}
		if !known[key] && limitsOf(record.Quota) != (amounts{}) {
			first[key] = record
		}
		known[key] = true
	}
	for key, g := range b.projects {
		record := first[key]
		if record == nil {
			g.gone = true
			b.put(&g.unit, nil)
			delete(b.projects, key)
			continue
		}
		if !reflect.DeepEqual(g.project, record) {
			b.dirtyGroups[g] = true
		}
		g.project = record
	}
	for key, record := range first {
		if b.projects[key] == nil {
			b.projects[key] = &vmGroup{unit: unit{stage: stageProject, key: key.String()}, project: record, members: map[*thing]member{}}
			m.projects[key] = true
		}
	}
}

// intendUnresolved has the projects judged again that networks name and that Sentral
// has not, or had not.
func (b *Book) intendUnresolved(was *intended) {
	for key, g := range b.unresolved {
		if !b.intended.unresolved(key) {
			g.gone = true
			b.put(&g.unit, nil)
			delete(b.unresolved, key)
		}
	}
	for i := range b.intended.Networks {
		n := &b.intended.Networks[i]
		b.unresolvedGroup(projectKey{n.Tenant, n.Project})
	}
	for key := range differing(byProject(was.Networks), byProject(b.intended.Networks)) {
		if g := b.unresolved[key]; g != nil {
			b.dirtyGroups[g] = true
		}
	}
}

func byProject(networks []sentral.Network) map[projectKey][]*sentral.Network {
	by := make(map[projectKey][]*sentral.Network, len(networks))
	for i := range networks {
		key := projectKey{networks[i].Tenant, networks[i].Project}
		by[key] = append(by[key], &networks[i])
	}
	return by
}

func (m *moved) nothing() bool {
	return !m.unmatched && len(m.networks)+len(m.vlans)+len(m.images)+len(m.sources)+len(m.digests)+len(m.projects)+len(m.leftOut) == 0
}

// project says whether something else is known of a project, or whether there is
// such a one.
func (m *moved) project(key projectKey) bool {
	return m.projects[key] || len(m.leftOut) > 0 && m.leftOut["project "+strings.ToLower(key.String())]
}

// touchReading has the VMs judged again that may read what has moved. It goes
// through all of them, which takes a small part of what judging them does.
func (b *Book) touchReading(m *moved) {
	for _, t := range b.records {
		if m.readBy(t.want, b.intended) {
			b.touch(t)
		}
	}
	asked := b.asMentioned(m)
	for _, h := range b.hosts {
		byHost := m.readOn(h)
		for _, doc := range h.docs {
			byVM := asked.by(doc)
			if byVM {
				doc.VMs()
			}
			for _, t := range doc.things {
				if byHost || m.unmatched && t.owner() == nil || byVM && m.readByVM(t.vm()) {
					b.touch(t)
				}
			}
		}
		h.close()
	}
}

// readBy says whether what has moved is read of a record.
func (m *moved) readBy(want *sentral.VM, in *intended) bool {
	if m.project(projectKey{want.Tenant, want.Project}) || want.Image != nil && m.images[want.Image.ID] {
		return true
	}
	if len(m.networks)+len(m.vlans) == 0 {
		return false
	}
	for i := range want.NICs {
		id := want.NICs[i].Network
		if m.networks[id] {
			return true
		}
		if n := in.networks[id]; n != nil { // others may have its VLAN
			if vlan, has := n.VLANs[want.Site]; has && m.vlans[siteVLAN{want.Site, vlan}] {
				return true
			}
		}
	}
	return false
}

// readOn says whether what has moved may be read of any VM on a host.
func (m *moved) readOn(h *hostView) bool {
	if len(m.vlans) > 0 {
		site := h.site()
		for _, vlan := range h.vlans {
			if m.vlans[siteVLAN{site, vlan}] {
				return true
			}
		}
	}
	if len(m.digests) == 0 {
		return false
	}
	for _, doc := range h.docs {
		for i := range doc.ImageFiles {
			if m.digests[doc.ImageFiles[i].Digest] {
				return true
			}
		}
	}
	return false
}

// readByVM says whether what has moved is read of a VM as a host shows it.
func (m *moved) readByVM(vm *inventory.VM) bool {
	if pl := vm.Placement; pl != nil && m.project(projectKey{pl.Tenant, pl.Project}) {
		return true
	}
	if image := vm.Image; image != nil && (m.sources[image.Source] || m.digests[strings.ToLower(image.Digest)]) {
		return true
	}
	if len(m.networks) == 0 {
		return false
	}
	return slices.ContainsFunc(vm.NICs, func(nic inventory.NIC) bool { return m.networks[nic.Network] })
}

// noteVLANs notes which VLANs the VMs on a host were found on, and so by what their
// owners were looked up.
func (h *hostView) noteVLANs(paths []NICPath) {
	for i := range paths {
		if paths[i].VLAN == nil {
			continue
		}
		vlan := *paths[i].VLAN
		if at, known := slices.BinarySearch(h.vlans, vlan); !known {
			h.vlans = slices.Insert(h.vlans, at, vlan)
		}
	}
}
