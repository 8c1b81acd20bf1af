package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/avstem/internal/names"
	"github.com/dataverket/avstem/cmd/avstem/internal/server"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/replay"
)

// retained is what NATS keeps of a stretch of a site's past, but for the documents in
// it, which are read as they are replayed.
type retained struct {
	past  *past
	start replay.Start
	named []reconcile.Finding // that name what can be asked for
}

const (
	// unknownShare is of how many sources, one in so many, nothing may be known when
	// the replayed time begins: one source that changes all the time must not cut a
	// fleet's past short.
	unknownShare = 10
	// wholeWithin is how long it may take to write an inventory down, record by
	// record: between two of them.
	wholeWithin = 10 * time.Second
)

var (
	errEnough      = errors.New("enough was read")
	errNothingKept = errors.New("nothing is kept: no host has said anything there")
)

// retained reads how a site stood at a time, or as soon after it as that is known,
// and what came after it until another.
func (p *past) retained(ctx context.Context, asked, until time.Time, notef func(string, ...any)) (*retained, error) {
	kept, err := p.subjectsOf(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(kept) == 0 {
		return nil, errNothingKept
	}
	first, err := p.firstDocuments(ctx, kept, asked)
	if err != nil {
		return nil, err
	}
	r := &retained{past: p, start: replay.Start{Site: p.site, At: knownSince(first, len(kept), asked)}}
	if err := r.readIntended(ctx, until, notef); err != nil {
		return nil, err
	}
	if !r.start.At.Before(until) {
		return nil, fmt.Errorf("nothing is known of the time before %s: what is kept begins at %s", until.Format(time.RFC3339), r.start.At.Format(time.RFC3339))
	}
	if err := r.readDocuments(ctx, kept, first, notef); err != nil {
		return nil, err
	}
	if err := r.readRecorded(ctx, until); err != nil {
		return nil, err
	}
	if err := r.readTasks(ctx, until, notef); err != nil {
		return nil, err
	}
	if by := r.start.Books.Policy(); by != nil {
		r.start.Then = *by
	} else {
		r.start.Then = p.policy(ctx, notef)
		notef("site %s: which policy was in force isn't known at first, and the one of now is taken for it", p.site)
	}
	return r, nil
}

// firstDocuments says when the first document that is kept came, of each source that
// had to give up older ones and whose first came after a time.
func (p *past) firstDocuments(ctx context.Context, kept map[string]uint64, asked time.Time) (map[string]time.Time, error) {
	lacking := map[string]bool{}
	for subject, n := range kept {
		if n >= bus.KeptOfEach {
			lacking[subject] = true
		}
	}
	first := map[string]time.Time{}
	if len(lacking) == 0 {
		return first, nil
	}
	filter, err := bus.ObservedIn(p.site)
	if err != nil {
		return nil, err
	}
	err = p.conn.Read(ctx, bus.Past{Stream: bus.StreamObserved, Subjects: []string{filter}, Headers: true}, func(k bus.Kept) error {
		if lacking[k.Subject] {
			delete(lacking, k.Subject)
			if k.Time.After(asked) {
				first[k.Subject] = k.Time
			}
		}
		if len(lacking) == 0 {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return first, err
}

// knownSince is from when on a replay makes sense: as soon as all sources are known
// but for a few, of so many.
func knownSince(first map[string]time.Time, of int, asked time.Time) time.Time {
	times := slices.SortedFunc(maps.Values(first), time.Time.Compare)
	if few := of / unknownShare; len(times) > few {
		return times[len(times)-1-few]
	}
	return asked
}

// readIntended reads what the system of record said until then, as books, and what it
// said afterwards. The replayed time begins no sooner than an inventory is known.
func (r *retained) readIntended(ctx context.Context, until time.Time, notef func(string, ...any)) error {
	filter, err := bus.IntendedIn(r.past.site, "")
	if err != nil {
		return err
	}
	start := &r.start
	start.Books = history.NewBooks()
	var last *history.Entry
	whole := false // the first inventory that is kept has been read
	err = r.past.conn.Read(ctx, bus.Past{Stream: bus.StreamIntended, Subjects: []string{filter}}, func(k bus.Kept) error {
		e, err := server.RecordOf(k)
		if err != nil {
			notef("a version of a record is left out: %v", err)
			return nil
		}
		if !whole && last != nil && e.Policy == nil && (e.Version != last.Version || e.At.Sub(last.At) > wholeWithin) {
			whole = true
		}
		if !whole && e.At.After(start.At) {
			start.At = e.At
		}
		if e.Policy == nil || last == nil {
			last = &e
		}
		switch {
		case !e.At.After(start.At):
			start.Books.Take(e)
		case !e.At.After(until):
			start.Intended = append(start.Intended, e)
		default:
			return errEnough
		}
		return nil
	})
	switch {
	case err != nil && !errors.Is(err, errEnough):
		return err
	case last == nil:
		return errors.New("nothing is kept of the inventory's past: is the reconciler older than this avstem?")
	}
	return nil
}

// readDocuments reads the last document of each source at the beginning.
func (r *retained) readDocuments(ctx context.Context, kept map[string]uint64, first map[string]time.Time, notef func(string, ...any)) error {
	start := &r.start
	found := map[string]bool{}
	documents := bus.NewDecoder()
	defer documents.Close()
	err := r.past.conn.LastUpTo(ctx, bus.StreamObserved, slices.Sorted(maps.Keys(kept)), start.At, func(k bus.Kept) error {
		found[k.Subject] = true
		if e, err := document(documents.Decode, k); err != nil {
			notef("a document is left out: %v", err)
		} else {
			start.Books.Take(e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(first)) {
		key, err := bus.ParseObservedSubject(name)
		if found[name] || err != nil {
			continue
		}
		start.Unknown = append(start.Unknown, replay.Source{Host: key.Host, Source: key.Source})
		notef("%s of host %s isn't kept before %s: until then nothing is concluded from it", key.Source, key.Host, first[name].Format(time.RFC3339))
	}
	return nil
}

// readRecorded reads what the reconciler told of findings, and how they stand now.
func (r *retained) readRecorded(ctx context.Context, until time.Time) error {
	start := &r.start
	drift, err := bus.DriftIn(r.past.site)
	if err != nil {
		return err
	}
	start.Recorded = replay.NewRecorded(start.At, until)
	seen := map[string]bool{}
	name := func(f *reconcile.Finding) {
		if !seen[f.ID] {
			seen[f.ID] = true
			r.named = append(r.named, reconcile.Finding{Subject: f.Subject})
		}
	}
	err = r.past.conn.Read(ctx, bus.Past{Stream: bus.StreamDrift, Subjects: []string{drift}, Since: start.At}, func(k bus.Kept) error {
		var f reconcile.Finding
		if json.Unmarshal(k.Data, &f) != nil {
			return nil // another program's
		}
		name(&f)
		start.Recorded.Event(history.Event{At: k.Time, Action: actionOf(k.Subject), Sequence: k.Sequence, Finding: f})
		return nil
	})
	if err != nil {
		return err
	}
	findings, err := readFindings(ctx, r.past.conn)
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Subject.Site == "" || f.Subject.Site == r.past.site {
			name(&f)
			start.Recorded.Kept(f)
		}
	}
	return nil
}

// taskBefore is how long before the beginning Maskin may have said what still matters
// then.
const taskBefore = time.Hour

func (r *retained) readTasks(ctx context.Context, until time.Time, notef func(string, ...any)) error {
	start := &r.start
	kept, err := r.past.conn.TasksSince(ctx, r.past.site, start.At.Add(-taskBefore), func(t bus.Task, at time.Time) {
		if at.After(until) {
			return
		}
		start.Tasks = append(start.Tasks, replay.TaskSaid{At: at, Task: server.TaskOf(t)})
	})
	if err != nil {
		notef("Maskin's tasks can't be read, and are taken not to have been: %v", err)
	} else if !kept {
		notef("no stream keeps Maskin's tasks: what they kept pending then is not kept pending in the replay")
	}
	return ctx.Err()
}

// names are those by which findings can be chosen. What hosts alone know takes a pass
// over the whole site, which is made where a name isn't known otherwise.
func (r *retained) names(asked *selection) names.Names {
	inv := *r.start.Books.Inventory()
	for i := range r.start.Intended {
		if record := r.start.Intended[i].Record; record != nil {
			inv.Add(record)
		}
	}
	known := names.Of(&inv, nil, r.named)
	known.Add(names.Names{Sites: []string{r.past.site}})
	if asked.unknown(&known) != nil {
		known.Add(names.Of(nil, reconcile.Reconcile(r.start.Books.Input(r.start.At, r.start.Then)), nil))
	}
	return known
}

// replay replays it.
func (r *retained) replay(ctx context.Context, until time.Time, far func(string), notef func(string, ...any)) (*replay.Outcome, error) {
	defer far("")
	filter, err := bus.ObservedIn(r.past.site)
	if err != nil {
		return nil, err
	}
	replayed := replay.New(r.start)
	documents := bus.NewDecoder()
	defer documents.Close()
	err = r.past.conn.Read(ctx, bus.Past{Stream: bus.StreamObserved, Subjects: []string{filter}, Since: r.start.At.Add(1)}, func(k bus.Kept) error {
		if k.Time.After(until) {
			return errEnough
		}
		far("at " + k.Time.Format(time.RFC3339))
		e, err := document(documents.Decode, k)
		if err == nil {
			return replayed.Take(ctx, e)
		}
		key, _ := bus.ParseObservedSubject(k.Subject)
		return replayed.Refuse(ctx, reconcile.Refusal{Host: key.Host, Site: r.past.site, Source: key.Source, Reason: err.Error(), At: k.Time})
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return replayed.End(ctx, until)
}
