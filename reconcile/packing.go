package reconcile

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/packed"
)

// wires are what a document says of a host's network. They and the VMs are nearly all
// that hosts say, and are asked for only while a host is judged. In between they are
// packed.
type wires struct {
	Links      []inventory.Link
	OVSBridges []inventory.OVSBridge
}

type packers struct {
	wires *packed.Packer[wires]
	vms   *packed.Lists[inventory.VM]
}

func newPackers() *packers { return &packers{packed.New[wires](), packed.NewLists[inventory.VM]()} }

// packing is what of a document is packed, and the document itself without. By is nil
// where nothing is.
type packing struct {
	by         *packers
	wires, vms string
}

// unpacked is what was asked for of that, until the host is closed.
type unpacked struct {
	wires *wires
	vms   []inventory.VM
}

// pack packs a document's parts, in the way of the one before, so that both can be held
// against each other as they are written. They stay at hand until the host is closed.
func (s *source) pack(by *packers, before packing) {
	o := *s.Observation
	w := &wires{o.Links, o.OVSBridges}
	if s.packed.by != nil || len(o.VMs) == 0 && w.isNone() {
		return
	}
	s.packed, s.unpacked = packing{by: by}, unpacked{w, o.VMs}
	if !w.isNone() {
		s.packed.wires, o.Links, o.OVSBridges = by.wires.Pack(w), nil, nil
	}
	if len(o.VMs) > 0 {
		s.packed.vms, o.VMs = by.vms.Pack(o.VMs, before.vms), nil
	}
	s.Observation = &o
}

func (w *wires) isNone() bool { return len(w.Links)+len(w.OVSBridges) == 0 }

// isWired says whether the document has any wires.
func (s *source) isWired() bool {
	return s.packed.wires != "" || len(s.Links)+len(s.OVSBridges) > 0
}

// wires gives them; they are only to be read.
func (s *source) wires() *wires {
	if s.packed.wires == "" {
		return &wires{s.Links, s.OVSBridges}
	}
	if s.unpacked.wires == nil {
		s.unpacked.wires = s.packed.by.wires.Unpack(s.packed.wires)
	}
	return s.unpacked.wires
}

// VMs gives those that the document shows; they are only to be read.
func (s *source) VMs() []inventory.VM {
	if s.packed.vms == "" {
		return s.Document.VMs
	}
	if s.unpacked.vms == nil {
		s.unpacked.vms = s.packed.by.vms.Unpack(s.packed.vms)
	}
	return s.unpacked.vms
}

// vm gives one of them. It opens nothing: of a host that isn't judged some VMs may be
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

// whole gives the document with all its parts.
func (s *source) whole() Document {
	doc := s.Document
	if s.packed.by == nil {
		return doc
	}
	o, w := *doc.Observation, s.wires()
	o.Links, o.OVSBridges, o.VMs = w.Links, w.OVSBridges, s.VMs()
	doc.Observation = &o
	return doc
}

// sameWires says whether two documents have the same.
func sameWires(a, b *source) bool {
	if a.packed.by != nil && b.packed.by != nil {
		return a.packed.wires == b.packed.wires
	}
	return reflect.DeepEqual(a.wires(), b.wires())
}

// sameVM says whether a VM of one document is as one of another is.
func sameVM(a *source, at int, b *source, bAt int) bool {
	if x, y := a.packed.vms, b.packed.vms; x != "" && y != "" && packed.HaveOneBase(x, y) {
		return packed.Alike(x, at, y, bAt)
	}
	was, is := a.vm(at), b.vm(bAt)
	return was == is || reflect.DeepEqual(was, is)
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
				s.pack(b.packers, packing{})
				s.unpacked = unpacked{}
			}
		})
	}
	working.Wait()
	b.loose = nil
}
