package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// LLDP's frames come each half minute, too seldom to wait for in a pass, and to
// receive them takes a privilege. Two daemons that keep them are asked what they
// heard: systemd-networkd (LLDP=yes, its default for physical links) and lldpd.

// maxNeighbours is more than networkd keeps of a link (128).
const maxNeighbours = 512

// networkdLLDP holds a file for each link that has neighbours, named by its
// index. Its format is systemd's own: systemd 252 was seen.
const networkdLLDP = "/run/systemd/netif/lldp"

// neighbours gives each link what was heard at its other end.
func (c *Collector) neighbours(ctx context.Context, links []rawLink, b *collectors.Builder) {
	c.fromNetworkd(links, b)
	c.fromLLDPD(ctx, links, b)
}

// fromNetworkd reads what systemd-networkd keeps.
func (c *Collector) fromNetworkd(links []rawLink, b *collectors.Builder) {
	names, err := collectors.ReadNames(c.Root, networkdLLDP)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			b.Problem(problem("", "link.neighbours", networkdLLDP, err, "let the agent read "+networkdLLDP))
		}
		return
	}
	at := byIndex(links)
	for _, name := range names {
		index, err := strconv.Atoi(name)
		l := at[index]
		if err != nil || l == nil { // a temporary file, or a link that came later
			continue
		}
		file := networkdLLDP + "/" + name
		heard, err := c.readNetworkd(l, file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // one that is gone has no neighbours any more
			b.Problem(problem(linkEntity(l.Name), "link.neighbours", file, err, "see what networkctl lldp says"))
		}
		l.hear(heard)
	}
}

// readNetworkd reads a link's file. Networkd's indexes are those of the network
// namespace that it runs in, which is that of the sysfs beside it.
func (c *Collector) readNetworkd(l *rawLink, file string) ([]inventory.Neighbour, error) {
	if err := c.sameLink("/sys/class/net/"+l.kernelName, l.index); err != nil {
		return nil, err
	}
	data, err := collectors.ReadFile(c.Root, file)
	if err != nil {
		return nil, err
	}
	return decodeNetworkd(data)
}

// decodeNetworkd reads frames, each behind its length in 64 bits, little-endian.
// One that can't be read leaves the others.
func decodeNetworkd(b []byte) (heard []inventory.Neighbour, err error) {
	const sizeBytes = 8
	for frames := 0; len(b) > 0; frames++ {
		if len(b) < sizeBytes {
			return heard, errors.Join(err, errShort)
		}
		size := binary.LittleEndian.Uint64(b)
		if b = b[sizeBytes:]; size > uint64(len(b)) {
			return heard, errors.Join(err, fmt.Errorf("frame of %d bytes where %d are left: %w", size, len(b), errShort))
		}
		if frames == maxNeighbours {
			return heard, errors.Join(err, fmt.Errorf("more than %d neighbours", maxNeighbours))
		}
		neighbour, bad := decodeLLDP(b[:size])
		if bad == nil {
			heard = append(heard, neighbour)
		}
		err, b = errors.Join(err, bad), b[size:]
	}
	return heard, err
}

// hear adds neighbours. The two daemons may have heard the same ones.
func (l *rawLink) hear(heard []inventory.Neighbour) {
	for _, n := range heard {
		known := slices.ContainsFunc(l.Neighbours, func(o inventory.Neighbour) bool {
			return o.ChassisID == n.ChassisID && o.PortID == n.PortID
		})
		if !known {
			l.Neighbours = append(l.Neighbours, n)
		}
	}
}
