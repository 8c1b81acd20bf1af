package server

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/reconcile"
	"github.com/dataverket/avstem/reconcile/engine"
)

func TestAgentThatPublishesNothingIsAFinding(t *testing.T) {
	r := newRig(t)
	r.reconciler(nil)
	r.shows(2)
	speaker := uuid.New()
	r.until("finding", func() error {
		if err := r.agent.Beat(bus.Heartbeat{Host: hostID, Site: "lab", Epoch: r.epoch, Incarnation: speaker, At: time.Now(), Problem: "two use it"}); err != nil {
			return err
		}
		_, err := r.storedAre("open observe.refused", "pending identity.cloned") // the rig's agent speaks as well
		return err
	})
}

func TestFindingThatCannotBeReadIsTakenAway(t *testing.T) {
	r := newRig(t)
	subject, err := bus.FindingSubject("lab", "f-broken")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.reader.JetStream().Publish(t.Context(), subject, []byte("{")); err != nil {
		t.Fatal(err)
	}
	r.reconciler(nil)
	r.until("it is taken away", func() error { // readers pass it over until then
		stream, err := r.reader.JetStream().Stream(t.Context(), bus.StreamFindings)
		if err != nil {
			return err
		}
		_, err = stream.GetLastMsgForSubject(t.Context(), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err == nil {
			err = errors.New("it is there still")
		}
		return err
	})
	if !r.log.has("a kept finding can't be read") {
		t.Error("nobody was told")
	}
}

func TestFindingThatIsTooLargeHoldsUpNoOther(t *testing.T) {
	r := newRig(t)
	log := new(logs)
	s := New(Options{Conn: r.connect("reconciler"), Site: "lab", Logger: log.logger()})
	lease, err := s.o.Conn.AwaitLease(t.Context(), "lab", "test", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.lead(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	finding := func(id, message string) reconcile.Finding {
		return reconcile.Finding{ID: id, Kind: reconcile.VMState, State: reconcile.Open, Message: message, FirstSeen: time.Now(), LastSeen: time.Now()}
	}
	large, other := finding("f-large", strings.Repeat("x", 2<<20)), finding("f-other", "small")
	s.out.add(engine.Outcome{
		Changed: []reconcile.Finding{large, other},
		Events:  []reconcile.Event{{Change: reconcile.Opened, Finding: large}, {Change: reconcile.Opened, Finding: other}},
	}, "lab")
	if err := s.flush(t.Context()); err != nil {
		t.Errorf("flush: %v", err)
	}
	if left := s.out.size(); left != 0 {
		t.Errorf("%d are left", left)
	}
	if _, err := r.storedAre("open vm.state"); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"opened.vm.state"}, r.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if !log.has("f-large") {
		t.Error("nobody was told")
	}
}

// request is one that keeps how it was answered.
type request struct {
	micro.Request
	data       []byte
	code, text string
}

func (r *request) Respond(data []byte, _ ...micro.RespondOpt) error {
	r.data = data
	return nil
}

func (r *request) Error(code, text string, _ []byte, _ ...micro.RespondOpt) error {
	r.code, r.text = code, text
	return nil
}

func TestAnswerThatIsTooLargeIsAnsweredNevertheless(t *testing.T) {
	r := newRig(t)
	s := New(Options{Conn: r.connect("reconciler"), Site: "lab"})
	limit := int(r.reader.NATS().MaxPayload())
	fits, large := new(request), new(request)
	s.respondWith(fits, make([]byte, limit))
	s.respondWith(large, make([]byte, limit+1))
	if len(fits.data) != limit || fits.code != "" {
		t.Errorf("%d bytes are answered with %d bytes and %q", limit, len(fits.data), fits.text)
	}
	if large.data != nil || large.code != codeBroken || !strings.Contains(large.text, "NATS takes") {
		t.Errorf("what is larger is answered with %d bytes and %q %q", len(large.data), large.code, large.text)
	}
}
