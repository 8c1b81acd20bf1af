package reconcile

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
)

// thing is a VM as one source shows it, or the record of one.
type thing struct {
	want *sentral.VM // of a record
	doc  *source     // of a place, and its host
	unit *vmUnit
	// mate is the leading one of the VM's places, of the others and of the record
	// that it was matched with, and of the leading one that record.
	mate  *thing
	aside *aside // nil of most

	// at is its place in its document. Of records that have one ID, which should
	// not be, it counts them.
	at     int32
	inHome int32  // a record's place among those of its host
	number uint32 // in the index; 0 when it is out of the books
	alone  int32  // of a record that no VM was matched with, its place among those of its site, from 1

	leads   bool // it is the leading one of its VM's places
	spread  bool // the VM has several places
	weak    bool // the match can be copied or reused
	blind   bool // not all of its NICs could be followed
	tied    bool // of a lone record: some VM could be it all the same
	matched bool // a record that a VM was matched with, as was told last
	dirty   bool // its unit is to be judged again
	round   bool // of a record: it is in the inventory whose round that is
}

// aside is what is to be known of few things.
type aside struct {
	// cuts are NICs of the VM, at its leading place, that its host's uplinks cut off.
	cuts []cut
	// absent is the unit of a record that no VM was matched with.
	absent *unit
	// lostIn is the site of which it is one of the missing.
	lostIn *site
}

// host is the one that shows the VM; nil of a record.
func (t *thing) host() *hostView {
	if t.doc == nil {
		return nil
	}
	return t.doc.host
}

// vm is the VM that a place shows.
func (t *thing) vm() *inventory.VM { return t.doc.vm(int(t.at)) }

// head is the leading one of the VM's places; nil where none was matched with a
// record, or the place is another source's word.
func (t *thing) head() *thing {
	if t.leads {
		return t
	}
	return t.mate
}

// headVM is the VM that its leading place shows, where there is one, for who judges the
// host of this place.
func (t *thing) headVM() *inventory.VM {
	head := t.head()
	if head.doc.host == t.doc.host {
		return head.vm()
	}
	return head.doc.vmElsewhere(int(head.at))
}

// owner is the record that the VM of a leading place was matched with.
func (t *thing) owner() *thing {
	if t.leads {
		return t.mate
	}
	return nil
}

func (t *thing) gone() bool { return t.number == 0 }

func (t *thing) setCuts(cuts []cut) {
	if t.aside == nil && len(cuts) > 0 {
		t.aside = new(aside)
	}
	if t.aside != nil {
		t.aside.cuts = cuts
	}
}

func (t *thing) cuts() []cut {
	if t.aside == nil {
		return nil
	}
	return t.aside.cuts
}

// compareThings puts records before places, those by ID and these by host, source
// and place in the document.
func compareThings(a, b *thing) int {
	switch {
	case a.want != nil && b.want != nil:
		return cmp.Or(cmp.Compare(a.want.ID, b.want.ID), cmp.Compare(a.at, b.at))
	case a.want != nil:
		return -1
	case b.want != nil:
		return 1
	}
	return cmp.Or(bytes.Compare(a.doc.host.ID[:], b.doc.host.ID[:]), cmp.Compare(a.doc.Source, b.doc.Source), cmp.Compare(a.at, b.at))
}

// marker hashes marks: two things with one mark could have to do with each other.
// That two marks hash to one joins what has nothing to do with each other, which
// costs time and changes nothing.
type marker struct {
	seed  maphash.Seed
	marks []uint64
	// last is the UUID that was marked last, as a VM's own and its ID are mostly one.
	last     uuid.UUID
	lastMark uint64
	path     []byte // of the name that was marked last
}

func (m *marker) add(hash, kind uint64) { m.put(mix(hash, kind) &^ junk) }

func (m *marker) put(mark uint64) {
	if !slices.Contains(m.marks, mark) {
		m.marks = append(m.marks, mark)
	}
}

// mix keeps marks of different kinds apart.
func mix(hash, kind uint64) uint64 { return hash ^ kind*0x9e3779b97f4a7c15 }

// The kinds of marks.
const (
	markUUID uint64 = iota + 1
	markLabel
	markMAC
	markSerial
	markWWN
	markName
	markSource
	markBoard
	markTPM
)

// junk is the bit of marks that many things have which have nothing to do with
// each other: they count where a record has one.
const junk = 1

// label is the mark of a Sentral ID. One that is a UUID, as most are, is its VM's
// mark too, so that there is one mark for both.
func (m *marker) label(id string) uint64 {
	if parsed, err := uuid.Parse(id); err == nil && parsed != uuid.Nil {
		if mark := m.ofUUID(parsed); mark&junk == 0 {
			return mark
		}
	}
	return mix(maphash.String(m.seed, strings.ToLower(id)), markLabel) &^ junk
}

