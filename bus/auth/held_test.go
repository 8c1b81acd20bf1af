package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/inventory"
)

// holds gives the (epoch, gen) of the last document of a host.
func holds(t *testing.T, s *spy, subject string) [2]uint64 {
	t.Helper()
	stream, err := s.conn.JetStream().Stream(t.Context(), bus.StreamObserved)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	o, err := bus.Decode(msg.Subject, msg.Header, msg.Data)
	if err != nil {
		t.Fatal(err)
	}
	return [2]uint64{o.Epoch, o.Gen}
}

func mustPublish(t *testing.T, p *bus.Publisher, o *inventory.Observation) {
	t.Helper()
	if err := p.Publish(within(t, 20*time.Second), o); err != nil {
		t.Fatal(err)
	}
}

// A host asks its reconciler what the stream holds, and judges as one that may read:
// what is there already isn't said again, and a clone is known by it.
func TestHostIsToldWhatTheStreamHoldsOfIt(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	if _, err := r.reconciler().AnswerHeld(site, func(subject string, err error) { t.Errorf("%s: %v", subject, err) }); err != nil {
		t.Fatal(err)
	}
	creds := r.issue(hostA, site)
	first := r.mustConnect(creds).NewPublisher(uuid.New())
	mustPublish(t, first, document(t, hostA, 1, 1))
	before := spy.stored()[bus.StreamObserved]
	first.Forget()
	mustPublish(t, first, document(t, hostA, 1, 1))
	if now := spy.stored()[bus.StreamObserved]; now != before {
		t.Errorf("what was there was said again: %d documents, then %d", before, now)
	}
	next := r.mustConnect(creds).NewPublisher(uuid.New())
	mustPublish(t, next, document(t, hostA, 2, 1))
	err := r.mustConnect(creds).NewPublisher(uuid.New()).Publish(within(t, 20*time.Second), document(t, hostA, 2, 1))
	if clone, is := errors.AsType[*bus.CloneError](err); !is || clone.Other != 2 {
		t.Errorf("a copy with the same epoch is told %v", err)
	}
	if got := holds(t, spy, ownA); got != [2]uint64{2, 1} {
		t.Errorf("the stream holds %v", got)
	}
}

// Without a reconciler a host publishes all the same, over whatever is there.
func TestHostPublishesWhileNoReconcilerRuns(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	creds := r.issue(hostA, site)
	mustPublish(t, r.mustConnect(creds).NewPublisher(uuid.New()), document(t, hostA, 1, 1))
	later := r.mustConnect(creds).NewPublisher(uuid.New())
	mustPublish(t, later, document(t, hostA, 2, 1))
	mustPublish(t, later, document(t, hostA, 2, 2))
	if got := holds(t, spy, ownA); got != [2]uint64{2, 2} {
		t.Errorf("the stream holds %v", got)
	}
}

// The reconciler reads with more rights than who asks it has, and would put the
// answer wherever it is told: so it does only into the asking host's own inbox.
func TestAnswerGoesNowhereButToWhoAsked(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	refused := make(chan string, 10)
	if _, err := r.reconciler().AnswerHeld(site, func(_ string, err error) { refused <- err.Error() }); err != nil {
		t.Fatal(err)
	}
	conn := r.mustConnect(r.issue(hostA, site))
	mustPublish(t, conn.NewPublisher(uuid.New()), document(t, hostA, 1, 1))
	spy.heard()
	for _, reply := range []string{ownB, beatB, "avstem.v1.finding.osl1.f-forged", "avstem.v1.finding.osl1." + hostA.String(), "_INBOX_" + hostB.String() + ".x",
		"_INBOX_" + hostA.String() + "0.x", "_INBOX_" + hostA.String(), "$JS.API.STREAM.DELETE.AVSTEM_FINDINGS", "maskin.v1.task.osl1.x", ""} {
		attempt{subject: heldA, reply: reply, body: "network"}.send(t, conn)
		select {
		case why := <-refused:
			if !strings.Contains(why, "not its inbox") {
				t.Errorf("an answer to %q is refused by %q", reply, why)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("an answer to %q is not refused", reply)
		}
		for _, subject := range spy.heard() {
			if subject != heldA {
				t.Errorf("asking for an answer to %q made somebody speak on %s", reply, subject)
			}
		}
	}
	for _, source := range []string{"", "*", ">", "network.>", "../x", strings.Repeat("x", 1000)} {
		attempt{subject: heldA, reply: "_INBOX_" + hostA.String() + ".x", body: source}.send(t, conn)
		select {
		case <-refused:
		case <-time.After(10 * time.Second):
			t.Fatalf("a read of source %.20q is not refused", source)
		}
	}
}

// A connection that lasts while its credentials are renewed comes back with the new
// ones, and a server's certificate that was renewed is taken without anybody's doing.
func TestRenewedFilesAreTakenAtTheNextConnect(t *testing.T) {
	r := newRig(t)
	creds := r.issue(hostA, site)
	conn := r.mustConnect(creds)
	back := make(chan struct{}, 10)
	conn.NATS().SetReconnectHandler(func(*nats.Conn) { back <- struct{}{} })
	// Another key under the same file name: the old one is revoked, and only who
	// reads the file again comes back.
	if _, err := r.dir.Revoke(hostA); err != nil {
		t.Fatal(err)
	}
	renew(t, r.issue(hostA, site), creds)
	if err := r.dir.Push(within(t, 20*time.Second), r.server); err != nil {
		t.Fatal(err)
	}
	await := func(what string) {
		t.Helper()
		select {
		case <-back:
		case <-time.After(30 * time.Second):
			t.Fatalf("it doesn't come back with %s", what)
		}
	}
	await("other credentials")
	if _, err := r.dir.RenewCertificate(); err != nil {
		t.Fatal(err)
	}
	if err := r.nats.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := conn.NATS().ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	await("another certificate")
}
