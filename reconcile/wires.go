package reconcile

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/inventory/packed"
)

// wires are what a document says of a host's network. They are the largest part of
// what hosts say, and are asked for only while a host is judged.
type wires struct {
	Links      []inventory.Link
	OVSBridges []inventory.OVSBridge
}

// packedWires are a document's wires between two judgings of its host, when the
// document itself is without them.
type packedWires struct {
	text string
	by   *packed.Packer[wires]
}

// isWired says whether the document has any.
func (s *source) isWired() bool {
	return s.packed.by != nil || len(s.Links) > 0 || len(s.OVSBridges) > 0
}

// wires gives them; they are only to be read.
func (s *source) wires() *wires {
	if s.packed.by != nil {
		return s.packed.by.Unpack(s.packed.text)
	}
	return &wires{s.Links, s.OVSBridges}
}

// wiring gives those of the host, which has a document of its network, until it is
// closed.
func (h *hostView) wiring() *wires {
	if h.wires == nil {
		h.wires = h.network.wires()
	}
	return h.wires
}

// whole gives the document with its wires.
func (s *source) whole() Document {
	doc := s.Document
	if s.packed.by != nil {
		o, w := *doc.Observation, s.wires()
		o.Links, o.OVSBridges = w.Links, w.OVSBridges
		doc.Observation = &o
	}
	return doc
}

func (s *source) pack(by *packed.Packer[wires]) {
	if s.packed.by != nil || !s.isWired() {
		return
	}
	s.packed = packedWires{by.Pack(&wires{s.Links, s.OVSBridges}), by}
	o := *s.Observation
	o.Links, o.OVSBridges = nil, nil
	s.Observation = &o
}

// sameWires says whether two documents have the same. It packs the second as the first
// is.
func sameWires(a, b *source) bool {
	if a.packed.by != nil {
		b.pack(a.packed.by)
		return a.packed == b.packed
	}
	return reflect.DeepEqual(a.Links, b.Links) && reflect.DeepEqual(a.OVSBridges, b.OVSBridges)
}

// packWires packs those of the documents that arrived. A book that is for one pass
// keeps them as they are.
func (b *Book) packWires() {
	if b.once || len(b.loose) == 0 {
		b.loose = nil
		return
	}
	if b.packer == nil {
		b.packer = packed.New[wires]()
	}
	var next atomic.Int64
	var working sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(b.loose)) {
		working.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(b.loose)); i = next.Add(1) - 1 {
				b.loose[i].pack(b.packer)
			}
		})
	}
	working.Wait()
	b.loose = nil
}
