package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketLeases is the KV bucket that says who reconciles each site; its stream is
// KV_AVSTEM_LEASES.
const BucketLeases = "AVSTEM_LEASES"

const (
	// LeaseFor is how long a lease must stand unrenewed, before the eyes of who
	// waits for it, to be free. Nobody's clock is compared with another one's.
	LeaseFor = 3 * time.Second
	// leaseTrust is how long its holder relies on it after a renewal was sent:
	// less, so that two never rely on it at one time, as long as neither is held
	// up between looking and writing. For that case there is the [Fence].
	leaseTrust = 2 * time.Second
	renewEvery = time.Second
	lookEvery  = 250 * time.Millisecond
	leaseCall  = 2 * time.Second
)

// LostLeaseError says that somebody else has the lease now.
type LostLeaseError struct {
	Site, Holder string
}

func (e *LostLeaseError) Error() string {
	return fmt.Sprintf("keep the lease of site %s: %s has it now", e.Site, cmp.Or(e.Holder, "nobody"))
}

// leaseRecord is the bucket's value for a site.
type leaseRecord struct {
	Holder string    `json:"holder"` // "" where it was given back
	Since  time.Time `json:"since"`  // for people
}

// Lease is the right to write the findings of one site. One process has it at a
// time.
type Lease struct {
	conn   *Conn
	site   string
	record leaseRecord

	renewing sync.Mutex // one at a time
	rev      uint64

	mu      sync.Mutex
	trusted time.Time // until when it may be relied on
}

// AwaitLease waits until the site's lease is free and takes it. Waiting, if not
// nil, is told whose it is, each time that this changes. Who holds it is a free
// text, but one for each process. It gives an error when ctx ends, or
// when the server is too old.
func (c *Conn) AwaitLease(ctx context.Context, site, holder string, waiting func(holder string)) (*Lease, error) {
	if err := CheckName("site", site); err != nil {
		return nil, err
	}
	w := leaseWaiter{conn: c, site: site, holder: holder, waiting: waiting}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		lease, err := w.try(ctx, time.Now())
		switch {
		case lease != nil:
			return lease, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			w.seen = time.Time{} // what isn't seen says nothing
			if _, old := errors.AsType[*VersionError](err); old || c.nc.IsClosed() {
				return nil, fmt.Errorf("take the lease of site %s: %w", site, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// leaseWaiter watches a lease that somebody else has.
type leaseWaiter struct {
	conn         *Conn
	site, holder string
	waiting      func(string)

	rev   uint64    // as seen last
	since time.Time // when it was seen first
	seen  time.Time // when it was seen last
	told  string
}

// try looks once, and takes the lease if it is free.
func (w *leaseWaiter) try(ctx context.Context, now time.Time) (*Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseCall)
	defer cancel()
	kv, err := w.conn.leases(ctx)
	if err != nil {
		return nil, err
	}
	l := &Lease{conn: w.conn, site: w.site, record: leaseRecord{w.holder, now.UTC()}, trusted: now.Add(leaseTrust)}
	value, err := json.Marshal(l.record)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, w.site)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if l.rev, err = kv.Create(ctx, w.site, value); err != nil {
			return nil, err
		}
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	holder := holderOf(entry)
	if holder != "" && !w.stands(entry.Revision(), now) {
		if w.waiting != nil && holder != w.told {
			w.told = holder
			w.waiting(holder)
		}
		return nil, nil
	}
	if l.rev, err = kv.Update(ctx, w.site, value, entry.Revision()); err != nil {
		return nil, err
	}
	return l, nil
}

// stands says whether the lease was seen unrenewed, without a break in looking,
// for as long as makes it free.
func (w *leaseWaiter) stands(rev uint64, now time.Time) bool {
	if rev != w.rev || w.seen.IsZero() || now.Sub(w.seen) > time.Second {
		w.rev, w.since = rev, now
	}
	w.seen = now
	return now.Sub(w.since) >= LeaseFor
}

// holderOf reads who has a lease. A value that can't be read is nobody's word.
func holderOf(entry jetstream.KeyValueEntry) string {
	var r leaseRecord
	if json.Unmarshal(entry.Value(), &r) != nil {
		return Nameless
	}
	return r.Holder
}

// Nameless is a writer that left no name.
const Nameless = "one that doesn't say who it is"

// Keep renews the lease until ctx ends, and then gives it back; nobody has to
// wait for it. It ends sooner with [*LostLeaseError] when somebody else has it. A
// server that is away is waited for: whoever comes first has it then.
func (l *Lease) Keep(ctx context.Context) error {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.giveBack(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		}
		err := l.Renew(ctx)
		if _, lost := errors.AsType[*LostLeaseError](err); lost {
			return err
		}
	}
}

// Renew asks for the lease to be left to its holder once more.
func (l *Lease) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leaseCall)
	defer cancel()
	l.renewing.Lock()
	defer l.renewing.Unlock()
	kv, err := l.conn.leases(ctx)
	if err != nil {
		return fmt.Errorf("renew the lease of site %s: %w", l.site, err)
	}
	value, err := json.Marshal(l.record)
	if err != nil {
		return fmt.Errorf("renew the lease of site %s: %w", l.site, err)
	}
	for range 2 {
		sent := time.Now()
		var rev uint64
		if l.rev == 0 {
			rev, err = kv.Create(ctx, l.site, value)
		} else {
			rev, err = kv.Update(ctx, l.site, value, l.rev)
		}
		if err == nil {
			l.rev = rev
			l.trust(sent.Add(leaseTrust))
			return nil
		}
		if !isWrongSequence(err) && !errors.Is(err, jetstream.ErrKeyExists) {
			break
		}
		// An acknowledgement was lost, the bucket is another one, or somebody
		// else has the lease.
		entry, lookErr := kv.Get(ctx, l.site)
		switch {
		case errors.Is(lookErr, jetstream.ErrKeyNotFound):
			l.rev = 0
			continue
		case lookErr != nil:
			return fmt.Errorf("renew the lease of site %s: %w", l.site, lookErr)
		}
		if holder := holderOf(entry); holder != l.record.Holder {
			l.trust(time.Time{})
			return &LostLeaseError{Site: l.site, Holder: holder}
		}
		l.rev = entry.Revision()
	}
	return fmt.Errorf("renew the lease of site %s: %w", l.site, err)
}

// Holds says whether the lease may be relied on now.
func (l *Lease) Holds() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.trusted)
}

func (l *Lease) trust(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trusted = until
}

// giveBack frees the lease, if that can be said in time.
func (l *Lease) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	l.renewing.Lock()
	defer l.renewing.Unlock()
	l.trust(time.Time{})
	value, err := json.Marshal(leaseRecord{Since: time.Now().UTC()})
	if err != nil || !l.conn.nc.IsConnected() {
		return
	}
	if kv, err := l.conn.leases(ctx); err == nil {
		_, _ = kv.Update(ctx, l.site, value, l.rev) // who waits for it waits some seconds longer
	}
}

// leases opens the bucket, and makes it where it isn't there.
func (c *Conn) leases(ctx context.Context) (jetstream.KeyValue, error) {
	kv, err := c.js.KeyValue(ctx, BucketLeases)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return kv, err
	}
	if err := c.CheckServer(); err != nil {
		return nil, err
	}
	kv, err = c.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: BucketLeases, Description: "who reconciles each site", History: 1,
		Storage: jetstream.FileStorage, Replicas: c.replicas(),
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return c.js.KeyValue(ctx, BucketLeases)
	}
	return kv, err
}
