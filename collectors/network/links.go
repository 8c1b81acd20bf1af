package network

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
)

// links reads every link of the network namespace, and says whether that is all
// of them.
func (c *Collector) links(ctx context.Context, b *collectors.Builder) (links []rawLink, whole bool, err error) {
	socket, err := openRoute(c.NetNS)
	if err != nil {
		return nil, false, c.openError(err)
	}
	// Closing the socket is what wakes a read that the kernel doesn't answer.
	// It is closed once either way.
	stop := context.AfterFunc(ctx, socket.Close)
	defer func() {
		if stop() {
			socket.Close()
		}
	}()
	return c.linksFrom(ctx, socketDumper(socket), b)
}

func (c *Collector) openError(err error) error {
	call, remedy := "open netlink socket", "see whether the agent's unit allows AF_NETLINK (RestrictAddressFamilies=)"
	if c.NetNS != "" {
		call, remedy = "enter network namespace "+c.NetNS, "run as root or with CAP_SYS_ADMIN, and see that the namespace is still there"
	}
	return &collectors.SourceError{Call: call, Why: whyOf(err), Remedy: remedy, Err: err}
}

// linksFrom reads links, their addresses and their VLANs by dump. Only the first
// must be had: without the others a link is still a link.
func (c *Collector) linksFrom(ctx context.Context, dump dumper, b *collectors.Builder) ([]rawLink, bool, error) {
	messages, err := dumpLinks(ctx, consistent(dump), b)
	whole := err == nil
	switch {
	case errors.Is(err, errInterrupted):
		b.Problem(problem("", "link.name", linkRequest.name, err,
			"links come and go faster than they can be listed: the next pass tries again"))
	case err != nil:
		return nil, false, &collectors.SourceError{Call: linkRequest.name, Why: whyOf(err), Err: err,
			Remedy: "see whether a seccomp filter or a security module forbids rtnetlink dumps"}
	}
	links, decoded := decodeLinks(messages, b)
	resolve(links)
	c.addresses(ctx, dump, links, b)
	portVLANs(ctx, dump, links, b)
	for i := range links {
		if ctx.Err() != nil {
			return nil, false, fmt.Errorf("read links from sysfs: %w", ctx.Err())
		}
		c.sysfs(&links[i], b)
	}
	nameFunctions(links)
	c.neighbours(ctx, links, b)
	return links, whole && decoded, nil
}

// dumpLinks dumps links with their virtual functions, or where those of an adapter
// are too many for one message without them: the kernel says so, or it is longer
// than what a message is received into and can't be taken apart.
func dumpLinks(ctx context.Context, dump dumper, b *collectors.Builder) ([][]byte, error) {
	messages, err := dumpAgain(ctx, dump, linkRequest)
	if !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.EINVAL) {
		return messages, err
	}
	bare := linkRequest
	bare.extMask &^= rtnlVFs
	messages, bareErr := dumpAgain(ctx, dump, bare)
	if bareErr != nil {
		return messages, bareErr
	}
	b.Problem(problem("", "link.vfs", linkRequest.name, fmt.Errorf("an adapter's virtual functions don't fit into a message: %w", err),
		"none is known: links are read without their virtual functions, and NICs on those as the runtime has configured them"))
	return messages, nil
}

// consistent adds what the kernel's flag can't tell: a list with one name twice
// was made while links were renamed.
func consistent(dump dumper) dumper {
	return func(ctx context.Context, what request) ([][]byte, error) {
		messages, err := dump(ctx, what)
		if err != nil {
			return messages, err
		}
		names := make(map[string]bool, len(messages))
		for _, m := range messages {
			name := linkName(m)
			if names[name] {
				return messages, fmt.Errorf("two links are called %q: %w", name, errInterrupted)
			}
			names[name] = true
		}
		return messages, nil
	}
}

// decodeLinks decodes a dump's links. A link of which only a part can be read is
// among them; one without even a name can't be, and then they aren't all.
func decodeLinks(messages [][]byte, b *collectors.Builder) (links []rawLink, all bool) {
	links, all = make([]rawLink, 0, len(messages)), true
	seen := make(map[string]bool, len(messages))
	for _, m := range messages {
		l, err := decodeLink(m)
		switch {
		case l.Name == "":
			all = false
			b.Problem(problem("", "link.name", linkRequest.name, errors.Join(errors.New("link without a name"), err), remedyReport))
			continue
		case err != nil:
			b.Problem(problem(linkEntity(l.Name), "", linkRequest.name, err, remedyReport))
		}
		if !seen[l.Name] { // one that was renamed during the dump may be there twice
			seen[l.Name] = true
			links = append(links, l)
		}
	}
	return links, all
}

const remedyReport = "the kernel's answer has a form that avstem doesn't know: please report it with the kernel's version"

// resolve turns indexes into names. An index counts in its own network namespace
// only: a parent in another one has no name here, and giving it the name of the
// link that happens to have that index would be an invention.
func resolve(links []rawLink) {
	at := byIndex(links)
	name := func(index int) string {
		if l := at[index]; l != nil {
			return l.Name
		}
		return ""
	}
	for i := range links {
		l := &links[i]
		l.Master, l.ActiveMember = name(l.master), name(l.active)
		switch {
		case l.foreign || l.parent == l.index:
		case isPair(l): // its IFLA_LINK is its other end, which it doesn't sit on
			if other := at[l.parent]; other != nil && isPair(other) && !other.foreign && other.parent == l.index {
				l.Peer = other.Name
			}
		default:
			l.Parent = name(l.parent)
		}
	}
}

// isPair says whether the link is one end of a cable that has two.
func isPair(l *rawLink) bool { return l.Kind == "veth" || l.Kind == "netkit" }

func byIndex(links []rawLink) map[int]*rawLink {
	at := make(map[int]*rawLink, len(links))
	for i := range links {
		at[links[i].index] = &links[i]
	}
	return at
}

// addresses gives each link its addresses.
func (c *Collector) addresses(ctx context.Context, dump dumper, links []rawLink, b *collectors.Builder) {
	messages, err := dumpAgain(ctx, dump, addressRequest)
	if err != nil {
		b.Problem(problem("", "link.addresses", addressRequest.name, err, "the next pass tries again"))
	}
	at := byIndex(links)
	for _, m := range messages {
		index, cidr, err := decodeAddress(m)
		l := at[index]
		switch {
		case l == nil: // of a link that came after the links were listed
		case err != nil:
			b.Problem(problem(linkEntity(l.Name), "link.addresses", addressRequest.name, err, remedyReport))
		case cidr != "":
			l.Addresses = append(l.Addresses, cidr)
		}
	}
}

// nameFunctions gives each virtual function the name of its physical one. More
// than one link may sit on that device (an adapter's representors do): the one
// that lists functions is meant.
func nameFunctions(links []rawLink) {
	named := map[string]*rawLink{}
	for i := range links {
		l := &links[i]
		if l.Device == "" || l.Kind != kindPhysical {
			continue
		}
		if before := named[l.Device]; before == nil || len(before.VFs) == 0 {
			named[l.Device] = l
		}
	}
	for i := range links {
		if l := named[links[i].physical]; l != nil && links[i].physical != "" {
			links[i].PhysicalFunction = l.Name
		}
	}
}

// hasDatapath says whether the kernel's OVS datapath is among the links.
func hasDatapath(links []rawLink) bool {
	for i := range links {
		if links[i].Kind == kindOVS {
			return true
		}
	}
	return false
}
