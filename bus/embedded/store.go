package embedded

import (
	"context"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// storeCheck is how often the streams are looked at.
const storeCheck = 5 * time.Second

// keepStore opens the streams again after the disk was full. A write that fails
// makes nats-server 2.15 give up the stream it was for, silently to publishers
// and until it is restarted. Nothing is lost by it: what was acknowledged is on
// disk, and what was not is still with its publisher.
func (s *Server) keepStore(ctx context.Context) {
	tick := time.NewTicker(storeCheck)
	defer tick.Stop()
	for said := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		health := s.nats.Healthz(nil)
		if health.Status == "ok" {
			said = false
			continue
		}
		if err := checkRoom(s.o.StateDir); err != nil {
			if !said {
				s.o.Logger.Error("nothing more is kept until there is room", "err", err)
			}
			said = true
			continue
		}
		s.reopen(health.Error)
	}
}

func (s *Server) reopen(why string) {
	s.o.Logger.Warn("streams are opened again", "why", why)
	if err := s.nats.ShutdownJetStream(); err != nil {
		s.o.Logger.Error("streams can't be closed", "err", err)
		return
	}
	room, err := storeLimit(s.o.StateDir)
	if err == nil {
		err = s.nats.EnableJetStream(&server.JetStreamConfig{
			StoreDir: s.o.StateDir, MaxMemory: memoryStore, MaxStore: room, SyncAlways: true, Strict: true, CompressOK: true,
		})
	}
	if err != nil {
		s.o.Logger.Error("streams can't be opened", "err", err)
	}
}
