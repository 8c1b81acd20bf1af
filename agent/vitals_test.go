package agent

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/inventory"
)

func TestLedger(t *testing.T) {
	l := newLedger()
	began := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	pass := func(minute int, outcome inventory.Outcome, problems ...inventory.Problem) {
		l.passed(&inventory.Observation{Source: "runtime-libvirt", Outcome: outcome, Problems: problems}, time.Second, began.Add(time.Duration(minute)*time.Minute))
	}
	pass(0, inventory.OutcomeAbsent, inventory.Problem{Why: inventory.WhyAbsent})
	pass(1, inventory.OutcomeComplete)
	pass(2, inventory.OutcomePartial, inventory.Problem{Why: inventory.WhyRefused}, inventory.Problem{Why: inventory.WhyAbsent})
	pass(3, inventory.OutcomeFailed, inventory.Problem{Why: inventory.WhyTimedOut})
	l.published("runtime-libvirt")
	l.published("identity")
	want := []SourceVitals{
		{Source: "identity", Passes: map[inventory.Outcome]int{}, Published: 1},
		{Source: "runtime-libvirt", Took: time.Second, LastPass: began.Add(3 * time.Minute), LastComplete: began.Add(time.Minute), Problems: 1, Published: 1,
			Passes: map[inventory.Outcome]int{inventory.OutcomeAbsent: 1, inventory.OutcomeComplete: 1, inventory.OutcomePartial: 1, inventory.OutcomeFailed: 1}},
	}
	got := l.list()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	got[1].Passes[inventory.OutcomeFailed] = 99
	if l.list()[1].Passes[inventory.OutcomeFailed] != 1 {
		t.Error("what was given out is written to")
	}
}
