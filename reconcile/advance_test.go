package reconcile_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dataverket/avstem/inventory"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/internal/seed"
	"github.com/dataverket/avstem/sentral"
)

// genHistory is a fleet that changes between passes: VMs come and go and differ,
// sources fail and hosts fall silent, records are edited.
func genHistory(t *rapid.T) []reconcile.Input {
	f := genFleet(t)
	now := epoch
	var history []reconcile.Input
	var tasks []reconcile.Task
	for range rapid.IntRange(1, 12).Draw(t, "passes") {
		now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(t, "seconds")) * time.Second)
		inv := f.intended
		inv.VMs = slices.Clone(inv.VMs)
		for i := range inv.VMs {
			inv.VMs[i].State = rapid.SampledFrom([]sentral.VMState{"", "", "", sentral.VMStopped, sentral.VMAbsent}).Draw(t, "intended")
		}
		if len(inv.VMs) > 0 && rapid.IntRange(0, 3).Draw(t, "forget") == 0 {
			inv.VMs = inv.VMs[1:]
		}
		in := reconcile.Input{Intended: &inv, Policy: genPolicy(t), Now: now}
		tasks = genTasks(t, tasks, f.intended.VMs, now)
		in.Tasks = tasks
		for _, doc := range f.observed {
			in.Observed = append(in.Observed, genDocument(t, doc, now)...)
		}
		history = append(history, in)
	}
	return history
}

// genPolicy is a policy by which much happens in a few passes.
func genPolicy(t *rapid.T) reconcile.Policy {
	p := reconcile.DefaultPolicy()
	p.KeepResolved, p.TaskGrace = 50*time.Second, 20*time.Second
	p.Flapping = reconcile.Flapping{Times: 2, Within: 3 * time.Minute, Calm: 30 * time.Second}
	accept := func(id, kind string, value any) {
		if rapid.IntRange(0, 2).Draw(t, id) > 0 {
			p.Suppressions = append(p.Suppressions, reconcile.Suppression{
				ID: id, Match: reconcile.Match{Kind: kind}, Value: value, Reason: "r", Owner: "o", Expires: epoch.Add(3 * time.Minute), Where: "p.yaml:1:1",
			})
		}
	}
	accept("missing", "vm.missing", nil)
	accept("stopped", "vm.state", "stopped")
	accept("any", "nic.*", "*")
	return p
}

// genTasks has Maskin say something now and then.
func genTasks(t *rapid.T, tasks []reconcile.Task, vms []sentral.VM, now time.Time) []reconcile.Task {
	if len(vms) == 0 || rapid.Bool().Draw(t, "silent") {
		return tasks
	}
	return reconcile.TakeTask(tasks, reconcile.Task{
		ID: rapid.SampledFrom([]string{"t-1", "t-2", "t-3"}).Draw(t, "task"), VM: vms[rapid.IntRange(0, len(vms)-1).Draw(t, "of")].ID,
		Action:   rapid.SampledFrom([]reconcile.Action{reconcile.ActionStart, reconcile.ActionStop, reconcile.ActionCreate, reconcile.ActionDelete, reconcile.ActionAttach}).Draw(t, "action"),
		State:    rapid.SampledFrom([]reconcile.TaskState{reconcile.TaskRunning, reconcile.TaskRunning, reconcile.TaskSucceeded, reconcile.TaskFailed}).Draw(t, "state"),
		Deadline: now.Add(time.Minute),
	}, now)
}

func genDocument(t *rapid.T, doc reconcile.Document, now time.Time) []reconcile.Document {
	o := *doc.Observation
	o.ObservedAt = now
	switch rapid.SampledFrom([]string{"seen", "seen", "seen", "seen", "failed", "partial", "old", "gone"}).Draw(t, "how") {
	case "failed":
		o.Outcome, o.Complete, o.Body = inventory.OutcomeFailed, false, inventory.Body{}
		o.Problems = []inventory.Problem{{Call: "connect", Why: inventory.WhyRefused, Error: "permission denied"}}
	case "partial":
		o.Outcome, o.Complete = inventory.OutcomePartial, false
	case "old":
		return []reconcile.Document{{Observation: &o, Received: now.Add(-time.Hour)}}
	case "gone":
		return nil
	}
	o.VMs = slices.DeleteFunc(slices.Clone(o.VMs), func(inventory.VM) bool { return rapid.IntRange(0, 5).Draw(t, "lost") == 0 })
	for i := range o.VMs {
		vm := &o.VMs[i]
		vm.State = rapid.SampledFrom([]inventory.State{inventory.StateRunning, inventory.StateRunning, inventory.StateStopped, inventory.StateUnknown}).Draw(t, "state")
		switch rapid.IntRange(0, 8).Draw(t, "vm") {
		case 0: // it can't be read
			o.Problems = append(slices.Clone(o.Problems), inventory.Problem{Entity: inventory.VMEntity(vm.UUID), Call: "xml", Why: inventory.WhyTimedOut, Error: "no answer"})
			*vm = inventory.VM{UUID: vm.UUID, Name: vm.Name}
		case 1:
			vm.NICs = nil
		case 2:
			vm.Placement = nil
		}
	}
	return []reconcile.Document{{Observation: &o, Received: now}}
}

