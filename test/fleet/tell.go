package fleet

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
)

// Tell publishes events as a server does.
func Tell(ctx context.Context, conn *bus.Conn, site string, events []reconcile.Event) error {
	for i := range events {
		f := &events[i].Finding
		data, err := json.Marshal(f)
		if err != nil {
			return fmt.Errorf("encode finding %s: %w", f.ID, err)
		}
		if err := conn.PublishDrift(ctx, bus.DriftEvent{
			ID:     fmt.Sprintf("%s.%s.%d.%d", f.ID, events[i].Change, f.LastSeen.UnixNano(), f.Flaps),
			Action: bus.DriftAction(events[i].Change), Kind: string(f.Kind), Site: site, Subject: f.ID, Time: f.LastSeen, Finding: data,
		}); err != nil {
			return err
		}
	}
	return nil
}
