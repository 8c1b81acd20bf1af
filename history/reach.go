package history

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Reach is how far back something is known, and what isn't.
type Reach struct {
	Sources []SourceReach `json:"sources"`
	// Intended is when the inventory began to be kept, zero if it isn't, and
	// Versions how many versions of it are known.
	Intended time.Time `json:"intended,omitzero"`
	Versions int       `json:"versions"`
	Notes    []string  `json:"notes,omitempty"` // what else a reader must know
}

// SourceReach is what is kept of one source of one host.
type SourceReach struct {
	Host   uuid.UUID `json:"host"`
	Name   string    `json:"name,omitempty"` // of the host
	Source string    `json:"source"`
	Kept   int       `json:"kept"`
	Oldest time.Time `json:"oldest"`
	Newest time.Time `json:"newest"`
	// Dropped says that there were older ones, which had to give way.
	Dropped bool  `json:"dropped"`
	Gaps    []Gap `json:"gaps,omitempty"`
}

// Gap is a time in which a source may have shown what nobody knows.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
	// Lost is how many documents the agent made meanwhile that never came; 0 where
	// it came back as another start of the agent, or said nothing.
	Lost uint64 `json:"lost,omitempty"`
}

// ReachOf says how far the entries reach. A source that says nothing for longer
// than silence has a gap; of each subject a stream keeps at most limit.
func ReachOf(entries []Entry, silence time.Duration, limit int) Reach {
	reach := Reach{Sources: []SourceReach{}}
	last := map[docKey]Entry{}
	at := map[docKey]*SourceReach{}
	var keys []docKey
	versions := map[string]bool{}
	for _, e := range entries {
		if e.Side == Intended {
			if reach.Intended.IsZero() {
				reach.Intended = e.At
			}
			if e.Version != "" {
				versions[e.Version] = true
			}
			continue
		}
		key := docKey{e.Host, e.Source}
		s := at[key]
		if s == nil {
			s = &SourceReach{Host: e.Host, Source: e.Source, Oldest: e.At, Dropped: e.Gen > 1}
			at[key] = s
			keys = append(keys, key)
		} else if gap, is := gapBetween(last[key], e, silence); is {
			s.Gaps = append(s.Gaps, gap)
		}
		s.Kept++
		s.Newest = e.At
		s.Dropped = s.Dropped || s.Kept >= limit
		last[key] = e
	}
	slices.SortFunc(keys, func(a, b docKey) int { return cmp.Or(a.compare(b)) })
	for _, key := range keys {
		reach.Sources = append(reach.Sources, *at[key])
	}
	reach.Versions = len(versions)
	return reach
}

func gapBetween(before, after Entry, silence time.Duration) (Gap, bool) {
	gap := Gap{From: before.At, To: after.At}
	if before.Epoch == after.Epoch && after.Gen > before.Gen+1 {
		gap.Lost = after.Gen - before.Gen - 1
	}
	return gap, gap.Lost > 0 || after.At.Sub(before.At) > silence
}

// Since is the latest moment from which on every source is known, zero where
// there is none.
func (r *Reach) Since() time.Time {
	var since time.Time
	for i := range r.Sources {
		if r.Sources[i].Oldest.After(since) {
			since = r.Sources[i].Oldest
		}
	}
	return since
}

// Names are the names of the hosts, by ID.
func (r *Reach) Names() map[uuid.UUID]string {
	names := map[uuid.UUID]string{}
	for i := range r.Sources {
		names[r.Sources[i].Host] = r.Sources[i].Name
	}
	return names
}