// TestLifeOfFindings holds Advance to its laws over random histories.
func TestLifeOfFindings(t *testing.T) {
	seed.Fix(t)
	rapid.Check(t, func(rt *rapid.T) {
		history := genHistory(rt)
		restart := rapid.IntRange(0, len(history)-1).Draw(rt, "restart")
		var findings, again []reconcile.Finding
		told := map[string]reconcile.State{}
		for pass, in := range history {
			result := reconcile.Reconcile(in)
			checkLaws(t, in, result)
			before := findings
			var events, eventsAgain []reconcile.Event
			findings, events = reconcile.Advance(before, result, in.Policy, in.Now)
			if pass == restart {
				again = roundTrip(t, again)
			}
			slices.Reverse(again) // previous may come in any order
			again, eventsAgain = reconcile.Advance(again, reconcile.Reconcile(in), in.Policy, in.Now)
			if diff := gocmp.Diff(encode(t, []any{findings, events}), encode(t, []any{again, eventsAgain})); diff != "" {
				rt.Fatalf("after a restart, pass %d gives (-without +with):\n%s", pass, diff)
			}
			checkLife(rt, before, findings, in)
			checkEvents(rt, events, findings, told)
			checkDue(rt, findings, in)
		}
	})
}

func roundTrip(t *testing.T, findings []reconcile.Finding) (read []reconcile.Finding) {
	t.Helper()
	if err := json.Unmarshal([]byte(encode(t, findings)), &read); err != nil {
		t.Fatal(err)
	}
	return read
}

// checkLife: no finding is there twice, none begins anew, none that was open
// ends without a trace, and every cause is among them.
func checkLife(t *rapid.T, before, after []reconcile.Finding, in reconcile.Input) {
	byID := map[string]reconcile.Finding{}
	for _, f := range after {
		if _, twice := byID[f.ID]; twice {
			t.Fatalf("%s %s is there twice", f.ID, f.Message)
		}
		byID[f.ID] = f
		if f.FirstSeen.After(f.Since) || f.FirstSeen.After(f.LastSeen) || f.Since.After(in.Now) {
			t.Fatalf("%s was first seen at %s, is so since %s and was last seen at %s", f.Message, f.FirstSeen, f.Since, f.LastSeen)
		}
		if f.State == reconcile.Resolved && f.Verdict == reconcile.Undecided {
			t.Fatalf("%s is resolved out of sight", f.Message)
		}
	}
	for _, f := range after {
		if _, there := byID[f.CausedBy]; f.CausedBy != "" && !there {
			t.Fatalf("%s follows from %s, which isn't there", f.Message, f.CausedBy)
		}
	}
	for _, was := range before {
		f, kept := byID[was.ID]
		switch {
		case kept && !f.FirstSeen.Equal(was.FirstSeen):
			t.Fatalf("%s was first seen at %s, and now at %s", f.Message, was.FirstSeen, f.FirstSeen)
		case kept && was.State == reconcile.Open && f.State == reconcile.Pending:
			t.Fatalf("%s was open and is pending", f.Message)
		case !kept && was.State == reconcile.Open:
			t.Fatalf("%s was open and is gone", was.Message)
		}
	}
}

// checkEvents: one is opened once, and changed or resolved only while it is told
// of; what events say is what the findings say.
func checkEvents(t *rapid.T, events []reconcile.Event, findings []reconcile.Finding, told map[string]reconcile.State) {
	for _, e := range events {
		was, is := told[e.Finding.ID], e.Finding.State
		wrong := is != reconcile.Open && is != reconcile.Suppressed
		switch e.Change {
		case reconcile.Opened:
			wrong = was == reconcile.Open || is != reconcile.Open
		case reconcile.Changed:
			wrong = wrong || (was == "" && is == reconcile.Open)
		case reconcile.Closed:
			wrong = was == "" || is != reconcile.Resolved
		}
		if wrong {
			t.Fatalf("%s: %s is %s, and was told to be %q", e.Change, e.Finding.Message, is, was)
		}
		told[e.Finding.ID] = is
		if is == reconcile.Resolved {
			delete(told, e.Finding.ID)
		}
	}
	said := 0
	for _, f := range findings {
		is := f.State
		if is == reconcile.Open || is == reconcile.Suppressed {
			said++
		} else {
			is = ""
		}
		if told[f.ID] != is {
			t.Fatalf("%s is %s, and events say that it is %q", f.Message, f.State, told[f.ID])
		}
	}
	if said != len(told) {
		t.Fatalf("%d findings are open or suppressed, events say %d", said, len(told))
	}
}

// checkDue: nothing becomes of a finding by time alone before it is due.
func checkDue(t *rapid.T, findings []reconcile.Finding, in reconcile.Input) {
	result := reconcile.Reconcile(in)
	for i := range findings {
		life := reconcile.NewLife(&in.Policy, in.Tasks, nil, in.Now)
		due := life.Due(&findings[i])
		later := due.Add(-time.Nanosecond)
		if due.IsZero() {
			later = in.Now.Add(20 * time.Second)
		}
		if !later.After(in.Now) {
			continue
		}
		j := slices.IndexFunc(result.Findings, func(f reconcile.Finding) bool { return f.ID == findings[i].ID })
		if j < 0 {
			continue // what could be seen of it is not this test's
		}
		next, keep, change := reconcile.NewLife(&in.Policy, in.Tasks, nil, later).Step(&findings[i], &result.Findings[j])
		if !keep || change != "" || next.State != findings[i].State {
			t.Fatalf("%s is %s and due at %s: at %s it is %s (%s)", next.Message, findings[i].State, due, later, next.State, change)
		}
	}
}
