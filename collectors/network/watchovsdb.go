package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/dataverket/avstem/collectors"
)

// OVSDB's monitor (RFC 7047 section 4.1.5): the server sends an update for each
// change of a monitored column, until the connection ends.

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// hearOVSDB monitors the database until ctx ends, over as many connections as it
// takes. It calls attempted once it monitors, or knows that it can't yet. When a
// monitor ends, and when one begins after the watch has, changes may have been
// missed.
func (w *watch) hearOVSDB(ctx context.Context, attempted func()) {
	for wait := firstRetry; ctx.Err() == nil; wait = min(2*wait, lastRetry) {
		began := false
		err := w.monitorOVSDB(ctx, func() {
			if w.watching.Load() {
				w.tell(ctx, collectors.Change{Event: "OVSDB is there"})
			}
			began = true
			attempted()
		})
		attempted()
		if began {
			wait = firstRetry
			w.tell(ctx, collectors.Change{Event: fmt.Sprintf("OVSDB is gone: %v", err)})
		}
		pause := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// monitorOVSDB monitors over one connection, to its end. It calls began when the
// server has agreed.
func (w *watch) monitorOVSDB(ctx context.Context, began func()) error {
	socket, err := w.findOVSDB(nil)
	if err != nil || socket == "" {
		return err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	var heard atomic.Bool
	probing := make(chan struct{})
	go func() {
		defer close(probing)
		cancel(probeOVSDB(ctx, conn, &heard, w.probe))
	}()
	defer func() { cancel(nil); <-probing }()
	err = hearUpdates(conn, maxOVSDBReply, &heard, began, func(change collectors.Change) { w.tell(ctx, change) })
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return err
}

// probeOVSDB asks for a sign of life each time that long has passed, and fails
// where none came since it last asked: the kernel accepts bytes for a server
// that is stopped.
func probeOVSDB(ctx context.Context, conn io.Writer, heard *atomic.Bool, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	heard.Store(true)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if !heard.Swap(false) {
			return fmt.Errorf("nothing was heard of ovsdb-server for %v: it doesn't answer, or who is told of changes takes that long", every)
		}
		if err := json.NewEncoder(conn).Encode(rpcRequest{"echo", []any{}, "alive"}); err != nil {
			return fmt.Errorf("write to ovsdb-server: %w", err)
		}
	}
}

// monitorRequest asks for what happens to what a pass reads, and not for what is
// there now.
func monitorRequest() rpcRequest {
	tables := map[string]any{}
	for _, t := range ovsdbTables {
		tables[t.name] = map[string]any{"columns": t.columns, "select": map[string]bool{"initial": false}}
	}
	return rpcRequest{"monitor", []any{ovsdbDatabase, monitorID, tables}, "avstem"}
}

const monitorID = "avstem"

// hearUpdates asks for updates and reads them to the connection's end, each of
// at most limit bytes.
func hearUpdates(conn io.ReadWriter, limit int64, heard *atomic.Bool, began func(), tell func(collectors.Change)) error {
	if err := json.NewEncoder(conn).Encode(monitorRequest()); err != nil {
		return fmt.Errorf("write to ovsdb-server: %w", err)
	}
	bounded := &io.LimitedReader{R: conn}
	decoder := json.NewDecoder(bounded)
	for {
		bounded.N = limit
		var m rpcMessage
		if err := decoder.Decode(&m); err != nil {
			return readError(err, bounded, limit)
		}
		heard.Store(true)
		switch {
		case m.Method == "echo":
			if err := answerEcho(conn, m); err != nil {
				return err
			}
		case m.Method == "update":
			for _, change := range decodeUpdate(m.Params) {
				tell(change)
			}
		case m.Method != "" || string(m.ID) != ovsdbRequestID: // the answer to an echo
		case !isNull(m.Error):
			return fmt.Errorf("ovsdb-server answers with error %.200s", m.Error)
		default:
			began()
		}
	}
}

// decodeUpdate reads the params of an update: the monitor's name, and what
// happened to rows, by table and UUID (RFC 7047 section 4.1.6). One that can't be
// understood may have been about anything.
func decodeUpdate(params json.RawMessage) []collectors.Change {
	var monitor string
	var tables map[string]map[string]rowUpdate
	if err := unmarshalPair(params, &monitor, &tables); err != nil {
		return []collectors.Change{{Event: "OVSDB update"}}
	}
	var changes []collectors.Change
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		for _, id := range slices.Sorted(maps.Keys(tables[table])) {
			changes = append(changes, tables[table][id].change(table))
		}
	}
	return changes
}

func unmarshalPair(raw json.RawMessage, first, second any) error {
	var pair []json.RawMessage
	if err := json.Unmarshal(raw, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return errors.New("not a pair")
	}
	return errors.Join(json.Unmarshal(pair[0], first), json.Unmarshal(pair[1], second))
}

// rowUpdate is what happened to a row: New is absent of one that was deleted,
// Old of one that was inserted, and otherwise holds the columns that changed.
type rowUpdate struct {
	Old row `json:"old"`
	New row `json:"new"`
}

// ovsdbEntities are how changes name the rows of a table.
var ovsdbEntities = map[string]string{"Bridge": "ovsBridge:", "Port": "ovsPort:", "Interface": "ovsInterface:"}

func (u rowUpdate) change(table string) collectors.Change {
	event, r := "OVSDB modify", u.New
	switch {
	case u.New == nil:
		event, r = "OVSDB delete", u.Old
	case u.Old == nil:
		event = "OVSDB insert"
	}
	entity, known := ovsdbEntities[table]
	name, err := ovsdbName(r)
	if !known || err != nil {
		return collectors.Change{Event: event}
	}
	return collectors.Change{Entity: entity + name, Event: event}
}
