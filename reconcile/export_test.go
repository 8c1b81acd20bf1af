package reconcile

// Opened counts the documents of which something is unpacked, and the hosts that have
// indexes.
func (b *Book) Opened() (n int) {
	for _, h := range b.hosts {
		if h.opened || h.links != nil || h.grounds != nil {
			n++
		}
		for _, doc := range h.docs {
			if doc.packed.by == nil || doc.unpacked.parts != nil || doc.unpacked.vms != nil {
				n++
			}
		}
	}
	return n
}
