package libvirt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// defaultSockets are where the daemons offer read-only access. libvirtd's comes
// first, which virtproxyd offers on hosts with modular daemons: where systemd
// activates virtqemud by its socket, a mere connection would stop a libvirtd
// that runs, as the two units conflict.
var defaultSockets = []string{"/run/libvirt/libvirt-sock-ro", "/run/libvirt/virtqemud-sock-ro"}

func (c *Collector) sockets() []string {
	if c.Sockets != nil {
		return c.Sockets
	}
	paths := make([]string, len(defaultSockets))
	for i, path := range defaultSockets {
		paths[i] = filepath.Join("/", c.Root, path)
	}
	return paths
}

// dial connects to the first socket that answers. Where none does, the error
// is the most telling one: refused before not running before not there.
func dial(ctx context.Context, sockets []string) (net.Conn, string, error) {
	var refused, dead, other error
	for _, path := range sockets {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return conn, path, nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			refused = &collectors.SourceError{Call: "connect " + path, Why: inventory.WhyRefused, Err: err,
				Remedy: "let everybody connect to the read-only socket and search its directory: SocketMode=0666 by systemctl edit libvirtd-ro.socket (virtqemud-ro.socket), " +
					`or where no such unit makes it, unix_sock_ro_perms = "0777" in libvirtd.conf`}
		case errors.Is(err, syscall.ECONNREFUSED):
			dead = &collectors.SourceError{Call: "connect " + path, Why: inventory.WhyAbsent,
				Err:    fmt.Errorf("the socket is there and nobody listens on it: %w", syscall.ECONNREFUSED),
				Remedy: "start the daemon (systemctl start libvirtd, or virtqemud); its VMs may run on without it"}
		default:
			other = &collectors.SourceError{Call: "connect " + path, Why: whyOf(err), Err: err,
				Remedy: "name the read-only socket that libvirtd or virtqemud listens on"}
		}
	}
	for _, err := range []error{refused, other, dead} {
		if err != nil {
			return nil, "", err
		}
	}
	return nil, "", &collectors.SourceError{Call: "connect", Why: inventory.WhyAbsent,
		Remedy: "none is needed where libvirt isn't meant to run; else install and start it, or name the socket that it listens on",
		Err:    fmt.Errorf("libvirt is %w: no socket at %s", collectors.ErrAbsent, strings.Join(sockets, " or "))}
}
