package engine

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// fakeMaskin says what becomes of tasks on the one VM.
type fakeMaskin struct{ e *Engine }

func (m fakeMaskin) says(id string, action reconcile.Action, state reconcile.TaskState, at time.Time) {
	m.e.Task(reconcile.Task{ID: id, VM: vmID.String(), Action: action, State: state, Deadline: at.Add(10 * time.Minute)}, at, at)
}

// restarted is an engine that begins with what the other one left, as JSON.
func restarted(t *testing.T, old *Engine, now time.Time, gen uint64, cpus int) *Engine {
	t.Helper()
	data, err := json.Marshal(old.Findings())
	if err != nil {
		t.Fatal(err)
	}
	var kept []reconcile.Finding
	if err := json.Unmarshal(data, &kept); err != nil {
		t.Fatal(err)
	}
	e := New("lab", policy)
	e.Restore(kept)
	e.Intend(books())
	doc := shown(t, 1, gen, cpus)
	e.Observe(doc, now)
	e.Delivered()
	e.Listen(now)
	e.Hear(beat(now, 1, doc))
	return e
}

func TestTaskShieldsOverARestart(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	fakeMaskin{e}.says("t-1", reconcile.ActionResize, reconcile.TaskRunning, begin)
	expect(t, "while it runs", list(e.Step(begin).Changed), []string{"pending vm.vcpus web-01"})
	now := begin.Add(time.Minute)
	e = restarted(t, e, now, 2, 4)
	expect(t, "after a restart", listEvents(e.Step(now).Events), nil)
	now = now.Add(time.Minute)
	fakeMaskin{e}.says("t-1", reconcile.ActionResize, reconcile.TaskFailed, now)
	e.Hear(beat(now, 1))
	expect(t, "as it ends", listEvents(e.Step(now).Events), nil)
	due := now.Add(policy.TaskGrace)
	e.Hear(beat(due, 1))
	if e.Due(due.Add(-time.Nanosecond)) || !e.Due(due) {
		t.Error("a step isn't due when the grace after the task is over")
	}
	expect(t, "after its grace", listEvents(e.Step(due).Events), []string{"opened vm.vcpus"})
}

func TestTaskWithoutAWordShieldsUntilItsDeadline(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	fakeMaskin{e}.says("t-1", reconcile.ActionResize, reconcile.TaskRunning, begin)
	e.Step(begin)
	deadline := begin.Add(10 * time.Minute)
	e.Hear(beat(deadline, 1))
	if !e.Due(deadline) {
		t.Error("a step isn't due at the deadline")
	}
	expect(t, "at the deadline", listEvents(e.Step(deadline).Events), nil)
	e.Hear(beat(deadline.Add(policy.TaskGrace), 1))
	expect(t, "after the grace", listEvents(e.Step(deadline.Add(policy.TaskGrace)).Events), []string{"opened vm.vcpus"})
}

// TestTaskFindingOutlivesARestart: Maskin doesn't say again what has ended.
func TestTaskFindingOutlivesARestart(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	fakeMaskin{e}.says("t-1", reconcile.ActionStop, reconcile.TaskSucceeded, begin)
	now := begin.Add(time.Minute)
	e.Observe(shown(t, 1, 2, 2), now)
	e.Step(now)
	now = now.Add(time.Minute)
	e.Hear(beat(now, 1))
	expect(t, "opened", listEvents(e.Step(now).Events), []string{"opened vm.task"})
	e = restarted(t, e, now.Add(time.Minute), 3, 2)
	expect(t, "after a restart", listEvents(e.Step(now.Add(time.Minute)).Events), nil)
	expect(t, "it stands", list(e.Findings()), []string{"open vm.task web-01"})
}

