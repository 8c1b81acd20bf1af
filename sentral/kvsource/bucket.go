package kvsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/document"
)

// held is what a bucket says.
type held struct {
	created time.Time
	last    uint64 // sequence of the newest message that has been seen
	values  map[string]value
	marker  value
	// deleted are the sequences of deletions.
	deleted map[string]uint64
}

// value is one key's, decoded once.
type value struct {
	revision uint64
	data     []byte
	records  []sentral.Record
	faults   []sentral.Fault
}

var errAway = errors.New("NATS can't be reached: is the server running?")

// status is where the bucket stands. What makes it useless is an error.
func (s *Source) status(ctx context.Context) (jetstream.KeyValue, *jetstream.StreamInfo, error) {
	if !s.js.Conn().IsConnected() {
		return nil, nil, errAway
	}
	kv, err := s.js.KeyValue(ctx, s.bucket)
	if err != nil {
		return nil, nil, s.explain(ctx, err)
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, nil, s.explain(ctx, err)
	}
	bucket, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return nil, nil, fmt.Errorf("nats.go gives the status of a bucket as %T", status)
	}
	if ttl := bucket.TTL(); ttl != 0 {
		return nil, nil, fmt.Errorf("the bucket forgets its records after %s: make one without a TTL", ttl)
	}
	return kv, bucket.StreamInfo(), nil
}

func (s *Source) explain(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound) || errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("there is no such bucket: load one with avstem sentral push --kv %s", s.bucket)
	case errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return fmt.Errorf("the server has no JetStream for this account: %w", err)
	case context.Cause(ctx) != nil && !s.js.Conn().IsConnected(): // the client has noticed since
		return errAway
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	}
	return err
}

