package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
)

// hearAt takes a heartbeat that was sent and heard at two times.
func hearAt(e *Engine, sent, heard time.Time, docs ...*inventory.Observation) {
	b := beat(heard, 1, docs...)
	b.Sent = sent
	e.Hear(b)
}

func kinds(e *Engine, kind reconcile.Kind) (found []reconcile.Finding) {
	return slices.DeleteFunc(e.Findings(), func(f reconcile.Finding) bool { return f.Kind != kind || f.State == reconcile.Resolved })
}

// A clock is measured by the heartbeat that was on its way the shortest: what was
// held up says nothing of it.
func TestClockIsMeasured(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead []time.Duration // of each heartbeat's time against when it was heard
		want  string          // "" is no finding
	}{
		{"right", []time.Duration{-1, -2, -1}, ""},
		{"two samples are too few", []time.Duration{time.Hour, time.Hour}, ""},
		{"ahead", []time.Duration{59 * second, 58 * second, 60 * second}, "at least 40s ahead"},
		{"behind", []time.Duration{-10 * second, -9 * second, -11 * second}, "at least 5s behind"},
		{"one was held up", []time.Duration{-time.Millisecond, -40 * second, -2 * time.Millisecond}, ""},
		{"all that a reconnect delivers late, and what follows", []time.Duration{-30 * second, -20 * second, -10 * second, -time.Millisecond}, ""},
		{"years behind", []time.Duration{-1e9 * second, -1e9 * second, -1e9 * second}, "at least 186413h30m40s behind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := shown(t, 1, 1, 2)
			e := started(t, begin, doc)
			now := begin
			for _, ahead := range c.ahead {
				now = now.Add(second)
				hearAt(e, now.Add(ahead), now, doc)
			}
			e.Step(now)
			got := ""
			if found := kinds(e, reconcile.ObserveClock); len(found) > 0 {
				got, _ = found[0].Observed.(string)
			}
			if got != c.want {
				t.Errorf("found %q, not %q", got, c.want)
			}
		})
	}
}

// One whose clock is at the limit isn't news with each heartbeat, nor does another
// start of the agent mix with the one before.
func TestClockAtTheLimit(t *testing.T) {
	doc := shown(t, 1, 1, 2)
	e := started(t, begin, doc)
	now := begin
	steps := 0
	for i := range 40 {
		now = now.Add(second)
		hearAt(e, now.Add(5*second+time.Duration(i%2*200-100)*time.Millisecond), now, doc)
		if e.Due(now) {
			steps++
			e.Step(now)
		}
	}
	if len(kinds(e, reconcile.ObserveClock)) != 1 {
		t.Errorf("found %v", list(e.Findings()))
	}
	if steps > 6 {
		t.Errorf("%d steps", steps)
	}
	b := beat(now.Add(second), 1, doc)
	b.Speaker, b.Sent = uuid.New(), now.Add(second)
	e.Hear(b)
	if ahead, known := e.hosts[hostID].clock.measured(); known {
		t.Errorf("one heartbeat of another start measures %s", ahead)
	}
}

// A document that a host speaks of and that doesn't come is found, and so is a
// source that it speaks of no more.
func TestGapsAreFound(t *testing.T) {
	held, newer := shown(t, 1, 1, 2), shown(t, 1, 2, 4)
	network := document(t, hostID, "network", 1, 1, inventory.Body{})
	absent := document(t, hostID, "runtime-incus", 1, 1, inventory.Body{})
	absent.Outcome = inventory.OutcomeAbsent
	e := started(t, begin, held, network, absent)
	step := func(after time.Duration, docs ...*inventory.Observation) []string {
		now := begin.Add(after)
		e.Hear(beat(now, 1, docs...))
		if e.Due(now) {
			e.Step(now)
		}
		var fields []string
		for _, f := range kinds(e, reconcile.ObserveGap) {
			fields = append(fields, f.Field)
		}
		return fields
	}
	for _, c := range []struct {
		after time.Duration
		docs  []*inventory.Observation
		want  []string
	}{
		{0, []*inventory.Observation{held, network, absent}, nil},
		{10 * second, []*inventory.Observation{newer}, nil}, // both have just begun
		{20 * second, []*inventory.Observation{newer}, []string{"runtime-libvirt"}},
		{40 * second, []*inventory.Observation{newer}, []string{"runtime-libvirt"}},
		{69 * second, []*inventory.Observation{newer}, []string{"runtime-libvirt"}},
		{71 * second, []*inventory.Observation{newer}, []string{"runtime-libvirt", "network"}},
		{80 * second, []*inventory.Observation{held, network}, nil},
	} {
		if got := step(c.after, c.docs...); !slices.Equal(got, c.want) {
			t.Errorf("after %s gaps are %v, not %v", c.after, got, c.want)
		}
	}
}

// A clock that is set back doesn't make hosts heard in the future, which could be
// silent until then.
func TestClockThatIsSetBackHidesNoSilence(t *testing.T) {
	doc := shown(t, 1, 1, 4)
	e := started(t, begin, doc)
	at := begin.Add(time.Hour)
	hearAt(e, at, at, doc)
	e.Step(at)
	e.Deafen(at)
	e.Listen(begin)
	for after := time.Duration(0); after <= time.Minute; after += second {
		e.Step(begin.Add(after))
	}
	if got := kinds(e, reconcile.HostStale); len(got) != 1 {
		t.Errorf("after a minute of silence: %v", list(e.Findings()))
	}
}
