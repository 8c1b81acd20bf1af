package network

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

// whyOf classifies an error of a socket or a file.
func whyOf(err error) inventory.Why {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED): // a socket left behind
		return inventory.WhyAbsent
	case errors.Is(err, context.Canceled), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.EAGAIN):
		// EAGAIN is what connect(2) gives for a unix socket whose backlog is
		// full because its server accepts nothing any more.
		return inventory.WhyTimedOut
	}
	return collectors.WhyOf(err)
}