// ofUUID gives one mark for both byte orders.
func (m *marker) ofUUID(id uuid.UUID) uint64 {
	if id == m.last {
		return m.lastMark
	}
	one := id
	if swapped := inventory.SwapUUID(id); bytes.Compare(swapped[:], id[:]) < 0 {
		one = swapped
	}
	m.last, m.lastMark = id, mix(maphash.Bytes(m.seed, one[:]), markUUID)&^junk
	if inventory.IsJunkUUID(id) {
		m.lastMark |= junk
	}
	return m.lastMark
}

func (m *marker) text(kind uint64, text string) { m.add(maphash.String(m.seed, text), kind) }

func (m *marker) uuid(id uuid.UUID) {
	if id != uuid.Nil {
		m.put(m.ofUUID(id))
	}
}

// durable leaves out a UUID that many have.
func (m *marker) durable(id uuid.UUID) {
	if !inventory.IsJunkUUID(id) {
		m.uuid(id)
	}
}

func (m *marker) mac(mac inventory.MAC) {
	if mac.Identifies() {
		m.add(maphash.Bytes(m.seed, mac[:]), markMAC)
	}
}

func (m *marker) serial(serial, wwn string) {
	if !inventory.IsJunkSerial(serial) {
		m.text(markSerial, strings.ToLower(strings.TrimSpace(serial)))
	}
	if wwn = inventory.CanonicalWWN(wwn); wwn != "" {
		m.text(markWWN, wwn)
	}
}

func (m *marker) name(tenant, project, name string) {
	m.path = m.path[:0]
	for _, part := range [...]string{tenant, "/", project, "/", name} {
		m.path = append(m.path, part...)
	}
	m.add(maphash.Bytes(m.seed, m.path), markName)
}

// ofVM gives a thing's marks. They are its own: none depends on what is known of
// its host.
func (m *marker) ofVM(t *thing) []uint64 {
	m.marks = m.marks[:0]
	if want := t.want; want != nil {
		m.put(m.label(want.ID))
		m.uuid(want.UUID())
		for i := range want.NICs {
			m.mac(want.NICs[i].MAC)
		}
		for i := range want.Disks {
			m.serial(want.Disks[i].Serial, want.Disks[i].WWN)
		}
		if want.Name != "" {
			m.name(want.Tenant, want.Project, want.Name)
		}
		return m.marks
	}
	vm := t.vm()
	m.uuid(vm.UUID)
	if vm.SMBIOSUUID != vm.UUID {
		m.uuid(vm.SMBIOSUUID)
	}
	if pl := vm.Placement; pl != nil {
		if pl.VM != "" {
			m.put(m.label(pl.VM))
		}
		if pl.Tenant != "" && pl.Project != "" && vm.Name != "" {
			m.name(pl.Tenant, pl.Project, vm.Name)
		}
	}
	for i := range vm.NICs {
		m.mac(vm.NICs[i].MAC)
	}
	for i := range vm.Disks {
		d := &vm.Disks[i]
		if !d.IsStorage() {
			continue
		}
		m.serial(d.Serial, d.WWN)
		if d.Source == "" || d.ReadOnly || d.Shareable {
			continue
		}
		if d.SourceType == "network" {
			m.text(markSource, d.Source)
			continue
		}
		var h maphash.Hash
		h.SetSeed(m.seed)
		h.Write(t.doc.host.ID[:])
		h.WriteString(d.Source)
		m.add(h.Sum64(), markSource)
	}
	return m.marks
}

// ofHost gives the marks of a host record, or of a host with its former IDs.
func (m *marker) ofHost(n *hostNode) []uint64 {
	m.marks = m.marks[:0]
	if want := n.want; want != nil {
		m.durable(want.HostID)
		m.durable(want.SystemUUID)
		if keys := serialKeys(want.Serial); len(keys) > 0 {
			m.text(markSerial, keys[0])
		}
		for i := range want.Links {
			m.mac(want.Links[i].MAC)
		}
		for _, name := range hostNames(want.Name, want.ID) {
			m.text(markName, name)
		}
		return m.marks
	}
	m.durable(n.view.ID)
	id := n.view.Identity
	if id == nil {
		return m.marks
	}
	m.durable(id.SystemUUID)
	if keys := serialKeys(id.Serial); len(keys) > 0 {
		m.text(markSerial, keys[0])
	}
	if !inventory.IsJunkSerial(id.BoardSerial) {
		m.text(markBoard, strings.ToLower(id.BoardSerial))
	}
	if id.EndorsementKey != "" {
		m.text(markTPM, id.EndorsementKey)
	}
	for _, mac := range id.MACs {
		m.mac(mac)
	}
	for _, name := range hostNames(id.Hostname) {
		m.text(markName, name)
	}
	return m.marks
}
