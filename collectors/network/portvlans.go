package network

import (
	"context"

	"github.com/dataverket/avstem/collectors"
)

// portVLANs gives the bridges that filter VLANs, and their ports, what they
// carry. The kernel lists VLANs of other bridges too, where they mean nothing.
func portVLANs(ctx context.Context, dump dumper, links []rawLink, b *collectors.Builder) {
	filters := map[int]bool{}
	for i := range links {
		if f := links[i].VLANFiltering; f != nil && *f {
			filters[links[i].index] = true
		}
	}
	if len(filters) == 0 {
		return
	}
	messages, err := dumpAgain(ctx, dump, portVLANRequest)
	if err != nil {
		b.Problem(problem("", "link.portVLANs", portVLANRequest.name, err, "the next pass tries again"))
	}
	at := byIndex(links)
	for _, m := range messages {
		index, vlans, err := decodePortVLANs(m)
		l := at[index]
		if l == nil || !filters[l.index] && !filters[l.master] {
			continue
		}
		if err != nil {
			b.Problem(problem(linkEntity(l.Name), "link.portVLANs", portVLANRequest.name, err, remedyReport))
			continue
		}
		l.PortVLANs = vlans
	}
}
