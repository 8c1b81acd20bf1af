// Package libvirt drives throwaway VMs on a libvirt daemon, for package probe.
//
// Everything goes over the daemon's read-write socket, disks and network too, so
// that the probe needs no files of its own and no program. What it makes is a
// storage pool and a network of its own, and domains on them, all bearing the
// probe's prefix. A guest has no system: it is the smallest that QEMU starts, and
// what is attached to it goes where QEMU needs nobody's consent to take it away
// again (SCSI, USB; a PCI device leaves only once the guest has agreed).
package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/dataverket/avstem/evaluate/probe"
)

// Driver is a [probe.Driver] for one daemon. Close ends its connection.
type Driver struct {
	// Sockets are tried in order; nil means the read-write sockets of libvirtd and
	// virtqemud.
	Sockets []string
	URI     string // "" means qemu:///system
	// Images is the directory on the host below which the probe's pool is made;
	// "" means libvirt's own, /var/lib/libvirt/images.
	Images string
	// Restart restarts the daemon, and says what was done; nil means that this
	// isn't tried.
	Restart func(context.Context) (did string, err error)

	lv   *golibvirt.Libvirt
	conn net.Conn
	kvm  bool // guests can be virtualized, and need not be emulated
}

var defaultSockets = []string{"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"}

// About implements [probe.Driver].
func (d *Driver) About(ctx context.Context) (about probe.About, err error) {
	err = d.with(ctx, func(lv *golibvirt.Libvirt) error {
		driver, err := lv.ConnectGetType()
		if err != nil {
			return err
		}
		number, err := lv.ConnectGetLibVersion()
		if err != nil {
			return err
		}
		capabilities, err := lv.ConnectGetCapabilities()
		if err != nil {
			return err
		}
		d.kvm = strings.Contains(capabilities, "<domain type='kvm'")
		about = probe.About{Platform: "libvirt", Runtime: "libvirt-" + strings.ToLower(driver),
			Version: fmt.Sprintf("%d.%d.%d", number/1_000_000, number/1_000%1_000, number%1_000)}
		return nil
	})
	if err != nil {
		return probe.About{}, fmt.Errorf("ask libvirt what it is: %w", err)
	}
	return about, nil
}

// Close implements [probe.Driver].
func (d *Driver) Close() error {
	d.drop()
	return nil
}

func (d *Driver) drop() {
	if d.conn != nil {
		_ = d.conn.Close() // nothing waits for it
		d.conn, d.lv = nil, nil
	}
}

// with makes calls on the connection, which is made where there is none. Since
// go-libvirt has no deadlines, it is closed when ctx ends, and never used again
// after a call that broke off.
func (d *Driver) with(ctx context.Context, calls func(*golibvirt.Libvirt) error) error {
	if d.lv != nil && !d.lv.IsConnected() { // the daemon went away
		d.drop()
	}
	if d.lv == nil {
		if err := d.connect(ctx); err != nil {
			return err
		}
	}
	conn := d.conn
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	err := calls(d.lv)
	if ctx.Err() != nil {
		d.drop()
		return context.Cause(ctx)
	}
	return err
}

type established struct{ net.Conn }

func (e established) Dial() (net.Conn, error) { return e.Conn, nil }

func (d *Driver) connect(ctx context.Context) error {
	sockets := d.Sockets
	if sockets == nil {
		sockets = defaultSockets
	}
	var failed []error
	for _, path := range sockets {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "unix", path)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		lv := golibvirt.NewWithDialer(established{conn})
		uri := d.URI
		if uri == "" {
			uri = string(golibvirt.QEMUSystem)
		}
		err = lv.ConnectToURI(golibvirt.ConnectURI(uri))
		stop()
		if err != nil {
			_ = conn.Close()
			return fmt.Errorf("open %s at %s: %w", uri, path, err)
		}
		d.conn, d.lv = conn, lv
		return nil
	}
	return fmt.Errorf("connect to libvirt's read-write socket, as root: %w", errors.Join(failed...))
}

// domain looks the VM up, by its UUID once that is known.
func domain(lv *golibvirt.Libvirt, vm *probe.VM) (golibvirt.Domain, error) {
	if vm.UUID != uuid.Nil {
		return lv.DomainLookupByUUID(golibvirt.UUID(vm.UUID))
	}
	return lv.DomainLookupByName(vm.Name)
}
