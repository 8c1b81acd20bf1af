package kvsource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/sentral"
)

// PushOptions say how a load is made. Bucket is needed.
type PushOptions struct {
	Bucket   string
	Replicas int    // of a bucket that is made, 0 for 1
	By       string // who loads, for people
	Now      func() time.Time
}

// Pushed is what a load changed.
type Pushed struct {
	Bucket  string `json:"bucket"`
	Created bool   `json:"created"`
	Records int    `json:"records"`
	Put     int    `json:"put"`
	Deleted int    `json:"deleted"`
}

// Push loads an inventory into a bucket, which is made if it isn't there:
// afterwards it holds these records and nothing else. Only what differs is
// written. While it runs, readers keep what they had; broken off, it is to be
// run again. An inventory of which records are missing is refused, since what is
// missing would be deleted.
func Push(ctx context.Context, js jetstream.JetStream, inv *sentral.Inventory, o PushOptions) (*Pushed, error) {
	p := &push{o: o, result: Pushed{Bucket: o.Bucket}}
	if err := p.run(ctx, js, inv); err != nil {
		return nil, fmt.Errorf("load the inventory into nats-kv:%s: %w", o.Bucket, err)
	}
	return &p.result, nil
}

type push struct {
	o      PushOptions
	kv     jetstream.KeyValue
	result Pushed
}

func (p *push) run(ctx context.Context, js jetstream.JetStream, inv *sentral.Inventory) error {
	if inv.Incomplete || inv.Stale != "" || len(inv.LeftOut) > 0 {
		return errors.New("records of it can't be used or are missing, and would be deleted: mend it first (avstem sentral lint says where)")
	}
	values, err := valuesOf(inv)
	if err != nil {
		return err
	}
	if err := p.open(ctx, js); err != nil {
		return err
	}
	began, revision, err := p.begin(ctx)
	if err != nil {
		return err
	}
	if err := p.write(ctx, values); err != nil {
		return err
	}
	began.State, began.Records = stateComplete, len(values)
	p.result.Records = len(values)
	if _, err := p.kv.Update(ctx, markerKey, encodeJSON(began), revision); err != nil {
		return fmt.Errorf("somebody else has begun a load meanwhile, or the server is gone: %w", err)
	}
	return nil
}

// valuesOf gives each record's value by its key.
func valuesOf(inv *sentral.Inventory) (map[string][]byte, error) {
	values := map[string][]byte{}
	var err error
	add := func(value any) {
		key := keyOf(value)
		if len(key) > maxKey {
			err = fmt.Errorf("the key of %s has %d bytes: want %d at most", sentral.Identify(value).Label(), len(key), maxKey)
		}
		values[key] = encodeJSON(value)
	}
	for record := range inv.Records() {
		add(record)
	}
	return values, err
}

// maxKey leaves room on NATS's control line of 4 KiB.
const maxKey = 3000

// encodeJSON encodes records and markers, which hold nothing that can't be.
func encodeJSON(value any) []byte {
	text, _ := json.Marshal(value)
	return text
}

func (p *push) open(ctx context.Context, js jetstream.JetStream) error {
	kv, err := js.KeyValue(ctx, p.o.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		p.result.Created = true
		kv, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: p.o.Bucket, Description: "Sentral's inventory, for avstem", Replicas: max(p.o.Replicas, 1), History: 8,
		})
	}
	p.kv = kv
	return err
}

// begin says that a load is under way.
func (p *push) begin(ctx context.Context) (*marker, uint64, error) {
	m := &marker{Schema: Schema, State: stateLoading, Load: uuid.NewString(), By: p.o.By, Began: p.o.Now().UTC()}
	entry, err := p.kv.Get(ctx, markerKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		revision, err := p.kv.Create(ctx, markerKey, encodeJSON(m))
		return m, revision, err
	case err != nil:
		return nil, 0, err
	}
	before, err := parseMarker(entry.Value())
	switch {
	case err != nil:
		return nil, 0, err
	case before.State == stateLoading && p.o.Now().Sub(entry.Created()) < usual.loading:
		return nil, 0, fmt.Errorf("a load by %q began at %s: wait until it has ended, or for %s if it has broken off", before.By, before.Began.Format(time.RFC3339), usual.loading)
	}
	revision, err := p.kv.Update(ctx, markerKey, encodeJSON(m), entry.Revision())
	return m, revision, err
}

// write puts what differs and deletes what is no more.
func (p *push) write(ctx context.Context, values map[string][]byte) error {
	old, err := p.current(ctx)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if was, there := old[key]; there && bytes.Equal(was, values[key]) {
			continue
		}
		if _, err := p.kv.Put(ctx, key, values[key]); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		p.result.Put++
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		if _, stays := values[key]; stays {
			continue
		}
		if err := p.kv.Delete(ctx, key); err != nil {
			return fmt.Errorf("delete %s: %w", key, err)
		}
		p.result.Deleted++
	}
	return nil
}

// current reads what the bucket holds, the marker apart.
func (p *push) current(ctx context.Context) (map[string][]byte, error) {
	watcher, err := p.kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = watcher.Stop() }() // it is one of a connection that may be gone
	values := map[string][]byte{}
	for {
		select {
		case entry, open := <-watcher.Updates():
			switch {
			case !open:
				return nil, errors.New("the bucket went away while it was read")
			case entry == nil:
				return values, nil
			case entry.Key() != markerKey:
				values[entry.Key()] = entry.Value()
			}
		case <-time.After(usual.answer):
			return nil, fmt.Errorf("nothing came for %s: is the server overloaded?", usual.answer)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
