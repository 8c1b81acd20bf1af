package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/reconcile"
)

// asks puts a request to the reconciler and gives the answer or its error.
func (r *rig) asks(endpoint string, request any) (string, error) {
	r.t.Helper()
	data, err := json.Marshal(request)
	if err != nil {
		r.t.Fatal(err)
	}
	reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab."+endpoint, data, 10*time.Second)
	if err != nil {
		return "", err
	}
	if text := reply.Header.Get(micro.ErrorHeader); text != "" {
		return "", errors.New(text)
	}
	return string(reply.Data), nil
}

// TestAcknowledgementIsStoredWhenItIsAnswered, and told once, and stands after the
// reconciler was killed: what it answered, it has written.
func TestAcknowledgementIsStoredWhenItIsAnswered(t *testing.T) {
	r := newRig(t)
	_, stop := r.reconciler(nil)
	r.shows(4)
	var id string
	for id = range r.untilStored("open vm.vcpus") {
	}
	until := time.Now().Add(time.Hour)
	for _, wrong := range []AckRequest{{Finding: id}, {Finding: id, By: "kari", Until: until}, {Finding: id, By: "kari", Reason: "r"}, {Finding: "f-none", By: "kari", Reason: "r", Until: until}} {
		if answer, err := r.asks("acknowledge", wrong); err == nil {
			t.Errorf("%+v was taken: %s", wrong, answer)
		}
	}
	if _, err := r.asks("acknowledge", AckRequest{Finding: id, By: "kari", Reason: "the window is tonight", Until: until}); err != nil {
		t.Fatal(err)
	}
	findings, _, err := r.stored() // and not until it is so
	if err != nil || findings[id].Acknowledged == nil || findings[id].Acknowledged.By != "kari" {
		t.Fatalf("%+v, %v", findings[id], err)
	}
	stop()
	s, _ := r.reconciler(nil)
	r.until("second run", func() error {
		if !s.engine.Status(time.Now()).Ready {
			return errors.New("not ready")
		}
		return nil
	})
	if f := s.engine.Findings()[0]; f.Acknowledged == nil || !f.Acknowledged.Until.Equal(until) {
		t.Errorf("after a restart: %+v", f.Acknowledged)
	}
	if _, err := r.asks("acknowledge", AckRequest{Finding: id, By: "kari", TakeBack: true}); err != nil {
		t.Fatal(err)
	}
	r.untilEvents("opened.vm.vcpus", "changed.vm.vcpus", "changed.vm.vcpus")
}

// TestTasksAreHeard: a fake Maskin's task keeps what it touches pending, what is
// no task is refused in the log, and nothing else.
func TestTasksAreHeard(t *testing.T) {
	r := newRig(t)
	fakeMaskin := func(vm, task string) {
		t.Helper()
		if err := r.reader.NATS().Publish("maskin.v1.task.lab."+vm, []byte(task)); err != nil {
			t.Fatal(err)
		}
	}
	s, _ := r.reconciler(nil)
	r.shows(2)
	r.until("ready", func() error {
		if !s.engine.Status(time.Now()).Ready {
			return errors.New("not ready")
		}
		return nil
	})
	fakeMaskin(vmID.String(), "{")
	fakeMaskin("another", fmt.Sprintf(`{"task": "t-1", "vm": %q, "action": "resize", "state": "running"}`, vmID))
	fakeMaskin(vmID.String(), fmt.Sprintf(`{"task": "t-1", "vm": %q, "action": "resize", "state": "running", "deadline": %q}`, vmID, time.Now().Add(time.Hour).Format(time.RFC3339)))
	r.until("the refusals", func() error {
		if strings.Count(r.log.text(), "task refused") < 2 || !r.log.has("task heard") {
			return errors.New("not yet")
		}
		return nil
	})
	r.shows(4)
	for id, f := range r.untilStored("pending vm.vcpus") {
		if f.Task == nil || f.Task.ID != "t-1" {
			t.Errorf("%s waits for %+v", id, f.Task)
		}
	}
	answer, err := r.asks("explain", "web-01")
	if err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("a question in quotes is not the VM's name: %s, %v", answer, err)
	}
	reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab.explain", []byte("web-01"), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var e reconcile.Explanation
	if err := json.Unmarshal(reply.Data, &e); err != nil || len(e.Tasks) != 1 || e.Tasks[0].Outcome != reconcile.TaskInFlight {
		t.Errorf("%+v, %v", e.Tasks, err)
	}
}

// TestNamesOfTheInventoryTakeNoPass: those that it has are told at once, those that
// hosts alone show when they are asked for.
func TestNamesOfTheInventoryTakeNoPass(t *testing.T) {
	r := newRig(t)
	s, _ := r.reconciler(nil)
	r.shows(2)
	r.until("ready", func() error {
		if !s.engine.Status(time.Now()).Ready {
			return errors.New("not ready")
		}
		return nil
	})
	ask := func(question, platforms string) error {
		reply, err := r.reader.NATS().Request("avstem.v1.reconcile.lab.status", []byte(question), 10*time.Second)
		if err != nil {
			return err
		}
		var status Status
		if err := json.Unmarshal(reply.Data, &status); err != nil {
			return err
		}
		switch n := status.Names; {
		case (n != nil) != (question != ""):
			return fmt.Errorf("%q: names are %+v", question, n)
		case n != nil && (strings.Join(n.Tenants, " ") != "acme" || strings.Join(n.Platforms, " ") != platforms):
			return fmt.Errorf("%q: %+v", question, n)
		}
		return nil
	}
	r.until("the document's platform", func() error { return ask(WithNames, "libvirt") })
	for _, question := range []string{"", WithRecordedNames} {
		if err := ask(question, ""); err != nil {
			t.Error(err)
		}
	}
}

// Who acknowledges is answered when that is stored, and not when something else of
// the finding is: what was judged before may be on its way still.
func TestAcknowledgementIsAnsweredWhenItIsStored(t *testing.T) {
	r := newRig(t)
	s := r.leading("one")
	f := opens("f-1").Changed[0]
	ack := &reconcile.Acknowledgement{By: "kari", Reason: "known", At: time.Now().UTC(), Until: time.Now().Add(time.Hour)}
	for _, step := range []struct {
		write        *reconcile.Acknowledgement
		acked, plain bool
	}{{nil, false, true}, {ack, true, false}, {nil, false, true}} {
		f.Acknowledged = step.write
		if err := s.store.put(t.Context(), 0, &f, nil); err != nil {
			t.Fatal(err)
		}
		if acked, plain := s.store.saysOf("f-1", ack), s.store.saysOf("f-1", nil); acked != step.acked || plain != step.plain {
			t.Errorf("written with %+v: acknowledged %v, not %v", step.write, acked, plain)
		}
	}
	f.Acknowledged = ack
	if err := s.store.put(t.Context(), 0, &f, nil); err != nil {
		t.Fatal(err)
	}
	if next := r.leading("next"); !next.store.saysOf("f-1", ack) {
		t.Error("the next leader doesn't know that it is acknowledged")
	}
}
