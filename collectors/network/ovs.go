package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// ovsPatience is how long ovsdb-server may take to answer. It holds its tables
// in memory and answers in milliseconds.
const ovsPatience = 5 * time.Second

// ovsFields are hidden when OVSDB can't be read; ports and interfaces are in
// ovsBridge.ports.
var ovsFields = []inventory.Field{"ovsBridge.datapath", "ovsBridge.name", "ovsBridge.ports"}

// ovs reads the OVS bridges.
func (c *Collector) ovs(ctx context.Context, b *collectors.Builder, links []rawLink) {
	socket, err := c.findOVSDB(links)
	if socket == "" && err == nil {
		return // a host without OVS is as good as one with it
	}
	var tables [][]row
	if err == nil {
		tables, err = askOVSDB(ctx, socket)
	}
	if err != nil {
		for _, field := range ovsFields {
			b.Problem(problem("", field, "OVSDB "+socket, err, ovsRemedy(socket, err)))
		}
		return
	}
	bridges, problems := assembleOVS(tables)
	for _, bridge := range bridges {
		b.OVSBridge(bridge)
	}
	for _, p := range problems {
		p.Call = "OVSDB " + socket
		b.Problem(p)
	}
}

// errNoDatabase is an OVS without its database.
var errNoDatabase = fmt.Errorf("the kernel has an Open vSwitch datapath, whose database is %w", fs.ErrNotExist)

// findOVSDB gives the database's socket, and none where this host has no OVS. An
// OVS that is known to be there, by configuration or by its datapath in the
// kernel, must have one.
func (c *Collector) findOVSDB(links []rawLink) (socket string, err error) {
	if c.OVSDB != "" {
		return c.OVSDB, nil
	}
	const usual, older = "/run/openvswitch/db.sock", "/var/run/openvswitch/db.sock"
	for _, name := range []string{usual, older} {
		socket = filepath.Join("/", c.Root, name)
		if _, err = os.Stat(socket); !errors.Is(err, fs.ErrNotExist) {
			return socket, err
		}
	}
	if hasDatapath(links) {
		return usual, errNoDatabase
	}
	return "", nil
}

// askOVSDB reads the tables in a part of the time that the pass has left, so
// that a server that hangs leaves the pass the time to say so.
func askOVSDB(ctx context.Context, socket string) ([][]row, error) {
	patience := ovsPatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)*3/4)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return readOVSDB(ctx, socket)
}

func ovsRemedy(socket string, err error) string {
	switch whyOf(err) {
	case inventory.WhyRefused:
		return "let the agent's user open " + socket + ": connecting takes write access, which Debian gives to root alone (a group, or an ACL that is set when ovsdb-server starts)"
	case inventory.WhyAbsent:
		return "start ovsdb-server (Debian: openvswitch-switch.service); if the agent's configuration names this socket and the host has no Open vSwitch, take it out"
	case inventory.WhyTimedOut:
		return "see why ovsdb-server doesn't answer: ovsdb-client list-dbs unix:" + socket
	}
	return "see whether it is ovsdb-server that listens on " + socket
}
