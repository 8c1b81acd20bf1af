package network

import (
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// namespace is a network namespace of a test's own. It goes when its descriptor
// is closed, with every link in it.
type namespace struct {
	t      testing.TB
	handle netns.NsHandle
	*netlink.Handle
}

func newNamespace(t testing.TB) *namespace {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	fresh, err := netns.New()
	if err != nil {
		t.Fatalf("make network namespace (tests run as root): %v", err)
	}
	if err := netns.Set(own); err != nil {
		t.Fatal(err)
	}
	handle, err := netlink.NewHandleAt(fresh)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { handle.Close(); fresh.Close() })
	return &namespace{t, fresh, handle}
}

func (n *namespace) path() string { return fmt.Sprintf("/proc/self/fd/%d", int(n.handle)) }

// do runs f on a thread that is in the namespace.
func (n *namespace) do(f func() error) {
	n.t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread goes with the goroutine
		if err := netns.Set(n.handle); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	if err := <-done; err != nil {
		n.t.Fatal(err)
	}
}

// add adds a link and gives its index.
func (n *namespace) add(l netlink.Link) int {
	n.t.Helper()
	n.do(func() error { return netlink.LinkAdd(l) }) // a tap is made in the thread's namespace
	made, err := n.LinkByName(l.Attrs().Name)
	if err != nil {
		n.t.Fatalf("find new link %s: %v", l.Attrs().Name, err)
	}
	return made.Attrs().Index
}

func (n *namespace) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

func (n *namespace) up(names ...string) {
	n.t.Helper()
	for _, name := range names {
		n.must(n.LinkSetUp(n.link(name)))
	}
}

func (n *namespace) link(name string) netlink.Link {
	n.t.Helper()
	l, err := n.LinkByName(name)
	n.must(err)
	return l
}

func (n *namespace) address(name, cidr string) {
	n.t.Helper()
	addr, err := netlink.ParseAddr(cidr)
	n.must(err)
	// Nobody else is on these links: duplicate address detection would only
	// make the address's arrival a matter of time.
	if addr.IP.To4() == nil {
		addr.Flags = 0x02 // IFA_F_NODAD
	}
	n.must(n.AddrAdd(n.link(name), addr))
}

// attrs describes a link whose MAC ends with last.
func attrs(name string, last byte) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	a.HardwareAddr = net.HardwareAddr{0x52, 0x54, 0, 0xaa, 0, last}
	return a
}
