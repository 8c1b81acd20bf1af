package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
)

// routeGroups are the groups that tell of what the passes read. A bridge tells
// of its ports in RTNLGRP_LINK, by RTM_NEWLINK of the family AF_BRIDGE: their
// state, and their VLANs where somebody changed them by RTM_SETLINK, as bridge(8)
// does.
var routeGroups = []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR}

// vlanGroup has the VLANs of ports however they were changed; of a change by
// RTM_NEWVLAN no RTM_NEWLINK tells. It is as old as that request (Linux 5.6),
// and its number is beyond those that bind(2) takes.
const vlanGroup = unix.RTNLGRP_BRVLAN

// routeEvents are the messages that count.
var routeEvents = map[uint16]string{
	unix.RTM_NEWLINK: "RTM_NEWLINK", unix.RTM_DELLINK: "RTM_DELLINK",
	unix.RTM_NEWADDR: "RTM_NEWADDR", unix.RTM_DELADDR: "RTM_DELADDR",
	unix.RTM_NEWVLAN: "RTM_NEWVLAN", unix.RTM_DELVLAN: "RTM_DELVLAN",
}

// nameRequest is the shortest list of links.
var nameRequest = request{"netlink RTM_GETLINK", unix.RTM_GETLINK, unix.RTM_NEWLINK, unix.AF_UNSPEC, rtnlSkipStats}

func (w *watch) subscribe() (*nl.NetlinkSocket, error) {
	socket, err := openRoute(w.NetNS, routeGroups...)
	if err != nil {
		return nil, w.openError(err)
	}
	// Only CAP_NET_ADMIN may have more than net.core.rmem_max.
	if err := socket.SetReceiveBufferSize(w.buffer, true); err != nil {
		if err := socket.SetReceiveBufferSize(w.buffer, false); err != nil {
			socket.Close()
			return nil, fmt.Errorf("set receive buffer of netlink socket: %w", err)
		}
	}
	err = unix.SetsockoptInt(socket.GetFd(), unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, vlanGroup)
	if err != nil && !errors.Is(err, unix.EINVAL) { // an older kernel
		socket.Close()
		return nil, fmt.Errorf("join netlink group RTNLGRP_BRVLAN: %w", err)
	}
	return socket, nil
}

// hearRoute listens until ctx ends or the socket fails. One that overran is left
// for a new one: what is still queued there is older than what was lost.
func (w *watch) hearRoute(ctx context.Context, socket *nl.NetlinkSocket) error {
	for {
		err := w.hearSocket(ctx, socket)
		if !errors.Is(err, unix.ENOBUFS) {
			return err
		}
		if socket, err = w.subscribe(); err != nil {
			return err
		}
		w.tell(ctx, collectors.Change{Event: "rtnetlink overran its buffer (ENOBUFS)"})
	}
}

// hearSocket listens until ctx ends or the socket fails, and closes it.
func (w *watch) hearSocket(ctx context.Context, socket *nl.NetlinkSocket) error {
	stop := context.AfterFunc(ctx, socket.Close)
	defer func() {
		if stop() {
			socket.Close()
		}
	}()
	names, err := w.linkNames(ctx)
	if err != nil {
		return err
	}
	for {
		messages, from, err := socket.Receive()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("receive from rtnetlink: %w", err)
		case from.Pid != 0: // not the kernel
			continue
		}
		for _, m := range messages {
			if change, ok := names.change(m); ok {
				w.tell(ctx, change)
			}
		}
	}
}

// linkNames are the names of links by index: messages about addresses have the
// index alone, and one about a link that was renamed has the new name alone.
type linkNames map[int]string

// linkNames asks for the names that links have now.
func (w *watch) linkNames(ctx context.Context) (linkNames, error) {
	socket, err := openRoute(w.NetNS)
	if err != nil {
		return nil, w.openError(err)
	}
	stop := context.AfterFunc(ctx, socket.Close)
	defer func() {
		if stop() {
			socket.Close()
		}
	}()
	messages, err := dumpAgain(ctx, socketDumper(socket), nameRequest)
	if err != nil && !errors.Is(err, errInterrupted) { // an event will tell of what changed meanwhile
		return nil, fmt.Errorf("%s: %w", nameRequest.name, err)
	}
	names := linkNames{}
	for _, m := range messages {
		if _, index, name := linkHeader(m); name != "" {
			names[index] = name
		}
	}
	return names, nil
}

// linkHeader reads what is at the head of a link's message, and its name.
func linkHeader(b []byte) (family uint8, index int, name string) {
	if len(b) < unix.SizeofIfInfomsg {
		return 0, 0, ""
	}
	return b[0], int(int32(binary.NativeEndian.Uint32(b[4:]))), linkName(b)
}

// change says what a message tells, and keeps the names. Where a link is called
// otherwise or is in another namespace now, others that it is the parent or the
// peer of are told of otherwise too and have no message of their own: that is a
// change of everything, as is one about a link that nobody knows.
func (names linkNames) change(m syscall.NetlinkMessage) (collectors.Change, bool) {
	event, counts := routeEvents[m.Header.Type]
	if !counts {
		return collectors.Change{}, false
	}
	everything := collectors.Change{Event: event}
	if m.Header.Type != unix.RTM_NEWLINK && m.Header.Type != unix.RTM_DELLINK {
		const indexAt = 4 // in struct ifaddrmsg and struct br_vlan_msg
		if len(m.Data) < indexAt+4 {
			return everything, true
		}
		return names.about(int(int32(binary.NativeEndian.Uint32(m.Data[indexAt:]))), event), true
	}
	family, index, name := linkHeader(m.Data)
	before := names[index]
	switch {
	case name == "":
		return everything, true
	case family == unix.AF_BRIDGE: // of a port, which is a link for longer than a port
		return names.about(index, event), true
	case m.Header.Type == unix.RTM_DELLINK:
		delete(names, index)
		if movedAway(m.Data) {
			return everything, true
		}
		return collectors.Change{Entity: linkEntity(name), Event: event}, true
	}
	names[index] = name
	if before != "" && before != name {
		return everything, true
	}
	return names.about(index, event), true
}

func (names linkNames) about(index int, event string) collectors.Change {
	if names[index] == "" {
		return collectors.Change{Event: event}
	}
	return collectors.Change{Entity: linkEntity(names[index]), Event: event}
}

// movedAway says whether a link that is gone from here went to another network
// namespace.
func movedAway(b []byte) bool {
	err := attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, _ []byte) error {
		if kind == unix.IFLA_NEW_NETNSID {
			return errFound
		}
		return nil
	})
	return errors.Is(err, errFound)
}
