// Package network reads what a host's network looks like: its links with their
// VLANs, bonds, bridges and addresses from the kernel by rtnetlink, the drivers
// and speeds of its physical links from sysfs, and the bridges of Open vSwitch
// (OVS) from its database (OVSDB).
//
// It exists so that a VM's NIC can be followed from its tap to the wire, and so
// that the VLAN it is really on can be told from the one it was meant to be on.
// It follows nothing itself and knows of no VM, no runtime and no intent. It
// needs no privilege for the process's own network namespace: rtnetlink dumps
// and sysfs are open to everybody, and where OVSDB's socket isn't, the links are
// reported all the same.
//
// Fetching (dump.go, sysfs.go, ovsdb.go) is apart from decoding (rtnetlink.go,
// decode*.go, ovsdbvalue.go, ovsrows.go), which is pure. Watch (watch*.go) tells
// when to look again. A Collector holds no state: passes and watches may run at
// once.
package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// Collector reads the links and the Open vSwitch bridges of one network
// namespace. Its zero value reads those of the process's own.
type Collector struct {
	// NetNS is the path of the network namespace to read, such as
	// /run/netns/NAME or /proc/PID/ns/net; empty means the process's own. To
	// enter another one takes CAP_SYS_ADMIN.
	NetNS string
	// OVSDB is the socket of Open vSwitch's database. Empty means the usual
	// ones, /run/openvswitch/db.sock and /var/run/openvswitch/db.sock below
	// Root, where it is normal that there is none.
	OVSDB string
	// Root is the directory under which sys and run are found; empty means "/".
	Root string
	// Capture says that Root has the files of another host, or of another boot of
	// this one, whose kernel nobody can ask: its links are in no file, and those of
	// this kernel aren't its own.
	Capture bool
}

// Source gives the collector's name.
func (c *Collector) Source() string { return "network" }

// Collect makes one pass: links first, since they are the source's entities,
// then OVS, whose failure only hides what OVS knows.
func (c *Collector) Collect(ctx context.Context, b *collectors.Builder) error {
	if c.Capture {
		return &collectors.SourceError{Call: "rtnetlink", Why: inventory.WhyAbsent,
			Remedy: "run the agent on the host itself: links are told by its kernel and not by files",
			Err:    fmt.Errorf("the files below %s are of another host or boot than this kernel: %w", c.Root, collectors.ErrAbsent)}
	}
	links, whole, err := c.links(ctx, b)
	if err != nil {
		return err
	}
	for i := range links {
		b.Link(links[i].Link)
	}
	if whole {
		b.Enumerated()
	}
	c.ovs(ctx, b, links)
	if err := ctx.Err(); errors.Is(err, context.Canceled) {
		return fmt.Errorf("read OVSDB: %w", err)
	}
	return nil
}

// linkEntity is how a problem names a link.
func linkEntity(name string) string { return "link:" + name }

// problem describes a failed read; its why is told from the error.
func problem(entity string, field inventory.Field, call string, err error, remedy string) inventory.Problem {
	return inventory.Problem{Entity: entity, Field: field, Call: call, Why: whyOf(err), Error: err.Error(), Remedy: remedy}
}
