package lab

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/vishvananda/netns"
)

//go:embed furnish.sh
var furnish string

//go:embed vm.sh
var startVM string

// furnishTimeout bounds the making of links, disks and VMs, each of which takes
// half a minute.
const furnishTimeout = 5 * time.Minute

// Furnish makes of a host that just booted what hypervisor hosts usually are: a
// bond of its two NICs under a bridge that filters VLANs, the host itself on VLAN
// 110 (at 10.110.0.1, .2 …), a disk with two paths, a volume group and a file
// system on it, an Open vSwitch bridge. A reboot takes it all away but what is in
// the host's own file system.
func (h *Host) Furnish(ctx context.Context) error { return h.script(ctx, "furnish", furnish) }

// StartVM starts libvirt on a furnished host, and in it web-01 (web-02 on the
// second host …), an emulated VM on VLAN 120 that stays paused.
func (h *Host) StartVM(ctx context.Context) error { return h.script(ctx, "start a VM on", startVM) }

func (h *Host) script(ctx context.Context, what, script string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, furnishTimeout, fmt.Errorf("not done after %s", furnishTimeout))
	defer cancel()
	if _, err := h.run(ctx, fmt.Sprintf("sh -s %d", h.n+1), []byte(script)); err != nil {
		return fmt.Errorf("%s %s: %w", what, h.Name(), err)
	}
	return nil
}

// Listen listens on a TCP port of the lab's network, which hosts reach at
// [Lab.Address] or by the name "lab".
func (l *Lab) Listen(port int) (net.Listener, error) {
	type result struct {
		listener net.Listener
		err      error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // for good: the thread is in the lab's network and goes with the goroutine
		listener, err := listenIn(l.rig.NetNS(), net.JoinHostPort(address, fmt.Sprint(port)))
		done <- result{listener, err}
	}()
	r := <-done
	return r.listener, r.err
}

func listenIn(namespace, address string) (net.Listener, error) {
	handle, err := netns.GetFromPath(namespace)
	if err != nil {
		return nil, fmt.Errorf("listen in lab: %w", err)
	}
	defer handle.Close()
	if err := netns.Set(handle); err != nil {
		return nil, fmt.Errorf("listen in lab: %w", err)
	}
	return net.Listen("tcp4", address)
}
