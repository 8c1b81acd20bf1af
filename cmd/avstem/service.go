package main

import (
	"context"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// tellEvery is how often systemd is told how the reconciler is. It is below half of
// any sensible WatchdogSec.
const tellEvery = 10 * time.Second

// service tells systemd how a reconciler is doing.
type service struct {
	words   func(now time.Time) string // what systemctl status shows; it doesn't come back from one that hangs
	systemd func(state ...string)
}

// notify tells systemd, where it asked to be told.
func notify(state ...string) {
	// An error means that nobody listens, which is nobody's trouble.
	_, _ = daemon.SdNotify(false, strings.Join(state, "\n"))
}

// run tells until ctx ends. Ready is not leading: one that stands by is as it should be.
func (s *service) run(ctx context.Context) error {
	s.systemd(daemon.SdNotifyReady)
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	for {
		s.systemd("STATUS="+s.words(time.Now().UTC()), daemon.SdNotifyWatchdog)
		select {
		case <-ctx.Done():
			s.systemd(daemon.SdNotifyStopping, "STATUS=stopping")
			return nil
		case <-tell.C:
		}
	}
}
