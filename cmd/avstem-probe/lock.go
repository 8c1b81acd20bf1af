package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/evaluate/probe"
)

// lockWithin is how long a probe waits for another one: for the guard of one that
// was killed, which is soon done. One that is at work takes longer.
const lockWithin = 5 * time.Second

// lock takes a runtime of this host for this process, since a probe removes what
// any other one has made. A guard has the same open file and so holds the lock on
// after its probe was killed; the kernel lets go of it when both have ended.
func (a *app) lock(ctx context.Context) (*os.File, error) {
	f, err := os.OpenFile("/run/"+probe.Prefix+a.runtime+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("probe: take the lock: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, lockWithin, errors.New("another avstem-probe is at work on it"))
	defer cancel()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			f.Close()
			return nil, fmt.Errorf("probe: take the lock: flock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("probe: refused to touch %s: %w", a.runtime, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
