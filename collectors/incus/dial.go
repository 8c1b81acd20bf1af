package incus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// socketsBelow are the flavor's usual sockets, below another root where one is given.
func (f *Flavor) socketsBelow(root string) []string {
	paths := make([]string, len(f.sockets))
	for i, path := range f.sockets {
		paths[i] = filepath.Join("/", root, path)
	}
	return paths
}

// dial connects to the first socket that answers. Where none does, the error is
// the most telling one: refused before not running before not there.
func dial(ctx context.Context, f *Flavor, sockets []string) (net.Conn, string, error) {
	var refused, dead, other error
	for _, path := range sockets {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		switch {
		case err == nil:
			return conn, path, nil
		case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR):
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
			refused = &collectors.SourceError{Call: "connect " + path, Why: inventory.WhyRefused, Err: err, Remedy: f.remedyRefused()}
		case errors.Is(err, syscall.ECONNREFUSED):
			dead = &collectors.SourceError{Call: "connect " + path, Why: inventory.WhyAbsent,
				Err:    fmt.Errorf("the socket is there and nobody listens on it: %w", syscall.ECONNREFUSED),
				Remedy: "start the daemon (systemctl start " + f.service + "); its instances may run on without it"}
		default:
			other = &collectors.SourceError{Call: "connect " + path, Why: whyOf(err), Err: err,
				Remedy: "name the socket that " + f.title + " listens on"}
		}
	}
	for _, err := range []error{refused, other, dead} {
		if err != nil {
			return nil, "", err
		}
	}
	return nil, "", &collectors.SourceError{Call: "connect", Why: inventory.WhyAbsent,
		Remedy: "none is needed where " + f.title + " isn't meant to run; else install and start it, or name the socket that it listens on",
		Err:    fmt.Errorf("%s is %w: no socket at %s", f.title, collectors.ErrAbsent, strings.Join(sockets, " or "))}
}

// remedyRefused is honest about what it asks for.
func (f *Flavor) remedyRefused() string {
	return "run the agent as root or in group " + f.group + ", which is root by another name: " + f.title +
		" has no read-only access to its socket (/usr/share/doc/avstem-agent/runtimes.md)"
}

// remedy says what a person can do about an error of a call.
func (f *Flavor) remedy(err error) string {
	se, said := errors.AsType[*statusError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "none is needed: the agent ended the pass"
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded):
		return "see whether the daemon answers (" + f.list + ") and what it waits for; its instances run on while it is restarted"
	case said && (se.code == http.StatusForbidden || se.code == http.StatusUnauthorized):
		return f.remedyRefused()
	case said && se.code == http.StatusNotFound:
		return "see whether it is meant to be there: what refers to it does"
	}
	return "see the daemon's log (journalctl -u " + f.service + ")"
}
