package engine

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/history"
	"github.com/dataverket/avstem/reconcile/internal/seed"
)

// TestStepsAreAdvances holds the engine to the core: after any history, each step
// comes to what a full pass over both books and [reconcile.Advance] over all
// findings come to, in findings, order and events. What is to be stored adds up to
// the findings, too. Now and then another engine that stood by takes over, and
// nobody can tell by what it finds.
func TestStepsAreAdvances(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		play(rt, func(n int) int { return rapid.IntRange(0, n-1).Draw(rt, "") })
	})
}

// TestReplayIsTheSame: one history, played twice, gives the same events.
func TestReplayIsTheSame(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		draws := rapid.SliceOfN(rapid.IntRange(0, 1<<20), 200, 2000).Draw(rt, "draws")
		replay := func() string {
			at := 0
			return play(rt, func(n int) int {
				at++
				return draws[at%len(draws)] % n
			})
		}
		if diff := gocmp.Diff(replay(), replay()); diff != "" {
			rt.Fatalf("the second time differs (-first +second):\n%s", diff)
		}
	})
}

// play plays a history, and gives its events as JSON.
func play(t *rapid.T, pick history.Pick) string {
	world := history.New(pick)
	e, standby := New("osl1", world.Policy), New("osl1", world.Policy)
	shadow := &shadow{stored: map[string]reconcile.Finding{}}
	for _, e := range []*Engine{e, standby} {
		e.Intend(world.Inventory)
		e.Delivered()
		e.Listen(world.Now)
	}
	var told []reconcile.Event
	for range 3 + pick(25) {
		for range 1 + pick(3) {
			change := world.Change()
			t.Logf("%s: %s", world.Now.Format(time.TimeOnly), change)
			deaf := pick(40) == 0
			for _, e := range []*Engine{e, standby} {
				tell(e, world, change)
				if deaf {
					e.Deafen(world.Now)
					e.Listen(world.Now)
				}
			}
		}
		if pick(15) == 0 {
			shadow.acknowledge(e, pick, world.Now)
		}
		out := e.Step(world.Now)
		told = append(told, out.Events...)
		if out.Waiting == "" {
			shadow.follow(t, e, out, world.Now)
		}
		if pick(3) > 0 {
			standby.Stand(world.Now)
		}
		if out.Waiting == "" && pick(10) == 0 {
			t.Logf("%s: the other one takes over", world.Now.Format(time.TimeOnly))
			standby.Restore(e.Findings())
			e, standby = standby, e
			shadow.taken(e.Findings())
		}
	}
	return encode(t, told)
}

// shadow does what the engine does in the way that takes all at once.
type shadow struct {
	findings []reconcile.Finding
	stored   map[string]reconcile.Finding
	acked    []reconcile.Event
}

func (s *shadow) acknowledge(e *Engine, pick history.Pick, now time.Time) {
	if len(s.findings) == 0 {
		return
	}
	at := pick(len(s.findings))
	ack := &reconcile.Acknowledgement{By: "kari", Reason: "r", At: now, Until: now.Add(time.Minute)}
	if f, err := e.Acknowledge(s.findings[at].ID, ack, now); err == nil {
		s.findings[at].Acknowledged = ack
		if f.State != reconcile.Pending {
			s.acked = append(s.acked, reconcile.Event{Change: reconcile.Changed, Finding: *f})
		}
	}
}

// taken notes as stored what another engine takes up.
func (s *shadow) taken(findings []reconcile.Finding) {
	clear(s.stored)
	for _, f := range findings {
		s.stored[f.ID] = f
	}
}

