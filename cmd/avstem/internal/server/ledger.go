package server

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// keepGone is how long a record that is gone can still be looked back at. Without
// an end the stream would grow with every VM that there ever was.
const keepGone = 90 * 24 * time.Hour

// ledger writes down on AVSTEM_INTENDED what the system of record says, each
// record when it changed, so that there is a past to look back at. Nothing that is
// judged rests on it.
type ledger struct {
	conn  *bus.Conn
	site  string
	leads func() error // why not, as another one leads
	log   *slog.Logger
	wake  chan struct{} // holds one when there is something to write

	mu      sync.Mutex
	now     used   // what is used now
	written uint64 // the change of it that this turn wrote last; 0 before the first

	heads map[string]bus.IntendedHead // by subject, as they are kept; nil until read
	said  *sentral.Inventory          // all of which is kept; nil where that isn't known
}

// used is what findings rest on, and how often that has changed.
type used struct {
	inventory *sentral.Inventory // nil until there is one
	policy    reconcile.Policy
	changes   uint64
}

// newLedger makes one that writes while leads gives no error.
func newLedger(conn *bus.Conn, site string, by reconcile.Policy, leads func() error, log *slog.Logger) *ledger {
	return &ledger{conn: conn, site: site, now: used{policy: by}, leads: leads, log: log, wake: make(chan struct{}, 1)}
}

// RecordOf reads what stands on AVSTEM_INTENDED.
func RecordOf(k bus.Kept) (history.Entry, error) {
	r, err := bus.DecodeIntended(k)
	if err != nil {
		return history.Entry{}, err
	}
	e := history.Entry{Cause: history.Cause{
		Side: history.Intended, At: k.Time, Stream: k.Stream, Sequence: k.Sequence,
		Type: r.Type, ID: r.ID, Where: r.Where, Inventory: r.Source, Version: r.Version,
	}}
	text, left := r.Record, false
	if len(r.LeftOut) > 0 {
		text, left = r.LeftOut, true
	}
	return e, e.SetContent(text, left)
}

// recordOf is what is written of an entry.
func recordOf(e *history.Entry, site string) (*bus.IntendedRecord, error) {
	r := &bus.IntendedRecord{Site: site, Type: e.Type, ID: e.ID, Where: e.Where, Source: e.Inventory, Version: e.Version}
	text, left, err := e.Content()
	if err != nil {
		return nil, fmt.Errorf("keep %s %s: %w", e.Type, e.ID, err)
	}
	if left {
		r.LeftOut = text
	} else {
		r.Record = text
	}
	return r, nil
}

// decided writes down at once, before what is in it, that an inventory is used: it
// was decided by a person, and whoever takes over must know.
func (l *ledger) decided(ctx context.Context, inv *sentral.Inventory) error {
	e := history.SaidOfAll(inv)
	r, err := recordOf(&e, l.site)
	if err == nil {
		err = l.leads()
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	return l.conn.KeepIntended(ctx, r)
}

// usedLast gives the version of the inventory that was written last, "" where there is
// none.
func (l *ledger) usedLast(ctx context.Context) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	err = l.conn.IntendedNow(ctx, l.site, history.WholeID.Type, func(k bus.Kept) error {
		e, err := RecordOf(k)
		if err == nil && e.Whole != nil {
			version = e.Whole.Version
		}
		return err
	})
	return version, err
}

// whole reads the inventory that was written last. What can't be read of it is left
// out.
func (l *ledger) whole(ctx context.Context) (*sentral.Inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	books := history.NewBooks()
	err := l.conn.IntendedNow(ctx, l.site, "", func(k bus.Kept) error {
		if e, err := RecordOf(k); err != nil {
			l.log.Debug("a kept record can't be read", "subject", k.Subject, "err", err)
		} else if !e.Gone {
			books.Take(e)
		}
		return nil
	})
	return books.Inventory(), err
}

// note takes the inventory that is used from now on. One that isn't written yet
// gives way to it.
func (l *ledger) note(inv *sentral.Inventory) {
	l.change(func(u *used) bool {
		differs := inv != nil && inv != u.inventory
		if differs {
			u.inventory = inv
		}
		return differs
	})
}

// judge takes the policy that is judged by from now on.
func (l *ledger) judge(by reconcile.Policy) {
	l.change(func(u *used) bool { u.policy = by; return true })
}

// change has the run look again if set says that it changed something.
func (l *ledger) change(set func(*used) bool) {
	l.mu.Lock()
	changed := set(&l.now)
	if changed {
		l.now.changes++
	}
	l.mu.Unlock()
	if !changed {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// unwritten gives what is used if that isn't written down yet.
func (l *ledger) unwritten() (used, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now, l.now.inventory != nil && l.now.changes != l.written
}

func (l *ledger) done(change uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written = change
}

// run writes until ctx ends. It begins with what is used, changed or not: another
// reconciler may have led meanwhile, and by something else.
func (l *ledger) run(ctx context.Context) {
	said := ""
	l.heads, l.said = nil, nil
	l.done(0)
	for {
		var again <-chan time.Time
		if now, is := l.unwritten(); is {
			err := l.write(ctx, now)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				l.heads, l.said = nil, nil // whatever was written is read again
				if err.Error() != said {
					l.log.Warn("the inventory's history can't be written; trying again", "err", err)
					said = err.Error()
				}
				again = time.After(retryAfter)
			default:
				said = ""
				l.said = now.inventory
				l.done(now.changes)
				continue // it may have changed meanwhile
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

// write keeps every record that differs from what is kept, and the policy, and notes
// those that are gone.
func (l *ledger) write(ctx context.Context, now used) error {
	inv := now.inventory
	if l.heads == nil {
		heads, err := l.conn.IntendedHeads(ctx, l.site)
		if err != nil {
			return err
		}
		l.heads = heads
	}
	there := make(map[string]bool, len(l.heads))
	same := unchangedVMs(l.said)
	for e := range history.Said(inv) {
		if vm, is := e.Record.(*sentral.VM); is && same(vm) { // there are many of them
			subject, err := bus.IntendedSubject(l.site, e.Type, e.ID)
			if err != nil {
				return err
			}
			there[subject] = true
			continue
		}
		r, err := recordOf(&e, l.site)
		if err != nil {
			return err
		}
		subject, err := l.keep(ctx, r)
		if err != nil {
			return err
		}
		there[subject] = true
	}
	by := history.Judged(now.policy)
	r, err := recordOf(&by, l.site)
	if err != nil {
		return err
	}
	subject, err := l.keep(ctx, r)
	if err != nil {
		return err
	}
	there[subject] = true
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
	if err := l.leads(); err != nil {
		return "", fmt.Errorf("keep record %s %s: %w", r.Type, r.ID, err)
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
