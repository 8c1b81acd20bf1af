package reconcile

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/packed"
)

// parts are what a document says of a host's network and storage. They and the VMs are
// nearly all that hosts say, and are asked for only while a host is judged. In between
// they are packed.
type parts struct {
	Links        []inventory.Link
	OVSBridges   []inventory.OVSBridge
	BlockDevices []inventory.BlockDevice
	FileSystems  []inventory.FileSystem
	StoragePools []inventory.StoragePool
}

// swapParts puts parts into a document's place for them, and gives those that were there.
func swapParts(o *inventory.Observation, p parts) (were parts) {
	were = parts{o.Links, o.OVSBridges, o.BlockDevices, o.FileSystems, o.StoragePools}
	o.Links, o.OVSBridges, o.BlockDevices, o.FileSystems, o.StoragePools = p.Links, p.OVSBridges, p.BlockDevices, p.FileSystems, p.StoragePools
	return were
}

type packers struct {
	parts *packed.Packer[parts]
	vms   *packed.Lists[inventory.VM]
}

func newPackers() *packers { return &packers{packed.New[parts](), packed.NewLists[inventory.VM]()} }

// packing is what of a document is packed, and the document itself without. By is nil
// where nothing is.
type packing struct {
	by         *packers
	parts, vms string
}

// unpacked is what was asked for of that, until the host is closed.
type unpacked struct {
	parts *parts
	vms   []inventory.VM
}

// pack packs a document, in the way of the one before, so that both can be held against
// each other as they are written. What it says stays at hand until the host is closed.
func (s *source) pack(by *packers, before packing) {
	o := *s.Observation
	all := swapParts(&o, parts{})
	s.packed, s.unpacked = packing{by, by.parts.Pack(&all), by.vms.Pack(o.VMs, before.vms)}, unpacked{&all, o.VMs}
	if len(o.VMs) > 0 { // no VMs may be an empty list, which isn't packed
		o.VMs = nil
	}
	s.Observation = &o
}

func (s *source) parts() *parts {
	if s.unpacked.parts == nil && s.packed.by != nil {
		s.unpacked.parts = s.packed.by.parts.Unpack(s.packed.parts)
	}
	if s.unpacked.parts == nil {
		o := *s.Observation
		all := swapParts(&o, parts{})
		s.unpacked.parts = &all
	}
	return s.unpacked.parts
}

// What the document says is only to be read, and only by these: they hide its own
// fields, which have nothing while it is packed.

func (s *source) Links() []inventory.Link               { return s.parts().Links }
func (s *source) OVSBridges() []inventory.OVSBridge     { return s.parts().OVSBridges }
func (s *source) BlockDevices() []inventory.BlockDevice { return s.parts().BlockDevices }
func (s *source) FileSystems() []inventory.FileSystem   { return s.parts().FileSystems }
func (s *source) StoragePools() []inventory.StoragePool { return s.parts().StoragePools }

func (s *source) VMs() []inventory.VM {
	if s.packed.vms == "" {
		return s.Document.VMs
	}
	if s.unpacked.vms == nil {
		s.unpacked.vms = s.packed.by.vms.Unpack(s.packed.vms)
	}
	return s.unpacked.vms
}

// vm gives one VM. It opens nothing: of a host that isn't judged some VMs may be
// asked for, by who judges others.
func (s *source) vm(at int) *inventory.VM {
	switch {
	case s.packed.vms == "":
		return &s.Document.VMs[at]
	case s.unpacked.vms == nil:
		return s.packed.by.vms.At(s.packed.vms, at)
	}
	return &s.unpacked.vms[at]
}

// vmElsewhere gives one VM for who judges another host, at any time: this one may be
// judged meanwhile, so it looks at nothing that is unpacked.
func (s *source) vmElsewhere(at int) *inventory.VM {
	if s.packed.vms == "" {
		return &s.Document.VMs[at]
	}
	return s.packed.by.vms.At(s.packed.vms, at)
}

// leafing is going through things of which many in a row are of one document. That is
// unpacked while they last.
type leafing struct{ doc *source }

func (l *leafing) come(things []*thing, at int) {
	doc := things[at].doc
	if doc == nil || doc == l.doc {
		return
	}
	l.end()
	if doc.unpacked.vms == nil && at+1 < len(things) && things[at+1].doc == doc {
		doc.VMs()
		l.doc = doc
	}
}

func (l *leafing) end() {
	if l.doc != nil {
		l.doc.unpacked.vms, l.doc = nil, nil
	}
}

// whole gives the document with all that it says.
func (s *source) whole() Document {
	doc := s.Document
	if s.packed.by == nil {
		return doc
	}
	o := *doc.Observation
	swapParts(&o, *s.parts())
	if s.packed.vms != "" {
		o.VMs = s.VMs()
	}
	doc.Observation = &o
	return doc
}

// sameParts says whether two documents say the same of network and storage.
func sameParts(a, b *source) bool {
	if a.packed.by != nil && b.packed.by != nil {
		return a.packed.parts == b.packed.parts
	}
	return reflect.DeepEqual(a.parts(), b.parts())
}

// sameVM says whether a VM of one document is as one of another is.
func sameVM(a *source, at int, b *source, bAt int) bool {
	if x, y := a.packed.vms, b.packed.vms; x != "" && y != "" && packed.HaveOneBase(x, y) {
		return packed.Alike(x, at, y, bAt)
	}
	was, is := a.vm(at), b.vm(bAt)
	return was == is || reflect.DeepEqual(was, is)
}

// pack packs a document, and notes what it mentions: until then its host is judged
// anyway.
func (b *Book) pack(s *source, before packing) {
	if s.packed.by == nil {
		s.mentions = b.mentionsOf(s.Observation)
		s.pack(b.packers, before)
	}
}

// packArrived packs the documents that arrived. A book that is for one pass keeps them
// as they are.
func (b *Book) packArrived() {
	if b.once || len(b.loose) == 0 {
		b.loose = nil
		return
	}
	if b.packers == nil {
		b.packers = newPackers()
	}
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(b.loose)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(b.loose)); i = next.Add(1) - 1 {
				s := b.loose[i]
				b.pack(s, packing{})
				s.unpacked = unpacked{}
			}
		})
	}
	working.Wait()
	b.loose = nil
}
