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
	"github.com/dataverket/avstem/sentral"
)

// genHistory is a fleet that changes between passes: VMs come and go and differ,
// sources fail and hosts fall silent, records are edited.
func genHistory(t *rapid.T) []reconcile.Input {
	f := genFleet(t)
	now := epoch
	var history []reconcile.Input
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
		in := reconcile.Input{Intended: &inv, Policy: reconcile.DefaultPolicy(), Now: now}
		in.Policy.KeepResolved = 50 * time.Second
		for _, doc := range f.observed {
			in.Observed = append(in.Observed, genDocument(t, doc, now)...)
		}
		history = append(history, in)
	}
	return history
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
	rapid.Check(t, func(rt *rapid.T) {
		history := genHistory(rt)
		restart := rapid.IntRange(0, len(history)-1).Draw(rt, "restart")
		var findings, again []reconcile.Finding
		open := map[string]bool{}
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
			checkEvents(rt, events, findings, open)
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

// checkEvents: one is opened once, and changed or resolved only while it is
// open; what events say is what the findings say.
func checkEvents(t *rapid.T, events []reconcile.Event, findings []reconcile.Finding, open map[string]bool) {
	for _, e := range events {
		if opened := e.Change == reconcile.Opened; opened == open[e.Finding.ID] {
			t.Fatalf("%s of %s, which is open: %v", e.Change, e.Finding.Message, open[e.Finding.ID])
		}
		switch e.Change {
		case reconcile.Opened:
			open[e.Finding.ID] = true
		case reconcile.Closed:
			delete(open, e.Finding.ID)
		}
	}
	said := 0
	for _, f := range findings {
		if f.State == reconcile.Open {
			said++
		}
		if (f.State == reconcile.Open) != open[f.ID] {
			t.Fatalf("%s is %s, events say that it is open: %v", f.Message, f.State, open[f.ID])
		}
	}
	if said != len(open) {
		t.Fatalf("%d findings are open, events say %d", said, len(open))
	}
}
