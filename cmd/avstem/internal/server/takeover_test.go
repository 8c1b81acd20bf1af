package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/history"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/sentral"
)

// many is the rig's inventory with so many VMs more.
func (r *rig) many(version string, more int) *sentral.Inventory {
	inv := r.books()
	inv.Version = version
	for i := range more {
		inv.VMs = append(inv.VMs, sentral.VM{ID: fmt.Sprintf("vm-%02d", i), Name: fmt.Sprintf("vm-%02d", i), Tenant: "acme", Project: "web", Site: "lab", Host: "hv-01", State: sentral.VMAbsent})
	}
	return inv
}

// saying makes a source that says one thing after the other, all at once.
func saying(invs ...*sentral.Inventory) func(context.Context, func(*sentral.Inventory)) {
	return func(ctx context.Context, fn func(*sentral.Inventory)) {
		for _, inv := range invs {
			fn(inv)
		}
		<-ctx.Done()
	}
}

func (r *rig) ask(endpoint string, question any) (errorText string) {
	r.t.Helper()
	data, err := json.Marshal(question)
	if err != nil {
		r.t.Fatal(err)
	}
	reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab."+endpoint, data, 6*time.Second)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply.Header.Get("Nats-Service-Error")
}

// What a person confirmed on one reconciler is not asked again by the next one,
// which holds the same inventory back for itself and has a state directory of its
// own.
func TestConfirmationOutlivesATakeover(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	source := saying(r.many("whole", 40), r.many("cut", 2))
	var log logs
	_, stop := r.reconcilerWith(Options{Watch: source, Logger: log.logger(), Keep: filepath.Join(dir, "first.json")}, &log)
	r.shows(2)
	r.untilStored("open inventory.held")
	var secondLog logs
	second, _ := r.reconcilerWith(Options{Watch: source, Logger: secondLog.logger(), Keep: filepath.Join(dir, "second.json")}, &secondLog)
	r.standing(second, &secondLog)
	r.until("the second holds it back", func() error {
		if got := second.engine.HeldBack(); got != "cut" {
			return fmt.Errorf("%q is held back", got)
		}
		return nil
	})
	if failed := r.ask("confirm", ConfirmRequest{By: "kari"}); failed != "" {
		t.Fatal(failed)
	}
	r.untilStored("resolved inventory.held")
	stop()
	r.until("the second leads", func() error { return r.answers(second) })
	r.untilStored("resolved inventory.held")
	if v := second.engine.Accepted().Version; v != "cut" {
		t.Errorf("the second uses %s", v)
	}
	if got := r.events(); len(got) != 2 {
		t.Errorf("events: %v", got)
	}
}

// One that begins with an empty state directory knows by what the last one wrote
// down how much is gone.
func TestNewReconcilerHoldsBackWhatLostMuch(t *testing.T) {
	r := newRig(t)
	first, stop := r.reconcilerWith(Options{Watch: saying(r.many("whole", 40))}, new(logs))
	r.shows(2)
	r.until("the inventory is written down", func() error {
		if version, err := first.ledger.usedLast(t.Context()); version != "whole" {
			return fmt.Errorf("%q, %v", version, err)
		}
		return nil
	})
	stop()
	second, _ := r.reconcilerWith(Options{Watch: saying(r.many("cut", 2)), Keep: filepath.Join(t.TempDir(), "second.json")}, new(logs))
	r.untilStored("open inventory.held")
	if inv := second.engine.Accepted(); inv.Version != "whole" || len(inv.VMs) != 41 {
		t.Errorf("%s is used, with %d VMs", inv.Version, len(inv.VMs))
	}
}

// Whoever acknowledged a finding did so for every reconciler.
func TestAcknowledgementOutlivesATakeover(t *testing.T) {
	r := newRig(t)
	_, stop := r.reconciler(nil)
	r.shows(4)
	before := r.untilStored("open vm.vcpus")
	var log logs
	second, _ := r.reconciler(&log)
	r.standing(second, &log)
	until := time.Now().Add(time.Hour)
	if failed := r.ask("acknowledge", AckRequest{Finding: keyOf(before), By: "kari", Reason: "known", Until: until}); failed != "" {
		t.Fatal(failed)
	}
	stop()
	r.until("the second leads", func() error { return r.answers(second) })
	r.shows(5) // it is at work
	r.until("the second writes", func() error { return r.storedOtherThan(before) })
	r.wantSame(before, "opened.vm.vcpus", "changed.vm.vcpus", "changed.vm.vcpus")
	after, _, err := r.stored()
	if err != nil {
		t.Fatal(err)
	}
	if ack := after[keyOf(before)].Acknowledged; ack == nil || ack.By != "kari" || !ack.Until.Equal(until) {
		t.Errorf("acknowledged: %+v", ack)
	}
	if failed := r.ask("acknowledge", AckRequest{Finding: keyOf(before), By: "ola", TakeBack: true}); failed != "" {
		t.Fatal(failed)
	}
	r.until("it is taken back", func() error {
		after, _, err := r.stored()
		if err == nil && after[keyOf(before)].Acknowledged != nil {
			err = errors.New("it isn't")
		}
		return err
	})
}

