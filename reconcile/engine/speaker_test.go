package engine

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dataverket/avstem/reconcile"
)

// speech lets agents speak, each named by a byte, and steps when that is due.
type speech struct {
	engine *Engine
	now    time.Time
	says   func(speaker byte, hostname, boot, problem string) []string
}

func newSpeech(t *testing.T) *speech {
	doc := shown(t, 1, 1, 2)
	s := &speech{engine: started(t, begin, doc), now: begin}
	s.engine.Step(begin)
	s.says = func(speaker byte, hostname, boot, problem string) []string {
		s.now = s.now.Add(5 * second)
		b := beat(s.now, 1, doc)
		b.Speaker, b.Hostname, b.BootID, b.Problem = uuid.UUID{speaker}, hostname, boot, problem
		s.engine.Hear(b)
		if !s.engine.Due(s.now) {
			return nil
		}
		return listEvents(s.engine.Step(s.now).Events)
	}
	return s
}

func TestTwoMachinesUnderOneHostIDAreNamed(t *testing.T) {
	s := newSpeech(t)
	expect(t, "first", s.says(1, "hv-01", "boot-a", ""), nil)
	expect(t, "second", s.says(2, "hv-01-copy", "boot-b", ""), nil) // it could be the first, started again
	s.says(1, "hv-01", "boot-a", "somebody else uses this ID")
	for range 4 {
		s.says(2, "hv-01-copy", "boot-b", "somebody else uses this ID")
		s.says(1, "hv-01", "boot-a", "somebody else uses this ID")
	}
	all := s.engine.Findings()
	i := slices.IndexFunc(all, func(f reconcile.Finding) bool { return f.Kind == reconcile.IdentityCloned })
	if i < 0 {
		t.Fatalf("no finding of it: %v", list(all))
	}
	f := all[i]
	if f.State != reconcile.Open || !strings.Contains(f.Message, "hv-01 (boot ID boot-a) and hv-01-copy (boot ID boot-b)") {
		t.Errorf("%s: %q doesn't name both machines", f.State, f.Message)
	}
	j := slices.IndexFunc(all, func(f reconcile.Finding) bool { return f.Kind == reconcile.ObserveRefused })
	if j < 0 || all[j].CausedBy != f.ID {
		t.Errorf("that nothing is published doesn't follow from it: %v", list(all))
	}
	// The copy is stopped: half a minute later it is over.
	var events []string
	for range 8 {
		events = append(events, s.says(1, "hv-01", "boot-a", "")...)
	}
	if !slices.Contains(events, "resolved identity.cloned") {
		t.Errorf("it doesn't end: %v", events)
	}
}

func TestAgentThatIsStartedAgainIsOne(t *testing.T) {
	s := newSpeech(t)
	for start := range byte(20) { // again and again, and the machine with it
		for range 2 {
			if events := s.says(start+1, "hv-01", string('a'+rune(start)), ""); len(events) > 0 {
				t.Errorf("start %d: %v", start, events)
			}
		}
	}
}