func TestAcknowledgement(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	if _, err := e.Acknowledge("f-1", nil, begin); !isNotReady(err) {
		t.Errorf("before the first pass: %v", err)
	}
	id := e.Step(begin).Changed[0].ID
	ack := &reconcile.Acknowledgement{By: "kari", Reason: "waits for the window", At: begin, Until: begin.Add(time.Hour)}
	if _, err := e.Acknowledge("f-none", ack, begin); !errors.Is(err, reconcile.ErrNotKnown) {
		t.Errorf("of none: %v", err)
	}
	if _, err := e.Acknowledge(id, nil, begin); err == nil {
		t.Error("what isn't acknowledged is taken back")
	}
	if _, err := e.Acknowledge(id, ack, begin.Add(time.Hour)); err == nil {
		t.Error("it is acknowledged until a time that is over")
	}
	if f, err := e.Acknowledge(id, ack, begin); err != nil || f.Acknowledged != ack {
		t.Fatalf("%+v, %v", f, err)
	}
	if !e.Due(begin) {
		t.Error("no step is due")
	}
	out := e.Step(begin)
	expect(t, "told", listEvents(out.Events), []string{"changed vm.vcpus"})
	if len(out.Changed) != 1 || out.Changed[0].Acknowledged == nil {
		t.Errorf("to be stored: %+v", out.Changed)
	}
	e = restarted(t, e, begin.Add(time.Minute), 2, 4)
	expect(t, "after a restart", listEvents(e.Step(begin.Add(time.Minute)).Events), nil)
	if f := e.Findings()[0]; f.Acknowledged == nil || f.Acknowledged.By != "kari" {
		t.Errorf("after a restart: %+v", f.Acknowledged)
	}
	over := begin.Add(time.Hour)
	e.Hear(beat(over, 1))
	e.Observe(shown(t, 1, 3, 4), over)
	expect(t, "when it is over", listEvents(e.Step(over).Events), []string{"changed vm.vcpus"})
	if f := e.Findings()[0]; f.Acknowledged != nil {
		t.Errorf("it is over and stands: %+v", f.Acknowledged)
	}
}

func isNotReady(err error) bool {
	_, is := errors.AsType[*NotReadyError](err)
	return is
}

// What an earlier turn did not get to tell is not ours to tell: the finding was
// stored as the next leader left it.
func TestAcknowledgementOfAnEarlierTurnIsNotTold(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	e.Step(begin)
	kept := e.Findings()
	ack := &reconcile.Acknowledgement{By: "kari", Reason: "known", At: begin, Until: begin.Add(time.Hour)}
	if _, err := e.Acknowledge(kept[0].ID, ack, begin); err != nil {
		t.Fatal(err)
	}
	e.Restore(kept)
	out := e.Step(begin.Add(second))
	expect(t, "in the next turn", listEvents(out.Events), nil)
	if f := e.Findings()[0]; f.Acknowledged != nil {
		t.Errorf("acknowledged: %+v", f.Acknowledged)
	}
}

func TestPolicyChangesWhileItRuns(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 4))
	expect(t, "at first", listEvents(e.Step(begin).Events), []string{"opened vm.vcpus"})
	accepting := policy
	accepting.Suppressions = []reconcile.Suppression{{
		ID: "s", Match: reconcile.Match{Kind: "vm.vcpus"}, Value: 4.0, Reason: "r", Owner: "o", Expires: begin.Add(time.Minute), Where: "p.yaml:3:3",
	}}
	e.Judge(accepting)
	if !e.Due(begin) {
		t.Error("no step is due")
	}
	expect(t, "accepted", listEvents(e.Step(begin).Events), []string{"changed vm.vcpus"})
	e.RefusePolicy([]sentral.Problem{{Where: "p.yaml:1:1", Error: "the file is empty"}})
	expect(t, "broken", listEvents(e.Step(begin).Events), []string{"opened policy.invalid"})
	expect(t, "the last good one stands", list(e.Findings()), []string{"open policy.invalid p.yaml:1:1", "suppressed vm.vcpus web-01"})
	over := begin.Add(time.Minute)
	e.Hear(beat(over, 1))
	if e.Due(over.Add(-time.Nanosecond)) || !e.Due(over) {
		t.Error("a step isn't due when the suppression expires")
	}
	expect(t, "expired", listEvents(e.Step(over).Events), []string{"opened policy.expired", "opened vm.vcpus"})
	e.Judge(policy)
	got := listEvents(e.Step(over).Events)
	slices.Sort(got)
	expect(t, "mended", got, []string{"resolved policy.expired", "resolved policy.invalid"})
}

// TestTaskThatEndedLongAgoIsNotHeldAgainstNow: a stream of Maskin's has what it
// said last of each VM, which may be weeks old.
func TestTaskThatEndedLongAgoIsNotHeldAgainstNow(t *testing.T) {
	e := started(t, begin, shown(t, 1, 1, 2))
	e.Task(reconcile.Task{ID: "t-1", VM: vmID.String(), Action: reconcile.ActionStop, State: reconcile.TaskSucceeded}, begin.Add(-time.Hour), begin)
	expect(t, "found", list(e.Step(begin).Changed), nil)
}