func (s *shadow) follow(t *rapid.T, e *Engine, out Outcome, now time.Time) {
	result := reconcile.Reconcile(e.book.Input())
	for i := range result.Findings {
		f := &result.Findings[i]
		known := slices.IndexFunc(s.findings, func(was reconcile.Finding) bool { return was.ID == f.ID && was.State != reconcile.Resolved })
		if f.Kind == reconcile.HostStale && known >= 0 && e.unheardOf(f.Subject.ID) {
			f.Message, f.Evidence = s.findings[known].Message, s.findings[known].Evidence
		}
	}
	var events []reconcile.Event
	s.findings, events = reconcile.Advance(s.findings, result, e.policy, now)
	events = append(s.acked, events...)
	s.acked = nil
	if diff := gocmp.Diff(encode(t, s.findings), encode(t, e.Findings())); diff != "" {
		t.Fatalf("the step gives other findings (-advance +step):\n%s", diff)
	}
	if diff := gocmp.Diff(encode(t, events), encode(t, out.Events)); diff != "" {
		t.Fatalf("the step gives other events (-advance +step):\n%s", diff)
	}
	for _, f := range out.Changed {
		s.stored[f.ID] = f
	}
	for _, id := range out.Gone {
		delete(s.stored, id)
	}
	for _, f := range s.findings {
		stored := s.stored[f.ID]
		delete(s.stored, f.ID)
		if !sameFinding(&f, &stored) {
			t.Fatalf("what is stored of %s differs: %s", f.ID, gocmp.Diff(stored, f))
		}
		defer func() { s.stored[f.ID] = stored }()
	}
	if len(s.stored) > 0 {
		t.Fatalf("%d findings are stored that don't stand", len(s.stored))
	}
	s.count(t, out.Status, result)
}

// count holds the counters to what they count.
func (s *shadow) count(t *rapid.T, status Status, result *reconcile.Result) {
	want := Status{Hosts: len(result.Hosts)}
	differs := map[string]bool{}
	for _, f := range s.findings {
		switch f.State {
		case reconcile.Open:
			want.Findings.Open++
		case reconcile.Pending:
			want.Findings.Pending++
		case reconcile.Resolved:
			want.Findings.Resolved++
			continue
		}
		differs[f.Subject.ID] = differs[f.Subject.ID] || f.Subject.Type == "vm"
	}
	for _, m := range result.Hosts {
		if m.Observed != nil && m.Observed.Stale {
			want.Silent++
		}
	}
	twice := map[string]bool{}
	for _, m := range result.VMs {
		if !m.IsContainer() {
			want.VMs++
		}
		if m.Intended != nil {
			if twice[m.Intended.ID] { // two records of one ID are one to a reader
				return
			}
			twice[m.Intended.ID] = true
			if m.Observed != nil && !differs[m.Intended.ID] {
				want.Agreeing++
			}
		}
	}
	got := Status{Hosts: status.Hosts, Silent: status.Silent, VMs: status.VMs, Agreeing: status.Agreeing, Findings: status.Findings}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("the status counts otherwise (-want +got):\n%s", diff)
	}
}

// tell tells the engine of a change of the world.
func tell(e *Engine, world *history.World, change history.Change) {
	switch {
	case change.Document != nil:
		e.Observe(change.Document, world.Now)
	case change.Intended != nil:
		e.Intend(change.Intended)
	case change.Refused != nil && len(*change.Refused) > 0:
		e.Refuse((*change.Refused)[len(*change.Refused)-1])
	case change.Task != nil:
		e.Task(*change.Task, world.Now, world.Now)
	case change.Policy != nil:
		e.Judge(*change.Policy)
	case change.Speakers != nil:
		for host, several := range *change.Speakers {
			for range 2 {
				for i, s := range several {
					e.Hear(Heartbeat{Host: host, Site: "osl1", At: world.Now, Epoch: 1, Speaker: uuid.UUID{byte(i)}, Hostname: s.Hostname, BootID: s.BootID})
				}
			}
		}
	}
	for host, at := range world.Heard {
		if at.Equal(world.Now) {
			e.Hear(Heartbeat{Host: host, Site: "osl1", At: at, Sent: at.Add(world.Clocks[host]), Epoch: 1, Speaker: uuid.UUID{1}})
		}
	}
}

func encode(t *rapid.T, v any) string {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
