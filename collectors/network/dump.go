package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// errInterrupted says that what was dumped changed meanwhile, so that entries
// may be missing or there twice (NLM_F_DUMP_INTR, linux/netlink.h).
var errInterrupted = errors.New("the kernel's list changed while it was read")

// dumpTries is how often a dump is read before its failure is believed. A busy
// host that starts many VMs at once interrupts one or two.
const dumpTries = 6

// rtnlSkipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h: without it two
// thirds of a link's message are counters.
const rtnlSkipStats = 1 << 3

// rtnlVFs is RTEXT_FILTER_VF: without it a physical function doesn't say what
// its virtual ones are set to. A driver may have to ask its firmware for each,
// which ip(8) makes it do too.
const rtnlVFs = 1 << 0

// request is one rtnetlink dump.
type request struct {
	name    string // as problems call it
	kind    uint16 // the request's message type
	reply   uint16 // the type of the messages that it is answered with
	family  uint8
	extMask uint32
}

var (
	linkRequest    = request{"netlink RTM_GETLINK", unix.RTM_GETLINK, unix.RTM_NEWLINK, unix.AF_UNSPEC, rtnlVFs | rtnlSkipStats}
	addressRequest = request{"netlink RTM_GETADDR", unix.RTM_GETADDR, unix.RTM_NEWADDR, unix.AF_UNSPEC, 0}
	// Compressed, a port that trunks all VLANs takes two entries and not 4,094.
	portVLANRequest = request{"netlink RTM_GETLINK AF_BRIDGE", unix.RTM_GETLINK, unix.RTM_NEWLINK, unix.AF_BRIDGE,
		nl.RTEXT_FILTER_BRVLAN_COMPRESSED | rtnlSkipStats}
)

// dumper answers a dump with the payloads of its messages. Those of a dump that
// was interrupted come with errInterrupted.
type dumper func(context.Context, request) ([][]byte, error)

// dumpAgain reads a dump until it is whole: an interrupted one, and one whose
// messages overran the socket's buffer (ENOBUFS), says nothing about the host.
// Where it stays interrupted the last one is given beside the error.
func dumpAgain(ctx context.Context, dump dumper, what request) ([][]byte, error) {
	wait := time.Millisecond
	for try := 1; ; try++ {
		messages, err := dump(ctx, what)
		if try == dumpTries || !errors.Is(err, errInterrupted) && !errors.Is(err, unix.ENOBUFS) {
			return messages, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return messages, err
		case <-timer.C:
		}
		wait *= 2
	}
}

// openRoute opens an rtnetlink socket that hears of groups in the network
// namespace at path, or in the process's own where path is empty.
func openRoute(path string, groups ...uint) (*nl.NetlinkSocket, error) {
	if path == "" {
		return nl.Subscribe(unix.NETLINK_ROUTE, groups...)
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	return nl.SubscribeAt(ns, netns.None(), unix.NETLINK_ROUTE, groups...)
}

// nl settles its byte order when it is asked first, and guards that by nothing: it
// is asked here, before a pass and a watch do so at one time.
var _ = nl.NativeEndian()

// socketDumper dumps from an rtnetlink socket. The socket must be one that is
// closed when ctx ends, which is what ends a wait for the kernel's answer.
func socketDumper(socket *nl.NetlinkSocket) dumper {
	return func(ctx context.Context, what request) ([][]byte, error) {
		req := nl.NewNetlinkRequest(int(what.kind), unix.NLM_F_DUMP)
		if what.kind == unix.RTM_GETADDR {
			req.AddData(nl.NewIfAddrmsg(int(what.family)))
		} else {
			req.AddData(nl.NewIfInfomsg(int(what.family)))
			req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(what.extMask)))
		}
		err := socket.Send(req)
		var messages [][]byte
		if err == nil {
			messages, err = receive(socket, what.reply, req.Seq)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return messages, err
	}
}

// maxCut is how many messages that were cut short are passed over to reach the
// end of a dump.
const maxCut = 256

// receive reads one dump to its end: with a request after one that was given up
// the kernel is busy. A message that is longer than the buffer is cut short, which
// comes out as EINVAL.
func receive(socket *nl.NetlinkSocket, reply uint16, seq uint32) (payloads [][]byte, err error) {
	interrupted, cut := false, 0
	for {
		messages, from, err := socket.Receive()
		if errors.Is(err, unix.EINVAL) && cut < maxCut {
			cut++
			continue
		}
		if err != nil {
			return nil, err
		}
		if from.Pid != 0 { // only port 0 is the kernel
			continue
		}
		for _, m := range messages {
			if m.Header.Seq != seq { // left over from a dump that was given up
				continue
			}
			interrupted = interrupted || m.Header.Flags&unix.NLM_F_DUMP_INTR != 0
			switch m.Header.Type {
			case reply:
				payloads = append(payloads, m.Data)
			case unix.NLMSG_ERROR:
				return nil, fmt.Errorf("refused by the kernel: %w", dumpError(m.Data))
			case unix.NLMSG_DONE:
				if err := dumpError(m.Data); err != nil {
					return nil, fmt.Errorf("broken off by the kernel: %w", err)
				}
				switch {
				case cut > 0:
					return nil, fmt.Errorf("%d messages were cut short: %w", cut, unix.EINVAL)
				case interrupted:
					return payloads, errInterrupted
				}
				return payloads, nil
			}
		}
	}
}

// dumpError reads the negative errno that begins the kernel's last message.
func dumpError(data []byte) error {
	if len(data) < 4 {
		return nil
	}
	if code := int32(binary.NativeEndian.Uint32(data)); code < 0 {
		return syscall.Errno(-code)
	}
	return nil
}
