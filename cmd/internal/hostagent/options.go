package hostagent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/collectors/identity"
	"github.com/dataverket/avstem/collectors/images"
	"github.com/dataverket/avstem/collectors/incus"
	"github.com/dataverket/avstem/collectors/libvirt"
	"github.com/dataverket/avstem/collectors/network"
	"github.com/dataverket/avstem/collectors/qemu"
	"github.com/dataverket/avstem/collectors/storage"
)

// Options are plain values, as flags give them.
type Options struct {
	// Root is where the host's file system begins, "" for "/": another one is a
	// mount of the host's, or a capture, which has another boot ID than the kernel
	// and tells nothing of links.
	Root string
	// LibvirtSockets are tried in order; none means the usual ones. LibvirtURI
	// is the driver's, "" for qemu:///system.
	LibvirtSockets []string
	LibvirtURI     string
	// IncusSockets and LXDSockets are tried in order; none means the usual ones,
	// and [NoSocket] that the runtime is left alone.
	IncusSockets, LXDSockets []string
	// QMPSockets are monitors of QEMU's that were made for avstem, as absolute
	// paths or patterns; none means that QEMU is seen by its processes alone.
	QMPSockets []string
	// OVSDB is the socket of Open vSwitch's database, "" for the usual ones;
	// NetNS the network namespace to read, "" for our own.
	OVSDB, NetNS string

	StateDir string // see bus.StateDir
	Site     string // "" means bus.DefaultSite
	Version  string

	Interval, Timeout, Refresh, Beat time.Duration // zero means the agent's defaults

	// readImages lets whole images be read for their digests, in the background.
	readImages bool

	// Connect is how a running agent reaches NATS.
	Connect func(context.Context) (*bus.Conn, error)
	Logger  *slog.Logger // nil means none
}

func (o Options) site() string {
	if o.Site == "" {
		return bus.DefaultSite
	}
	return o.Site
}

// NoSocket stands for the socket of a runtime that is not to be observed: one
// that answers none but root would make its host look half seen for ever.
const NoSocket = "none"

// Collectors are what a host is observed by.
func Collectors(o Options) []collectors.Collector {
	vms := &libvirt.Collector{Root: o.Root, Sockets: o.LibvirtSockets, URI: o.LibvirtURI, Logger: o.Logger}
	all := []collectors.Collector{
		&identity.Collector{Root: o.Root},
		&network.Collector{Root: o.Root, NetNS: o.NetNS, OVSDB: o.OVSDB, Capture: o.NetNS == "" && isCapture(o.Root)},
		&storage.Collector{Root: o.Root},
		vms,
		// What VMs rest on is libvirt's to know; the collectors don't know each other.
		&images.Collector{Root: o.Root, Files: vms.ImageFiles, Cache: filepath.Join(o.StateDir, "images.json"), Read: o.readImages, Logger: o.Logger},
	}
	for _, runtime := range []struct {
		flavor  incus.Flavor
		sockets []string
	}{{incus.Incus, o.IncusSockets}, {incus.LXD, o.LXDSockets}} {
		if !slices.Equal(runtime.sockets, []string{NoSocket}) {
			all = append(all, &incus.Collector{Flavor: runtime.flavor, Root: o.Root, Sockets: runtime.sockets, Logger: o.Logger})
		}
	}
	return append(all, &qemu.Collector{Root: o.Root, NetNS: o.NetNS, Monitors: o.QMPSockets, Logger: o.Logger})
}

// isCapture says whether the files below root are known to be of another boot than
// the kernel that runs. A container that has its host's / elsewhere is no capture.
func isCapture(root string) bool {
	if root == "" {
		return false
	}
	theirs, err := identity.BootID(root)
	ours, oursErr := identity.BootID("")
	return err == nil && oursErr == nil && theirs != ours
}

// Sources names the collectors' sources.
func Sources() []string {
	var names []string
	for _, c := range Collectors(Options{}) {
		names = append(names, c.Source())
	}
	slices.Sort(names)
	return names
}

// CheckQMPSockets says what is wrong with Options.QMPSockets.
func CheckQMPSockets(sockets []string) error { return qemu.CheckMonitors(sockets) }

// Root makes Options.Root absolute, as collectors want it, and refuses one that
// isn't there, which would look like a host that has nothing.
func Root(root string) (string, error) {
	if root == "" {
		return "", nil
	}
	path, err := filepath.Abs(root)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && !info.IsDir() {
			err = errors.New("not a directory")
		}
	}
	if err != nil {
		return "", fmt.Errorf("read the host's files below %s (--root): %w", root, err)
	}
	return path, nil
}
