package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// lldpd's control socket speaks a protocol of its own, which lldpcli uses: a
// header with a type and a length, then lldpd's own C structures as they are in
// its memory (see lldpdtree.go). It is no public interface, and the structures
// differ between versions. What is relied on was read in its source (src/ctl.h,
// src/marshal.c, src/lldpd-structs.h) and holds for what lldpdLayouts lists: the
// tests run Debian 12's 1.0.16, and what 1.0.18, 1.0.20 and 1.0.22 said, built
// from source, is recorded. An answer of another form is never guessed at: it is
// a problem. The two requests that are made only read, in older versions too.

// lldpdSocket is lldpd's default. Debian lets its user and group alone connect.
const lldpdSocket = "/run/lldpd.socket"

// lldpdPatience is how long lldpd may take for all links.
const lldpdPatience = 2 * time.Second

// Messages of lldpd's control protocol (src/ctl.h, enum hmsg_type).
const (
	lldpdNone          = 0 // there is no such interface
	lldpdGetInterfaces = 3
	lldpdGetInterface  = 6
	lldpdHeader        = 16
	maxLLDPDReply      = 1 << 19 // HMSG_MAX_SIZE
)

// fromLLDPD asks lldpd, where it runs.
func (c *Collector) fromLLDPD(ctx context.Context, links []rawLink, b *collectors.Builder) {
	socket := filepath.Join("/", c.Root, lldpdSocket)
	if _, err := os.Stat(socket); errors.Is(err, fs.ErrNotExist) {
		return
	}
	patience := lldpdPatience
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline)/2)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := askLLDPD(ctx, socket, links); err != nil {
		b.Problem(problem("", "link.neighbours", "lldpd "+lldpdSocket, err, lldpdRemedy(err)))
	}
}

func lldpdRemedy(err error) string {
	switch whyOf(err) {
	case inventory.WhyRefused:
		return "let the agent's user open " + lldpdSocket + ": Debian's lldpd gives it to the group _lldpd, which may then configure lldpd too"
	case inventory.WhyAbsent:
		return "start lldpd (Debian: lldpd.service), or remove the socket that it left behind"
	case inventory.WhyTimedOut:
		return "see why lldpd doesn't answer: lldpcli show neighbors"
	}
	return "this lldpd isn't one that avstem can read (1.0.14 to 1.0.22 on 64-bit machines): let systemd-networkd receive LLDP (LLDP=yes), and report lldpd's version"
}

// askLLDPD asks which interfaces lldpd listens on and, of those that are among
// the links, whom it heard there.
func askLLDPD(ctx context.Context, socket string, links []rawLink) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	err = hearLLDPD(conn, links)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("read from lldpd: %w", ctx.Err())
	}
	return err
}

func hearLLDPD(conn io.ReadWriter, links []rawLink) error {
	reply, err := callLLDPD(conn, lldpdGetInterfaces, nil)
	if err != nil {
		return err
	}
	names, err := decodeInterfaces(reply)
	if err != nil {
		return err
	}
	listens := make(map[string]bool, len(names))
	for _, name := range names {
		listens[name] = true
	}
	var bad error
	for i := range links {
		l := &links[i]
		if !listens[l.kernelName] {
			continue
		}
		reply, err := callLLDPD(conn, lldpdGetInterface, lldpdString(l.kernelName))
		if err != nil {
			return err
		}
		index, heard, err := decodeInterface(reply)
		if err != nil {
			bad = errors.Join(bad, fmt.Errorf("interface %s: %w", l.Name, err))
		}
		if index == l.index { // and not one of that name in another namespace
			l.hear(heard)
		}
	}
	return bad
}

// callLLDPD sends a request and reads its answer, which is empty where lldpd has
// none.
func callLLDPD(conn io.ReadWriter, kind uint32, payload []byte) ([]byte, error) {
	header := func(kind uint32, size int) []byte {
		b := binary.NativeEndian.AppendUint32(nil, kind)
		b = append(b, 0, 0, 0, 0)
		return binary.NativeEndian.AppendUint64(b, uint64(size))
	}
	if _, err := conn.Write(append(header(kind, len(payload)), payload...)); err != nil {
		return nil, fmt.Errorf("write to lldpd: %w", err)
	}
	head := make([]byte, lldpdHeader)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, fmt.Errorf("read from lldpd: %w", err)
	}
	size := binary.NativeEndian.Uint64(head[8:])
	switch answer := binary.NativeEndian.Uint32(head); {
	case size > maxLLDPDReply:
		return nil, fmt.Errorf("read from lldpd: message of %d bytes", size)
	case answer == lldpdNone && size == 0:
		return nil, nil
	case answer != kind:
		return nil, fmt.Errorf("read from lldpd: answer %d to request %d", answer, kind)
	}
	reply := make([]byte, size)
	if _, err := io.ReadFull(conn, reply); err != nil {
		return nil, fmt.Errorf("read from lldpd: %w", err)
	}
	return reply, nil
}
