package incus

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	eventLimit = 1 << 20 // of one event
	pingEvery  = 30 * time.Second

	firstPause   = 100 * time.Millisecond // before listening again
	longestPause = 30 * time.Second
	calm         = time.Minute // after which a connection counts as sound
)

// Watch implements [collectors.Watcher] by the daemon's lifecycle events.
//
// The daemon disconnects a listener that is slow, and never tells again what was
// missed. So a connection that ends is made anew, and says that anything may have
// changed. A daemon that can't be connected to any more is gone.
func (c *Collector) Watch(ctx context.Context, changed func(collectors.Change)) error {
	pause := firstPause
	for event := "watching"; ; event = "listening again" {
		began := time.Now()
		lost, err := c.listen(ctx, event, changed)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !lost:
			return err
		case time.Since(began) > calm:
			pause = firstPause
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, longestPause)
	}
}

// listen listens on one connection, and says whether that was made and lost.
func (c *Collector) listen(ctx context.Context, first string, changed func(collectors.Change)) (lost bool, err error) {
	cl, err := c.connect(ctx)
	if err != nil {
		return false, err
	}
	defer cl.close()
	s, err := cl.server(ctx)
	if err != nil {
		return false, err
	}
	const call = "GET /1.0/events"
	target := url.URL{Scheme: "ws", Host: cl.flavor.name, Path: "/1.0/events",
		RawQuery: url.Values{"type": {"lifecycle"}, "all-projects": {"true"}}.Encode()}
	dialing, cancel := context.WithTimeoutCause(ctx, cl.timeout, fmt.Errorf("%w within %s", errSilent, cl.timeout))
	defer cancel()
	conn, _, err := websocket.Dial(dialing, target.String(), &websocket.DialOptions{HTTPClient: cl.http})
	if err != nil {
		if dialing.Err() != nil {
			err = context.Cause(dialing)
		}
		return false, &collectors.SourceError{Call: call, Why: whyOf(err), Remedy: cl.flavor.remedy(err), Err: err}
	}
	defer conn.CloseNow()
	conn.SetReadLimit(eventLimit)
	living, stop := context.WithCancel(ctx)
	var keeper sync.WaitGroup
	keeper.Go(func() { keepAlive(living, conn, cl.timeout) })
	defer keeper.Wait()
	defer stop()
	changed(collectors.Change{Event: first})
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return true, fmt.Errorf("%s: %w", call, err)
		}
		if change, ours := c.changeOf(text, s); ours {
			changed(change)
		}
	}
}

// keepAlive ends a connection whose other side has stopped answering.
func keepAlive(ctx context.Context, conn *websocket.Conn, timeout time.Duration) {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		limited, cancel := context.WithTimeout(ctx, timeout)
		err := conn.Ping(limited)
		cancel()
		if err != nil {
			conn.CloseNow()
			return
		}
	}
}

// event is what we read of an event (doc/events.md).
type event struct {
	Location string `json:"location"`
	Metadata struct {
		Action string `json:"action"`
		Source string `json:"source"` // the path of what it is about
	} `json:"metadata"`
}

// changeOf is what an event means here, and false for what changes nothing that
// a pass would see, or happens on another member of the cluster.
func (c *Collector) changeOf(text []byte, s *server) (collectors.Change, bool) {
	var e event
	if json.Unmarshal(text, &e) != nil {
		return collectors.Change{Event: "an event that can't be decoded"}, true
	}
	env := &s.Environment
	if env.Clustered && e.Location != "" && e.Location != env.Name || !matters(e.Metadata.Action) {
		return collectors.Change{}, false
	}
	change := collectors.Change{Event: e.Metadata.Action}
	if project, name, err := parsePath(e.Metadata.Source); err == nil {
		id := inventory.VM{NativeID: project + "/" + name}
		c.mu.Lock()
		known, found := c.known[id.NativeID]
		c.mu.Unlock()
		if found {
			id.UUID = known.uuid
			change.Entity = id.Entity()
		}
	}
	return change, true
}

// matters says whether an action changes what a pass sees. Of instances it is
// everything but what somebody does in them or looks at.
func matters(action string) bool {
	kind, rest, _ := strings.Cut(action, "-")
	switch kind {
	case "instance":
		for _, aside := range []string{"agent-", "backup-", "console", "exec", "file-", "log-", "metadata-"} {
			if strings.HasPrefix(rest, aside) {
				return false
			}
		}
		return true
	case "storage", "network", "profile", "project", "cluster":
		return true
	}
	return false
}