// Who wrote a finding before this turn began is known by the stream's order: the
// server's clock may be ahead of ours.
func TestFormerLeaderIsNoStranger(t *testing.T) {
	r := newRig(t)
	s := New(Options{Conn: r.connect("late"), Site: "lab"})
	former := New(Options{Conn: r.connect("former"), Site: "lab"})
	finding := reconcile.Finding{ID: "f-1", Kind: reconcile.VMState, State: reconcile.Open, Subject: reconcile.Subject{Type: "vm", ID: "1", Site: "lab"}}
	for _, one := range []*Server{former, s} {
		lease, err := one.o.Conn.AwaitLease(t.Context(), "lab", one.store.self, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := one.store.lead(t.Context(), lease); err != nil {
			t.Fatal(err)
		}
		if one == former {
			if err := one.store.put(t.Context(), 0, &finding, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	all, _, err := s.store.read(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if all[0].seq = s.store.fence.Last() - 1; s.store.foreign(all[0]) {
		t.Error("what the former leader wrote while marks were put down is taken for a stranger's")
	}
	all[0].at = time.Now().Add(time.Hour)
	if s.store.foreign(all[0]) {
		t.Error("what the former leader wrote is taken for a stranger's")
	}
	all[0].seq = s.store.fence.Last() + 1
	if !s.store.foreign(all[0]) {
		t.Error("what somebody wrote without the lease isn't noticed")
	}
}

// What is judged by is kept beside what is judged, each time that it is another
// policy and not each time that it is read.
func TestPoliciesAreWrittenDown(t *testing.T) {
	r := newRig(t)
	s, _ := r.reconciler(nil)
	r.shows(2)
	kept := func() (graces []time.Duration) {
		subject, err := bus.IntendedSubject("lab", history.PolicyID.Type, history.PolicyID.ID)
		if err != nil {
			t.Fatal(err)
		}
		err = r.reader.Read(t.Context(), bus.Past{Stream: bus.StreamIntended, Subjects: []string{subject}}, func(k bus.Kept) error {
			e, err := RecordOf(k)
			if err == nil {
				graces = append(graces, e.Policy.TaskGrace)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return graces
	}
	want := []time.Duration{reconcile.DefaultPolicy().TaskGrace}
	for _, next := range []time.Duration{want[0], time.Hour, time.Hour, 2 * time.Hour} {
		if next != want[len(want)-1] {
			want = append(want, next)
		}
		p := reconcile.DefaultPolicy()
		p.TaskGrace = next
		s.judge(p, nil)
		r.until("the policy is written down", func() error {
			if diff := cmp.Diff(want, kept()); diff != "" {
				return errors.New(diff)
			}
			return nil
		})
	}
}

// One that leads again writes down what it uses, unchanged as that may be: another one
// led meanwhile, by something else.
func TestLeadingAgainIsWrittenDown(t *testing.T) {
	r := newRig(t)
	leads := func() error { return nil }
	turn := func(l *ledger, version string) {
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); l.run(ctx) }()
		r.until(version+" is written down", func() error {
			if got, err := l.usedLast(ctx); got != version {
				return fmt.Errorf("%q, %v", got, err)
			}
			return nil
		})
		stop()
		<-ended
	}
	first := newLedger(r.connect("first"), "lab", reconcile.DefaultPolicy(), leads, slog.New(slog.DiscardHandler))
	second := newLedger(r.connect("second"), "lab", reconcile.DefaultPolicy(), leads, slog.New(slog.DiscardHandler))
	first.note(r.many("one", 1))
	second.note(r.many("two", 2))
	turn(first, "one")
	turn(second, "two")
	turn(first, "one")
}

// What comes while something else is written is not taken for written.
func TestChangeWhileWriting(t *testing.T) {
	l := newLedger(nil, "lab", reconcile.Policy{}, nil, nil)
	if _, is := l.unwritten(); is {
		t.Error("there is something to write before there is an inventory")
	}
	inv := &sentral.Inventory{Version: "one"}
	l.note(inv)
	writing, is := l.unwritten()
	if !is {
		t.Fatal("there is nothing to write")
	}
	l.judge(reconcile.Policy{TaskGrace: time.Hour})
	l.done(writing.changes)
	if next, is := l.unwritten(); !is || next.policy.TaskGrace != time.Hour || next.inventory != inv {
		t.Errorf("the policy is lost: %v", is)
	} else {
		l.done(next.changes)
	}
	l.note(inv)
	if _, is := l.unwritten(); is {
		t.Error("the same inventory is written again")
	}
}

// A lease that was won is kept while standing by takes its time to end.
func TestLeaseIsKeptBeforeItsTurnBegins(t *testing.T) {
	r := newRig(t)
	s := New(Options{Conn: r.connect("slow"), Site: "lab"})
	lease, err := s.o.Conn.AwaitLease(t.Context(), "lab", s.store.self, nil)
	if err != nil {
		t.Fatal(err)
	}
	other := r.connect("other")
	ctx, stop := context.WithCancel(t.Context())
	err = s.lead(ctx, lease, func() {
		defer stop()
		within, cancel := context.WithTimeout(ctx, 2*bus.LeaseFor)
		defer cancel()
		if _, err := other.AwaitLease(within, "lab", "other", nil); err == nil {
			t.Error("another one has it")
		}
	})
	if _, lost := errors.AsType[*bus.LostLeaseError](err); lost {
		t.Error(err)
	}
}