// collect reads the whole bucket. What changes meanwhile is in it, or comes with
// the next reading. From is where the bucket stood before.
func (s *Source) collect(ctx context.Context, kv jetstream.KeyValue, from *jetstream.StreamInfo) (*held, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.whole, fmt.Errorf("not all of it came within %s", s.limits.whole))
	defer cancel()
	watcher, err := kv.WatchAll(ctx)
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	defer func() { _ = watcher.Stop() }() // it is one of a connection that may be gone
	h := &held{created: from.Created, last: from.State.LastSeq, values: map[string]value{}, deleted: map[string]uint64{}}
	wait := time.NewTimer(s.limits.answer)
	defer wait.Stop()
	var size, target uint64 // target is zero until all that there was has come
	for target == 0 || h.last < target {
		select {
		case entry, open := <-watcher.Updates():
			wait.Reset(s.limits.answer)
			switch {
			case !open:
				return nil, errors.New("the bucket went away while it was read")
			case entry == nil:
				if target, err = s.behind(ctx, wait); err != nil {
					return nil, err
				}
				continue
			}
			if size += uint64(len(entry.Value())); size > uint64(s.limits.total) {
				return nil, fmt.Errorf("the bucket holds more than %s: is it the right one?", s.limits.total)
			}
			h.take(entry, s.held, s.Name())
		case <-wait.C:
			if target == 0 {
				return nil, fmt.Errorf("nothing came for %s: is the server overloaded?", s.limits.answer)
			}
			return h, nil // what was to come has been purged
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	return h, nil
}

// behind says how far the bucket has come while it was read: a key that was
// written again meanwhile is not among what there was at the beginning, and is
// waited for, but not long.
func (s *Source) behind(ctx context.Context, wait *time.Timer) (uint64, error) {
	_, info, err := s.status(ctx)
	if err != nil {
		return 0, err
	}
	wait.Reset(min(s.limits.answer, time.Second))
	return max(info.State.LastSeq, 1), nil
}

// take notes what a key says now; what it said before is not decoded again.
func (h *held) take(entry jetstream.KeyValueEntry, before *held, source string) {
	key, revision := entry.Key(), entry.Revision()
	h.last = max(h.last, revision)
	delete(h.values, key)
	delete(h.deleted, key)
	switch {
	case entry.Operation() != jetstream.KeyValuePut:
		h.deleted[key] = revision
		if key == markerKey {
			h.marker = value{}
		}
	case key == markerKey:
		h.marker = value{revision: revision, data: entry.Value()}
	case before != nil && before.created.Equal(h.created) && before.values[key].revision == revision:
		h.values[key] = before.values[key]
	default:
		v := read(source, key, entry.Value())
		v.revision = revision
		h.values[key] = v
	}
}

// read makes a record of a key and its value.
func read(source, key string, data []byte) value {
	place := sentral.Place{Name: source + "/" + key}
	kind, id, err := parseKey(key)
	if err != nil {
		return value{data: data, faults: []sentral.Fault{{Place: place, Error: err.Error(), Lost: true}}}
	}
	text := append([]byte(`{"`+kinds[kind].list+`":[`), data...)
	c := document.Parse("value.json", append(text, "]}"...))
	out := value{data: data}
	fault := ""
	switch {
	case c.Broken != nil:
		fault = "the value is no record in JSON: " + c.Broken.Error
	case len(c.Records) != 1 || len(c.Faults) > 0:
		fault = "the value is not one record: want one object"
	case keyOf(c.Records[0].Value) != key:
		fault = fmt.Sprintf("the value is the record of %s: want that at its own key, %q", sentral.Identify(c.Records[0].Value).Label(), keyOf(c.Records[0].Value))
	}
	var record sentral.Record
	if fault == "" {
		record = c.Records[0]
		for i := range record.Faults {
			record.Faults[i].Place = place
		}
	} else {
		known := sentral.Identify(kinds[kind].blank(id))
		record = sentral.Record{Value: &known, Faults: []sentral.Fault{{Place: place, Error: fault}}}
	}
	record.Place = func(string) sentral.Place { return place }
	out.records = []sentral.Record{record}
	return out
}

// check holds the bucket to its marker.
func (h *held) check() (*marker, error) {
	if h.marker.data == nil {
		return nil, errors.New("the bucket has no marker that a load is complete: load it with avstem sentral push, or have its writer put one")
	}
	m, err := parseMarker(h.marker.data)
	if err != nil || m.State == stateLoading {
		return m, err
	}
	// Whatever was touched since the load may have been new or old; the rest must
	// still be there.
	there, touched := 0, 0
	for _, v := range h.values {
		if v.revision < h.marker.revision {
			there++
		} else {
			touched++
		}
	}
	for _, revision := range h.deleted {
		if revision > h.marker.revision {
			touched++
		}
	}
	if there+touched < m.Records {
		return m, fmt.Errorf("the bucket was loaded with %d records and has %d of them, without that they were deleted: load it again", m.Records, there+touched)
	}
	return m, nil
}

// inventory is what the records make.
func (h *held) inventory(source string, now time.Time) *sentral.Inventory {
	version := sha256.New()
	var records []sentral.Record
	var faults []sentral.Fault
	for _, key := range slices.Sorted(maps.Keys(h.values)) {
		v := h.values[key]
		fmt.Fprintf(version, "%s\x00%x\n", key, sha256.Sum256(v.data))
		records = append(records, v.records...)
		faults = append(faults, v.faults...)
	}
	inv := sentral.Assemble(records, faults)
	inv.Source, inv.Version, inv.ReadAt = source, "sha256:"+hex.EncodeToString(version.Sum(nil)), now.UTC()
	return inv
}

// limits are how much of a server's time and bytes a source takes. Tests have
// smaller ones.
type limits struct {
	answer  time.Duration // of silence while the bucket is read
	whole   time.Duration // for all of it
	poll    time.Duration // between two looks without a message
	quiet   time.Duration // after a message, for more to come
	loading time.Duration // that a load may take before it counts as broken off
	total   inventory.Bytes
}

var usual = limits{
	answer: 15 * time.Second, whole: 5 * time.Minute, poll: 30 * time.Second, quiet: 100 * time.Millisecond,
	loading: 2 * time.Minute, total: 2 * inventory.GiB,
}
