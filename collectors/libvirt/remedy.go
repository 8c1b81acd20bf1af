package libvirt

import (
	"context"
	"errors"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/dataverket/avstem/inventory"
)

const (
	remedyReport = "compare with virsh dumpxml, and report it if that is whole: this is a form that avstem doesn't know"
	remedyDefect = "this is a defect in avstem: please report it with the stack"
)

// remedyOf says what a person can do about an error of a call to the daemon.
func remedyOf(err error) string {
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded):
		return "see whether the daemon answers (virsh -r list) and what it waits for; its VMs run on while it is restarted"
	case errors.Is(err, context.Canceled):
		return "none is needed: the agent ended the pass"
	case errors.Is(err, errFraming):
		return "see what listens on the socket: it doesn't speak libvirt's protocol"
	case errors.Is(err, errDefect):
		return remedyDefect
	case errors.Is(err, errLost):
		return "the next pass connects anew; if the daemon keeps going away, see its log (journalctl -u libvirtd -u virtqemud)"
	}
	if lvErr, ok := errors.AsType[golibvirt.Error](err); ok && golibvirt.ErrorNumber(lvErr.Code) == golibvirt.ErrNoConnect {
		return "install the daemon's driver for it, or name another URI"
	}
	switch whyOf(err) {
	case inventory.WhyRefused:
		return "allow the agent's user this call in libvirt's access control (polkit)"
	case inventory.WhyAbsent:
		return "see whether it is meant to be there: what refers to it does"
	}
	return "see the daemon's log (journalctl -u libvirtd -u virtqemud)"
}
