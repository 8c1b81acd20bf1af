package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/interrupt"
)

// firstWait is the pause after the first attempt that found no server; pauses double
// until they are as long as systemd may go without a word.
const firstWait = time.Second

// patience waits for a NATS server that isn't there yet. A service that ended instead
// would be started again each few seconds, and fill the journal.
type patience struct {
	log     *slog.Logger
	systemd func(state ...string)
	first   time.Duration // the first pause
}

// await dials until a server answers, ctx ends, or the error is one that waiting
// doesn't mend. systemd is told at the first failure that the service is up, since
// whoever boots or starts it isn't to wait for another machine, and at each what is
// waited for.
func (p *patience) await(ctx context.Context, dial func() (*bus.Conn, error)) (*bus.Conn, error) {
	said := ""
	for wait := p.first; ; wait = min(2*wait, tellEvery) {
		conn, err := dial()
		if err == nil || ctx.Err() != nil || !bus.IsAway(err) {
			return conn, err
		}
		if err.Error() != said {
			said = err.Error()
			p.log.Warn("NATS is waited for", "err", err)
		}
		p.systemd(daemon.SdNotifyReady, "STATUS=waiting for NATS: "+said, daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// untilStopped is the error of a command that runs until it is told to end: that it
// was told is none, however far it had got.
func untilStopped(ctx context.Context, err error) error {
	if _, told := interrupt.Of(ctx); told && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
