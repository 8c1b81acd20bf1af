package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/sentral"
)

// keepGone is how long a record that is gone can still be looked back at. Without
// an end the stream would grow with every VM that there ever was.
const keepGone = 90 * 24 * time.Hour

// ledger writes down on AVSTEM_INTENDED what the system of record says, each
// record when it changed, so that there is a past to look back at. Nothing that is
// judged rests on it.
type ledger struct {
	conn *bus.Conn
	site string
	log  *slog.Logger
	wake chan struct{} // holds one when there is something to write

	mu   sync.Mutex
	next *sentral.Inventory // the newest; nil once it is written
	last *sentral.Inventory // that was noted

	heads map[string]bus.IntendedHead // by subject, as they are kept; nil until read
}

func newLedger(conn *bus.Conn, site string, log *slog.Logger) *ledger {
	return &ledger{conn: conn, site: site, log: log, wake: make(chan struct{}, 1)}
}

// note takes the inventory that is used from now on. One that isn't written yet
// gives way to it.
func (l *ledger) note(inv *sentral.Inventory) {
	l.mu.Lock()
	if inv == nil || inv == l.last {
		l.mu.Unlock()
		return
	}
	l.last = inv
	l.next = inv
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends. What another reconciler wrote before is read again.
func (l *ledger) run(ctx context.Context) {
	said := ""
	l.heads = nil
	for {
		var again <-chan time.Time
		l.mu.Lock()
		inv := l.next
		l.mu.Unlock()
		if inv != nil {
			err := l.write(ctx, inv)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				l.heads = nil // whatever was written is read again
				if err.Error() != said {
					l.log.Warn("the inventory's history can't be written; trying again", "err", err)
					said = err.Error()
				}
				again = time.After(retryAfter)
			default:
				said = ""
				l.done(inv)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		case <-again:
		}
	}
}

func (l *ledger) done(inv *sentral.Inventory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == inv {
		l.next = nil
	}
}

// write keeps every record that differs from what is kept, and notes those that
// are gone.
func (l *ledger) write(ctx context.Context, inv *sentral.Inventory) error {
	if l.heads == nil {
		heads, err := l.conn.IntendedHeads(ctx, l.site)
		if err != nil {
			return err
		}
		l.heads = heads
	}
	there := make(map[string]bool, len(l.heads))
	for e := range history.Said(inv) {
		r := &bus.IntendedRecord{Site: l.site, Type: e.Type, ID: e.ID, Where: e.Where, Source: e.Inventory, Version: e.Version}
		text, left, err := e.Content()
		if err != nil {
			return fmt.Errorf("keep %s %s: %w", e.Type, e.ID, err)
		}
		if left {
			r.LeftOut = text
		} else {
			r.Record = text
		}
		subject, err := l.keep(ctx, r)
		if err != nil {
			return err
		}
		there[subject] = true
	}
	if inv.Incomplete {
		return nil // what isn't in it may be there all the same
	}
	return l.bury(ctx, inv, there)
}

// keep writes a record down unless it is what is kept.
func (l *ledger) keep(ctx context.Context, r *bus.IntendedRecord) (subject string, err error) {
	if subject, err = bus.IntendedSubject(l.site, r.Type, r.ID); err != nil {
		return "", err
	}
	if head, has := l.heads[subject]; has && head.Says(r) {
		return subject, nil
	}
	within, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if err := l.conn.KeepIntended(within, r); err != nil {
		return "", err
	}
	l.heads[subject] = r.Head(time.Now())
	return subject, nil
}

// bury notes records that are gone, and forgets those that have been for long.
func (l *ledger) bury(ctx context.Context, inv *sentral.Inventory, there map[string]bool) error {
	for subject, head := range l.heads {
		switch {
		case there[subject]:
		case !head.Gone():
			recordType, err := bus.IntendedType(subject)
			if err != nil {
				return err
			}
			if _, err := l.keep(ctx, &bus.IntendedRecord{Site: l.site, Type: recordType, ID: head.ID, Source: inv.Source, Version: inv.Version, Gone: true}); err != nil {
				return err
			}
		case time.Since(head.At) > keepGone:
			if err := l.conn.ForgetIntended(ctx, subject); err != nil {
				return err
			}
			delete(l.heads, subject)
		}
	}
	return nil
}
