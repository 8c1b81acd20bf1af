package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/inventory"
)

const (
	ownA   = "avstem.v1.observed.osl1.6f1c0000-0000-4000-8000-00000000000a.network"
	ownB   = "avstem.v1.observed.osl1.6f1c0000-0000-4000-8000-00000000000b.network"
	beatA  = "avstem.v1.heartbeat.osl1.6f1c0000-0000-4000-8000-00000000000a"
	beatB  = "avstem.v1.heartbeat.osl1.6f1c0000-0000-4000-8000-00000000000b"
	agentB = "avstem.v1.agent.osl1.6f1c0000-0000-4000-8000-00000000000b."
	heldA  = "avstem.v1.held.osl1.6f1c0000-0000-4000-8000-00000000000a"
)

// attempt is one message that a host tries to send.
type attempt struct {
	name, subject, reply string
	header               map[string]string
	body                 string
}

// What a host may not send arrives nowhere: no stream has more than before, and
// nobody who hears everything hears of it.
func TestHostCanOnlySpeakForItself(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	conn := r.mustConnect(r.issue(hostA, site))
	denied := make(chan string, 100)
	conn.NATS().SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err.Error() })
	doc := func(host uuid.UUID) string {
		data, err := json.Marshal(document(t, host, 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	api := func(name, call, body string) attempt {
		return attempt{name: name, subject: "$JS.API." + call, reply: "_INBOX_" + hostA.String() + ".x", body: body}
	}
	attempts := []attempt{
		{name: "document of another host", subject: ownB, body: doc(hostB)},
		{name: "document in another site", subject: strings.Replace(ownA, "osl1", "trd1", 1), body: doc(hostA)},
		{name: "source that hosts don't have", subject: strings.Replace(ownA, "network", "invented", 1), body: doc(hostA)},
		{name: "deeper subject of its own", subject: ownA + ".more", body: doc(hostA)},
		{name: "heartbeat of another host", subject: beatB, body: "{}"},
		{name: "finding", subject: "avstem.v1.finding.osl1.f-forged", body: `{"id":"f-forged"}`},
		{name: "drift event", subject: "avstem.v1.drift.osl1.opened.vm.missing", body: `{"id":"f-forged"}`},
		{name: "task of Maskin's", subject: "maskin.v1.task.osl1.0b7e2f6e-6d3a-4d43-9d0c-0d6a4c1c0001", body: `{"state":"running"}`},
		{name: "question to another agent", subject: agentB + "resync"},
		{name: "question to a reconciler", subject: "avstem.v1.reconcile.osl1.explain", body: "web-01"},
		{name: "decision of a person", subject: "avstem.v1.reconcile.osl1.acknowledge", body: "{}"},
		{name: "read for another host", subject: strings.Replace(heldA, "0a", "0b", 1), body: "network"},
		{name: "word into the reconciler's inbox", subject: "_INBOX_reconciler-osl1.x.y"},
		{name: "word into another host's inbox", subject: "_INBOX_" + hostB.String() + ".x"},
		{name: "micro service that lies", subject: "$SRV.INFO"},
		{name: "system request", subject: "$SYS.REQ.CLAIMS.UPDATE", body: "x"},
		api("purge", "STREAM.PURGE.AVSTEM_OBSERVED", ""),
		api("purge of another's subject", "STREAM.PURGE.AVSTEM_OBSERVED", `{"filter":"`+ownB+`"}`),
		api("delete stream", "STREAM.DELETE.AVSTEM_OBSERVED", ""),
		api("delete findings", "STREAM.DELETE.AVSTEM_FINDINGS", ""),
		api("update stream", "STREAM.UPDATE.AVSTEM_OBSERVED", `{"name":"AVSTEM_OBSERVED","subjects":["x"]}`),
		api("create stream", "STREAM.CREATE.MINE", `{"name":"MINE","subjects":["avstem.v1.heartbeat.>"]}`),
		api("delete message", "STREAM.MSG.DELETE.AVSTEM_OBSERVED", `{"seq":1}`),
		api("restore stream", "STREAM.RESTORE.AVSTEM_OBSERVED", `{}`),
		api("consumer over others' documents", "CONSUMER.CREATE.AVSTEM_OBSERVED", `{"stream_name":"AVSTEM_OBSERVED","config":{"deliver_subject":"`+ownA+`"}}`),
		api("read of another's document", "DIRECT.GET.AVSTEM_OBSERVED."+ownB, ""),
		api("read by sequence", "STREAM.MSG.GET.AVSTEM_OBSERVED", `{"seq":1}`),
		api("account's numbers", "INFO", ""),
		// The server's answer would be a document of ours on any subject, in the
		// server's own right: the reason why a host may not even read its own.
		{name: "own document put onto another's subject by a read", subject: "$JS.API.DIRECT.GET.AVSTEM_OBSERVED." + ownA, reply: ownB},
		{name: "own document put among the findings by a read", subject: "$JS.API.DIRECT.GET.AVSTEM_OBSERVED." + ownA, reply: "avstem.v1.finding.osl1.f-forged"},
		{name: "API call made by a read", subject: "$JS.API.DIRECT.GET.AVSTEM_OBSERVED." + ownA, reply: "$JS.API.STREAM.DELETE.AVSTEM_FINDINGS"},
	}
	before := spy.stored()
	spy.heard()
	for _, a := range attempts {
		t.Run(a.name, func(t *testing.T) {
			a.send(t, conn)
			select {
			case why := <-denied:
				if !strings.Contains(strings.ToLower(why), "permissions violation for publish") {
					t.Errorf("it is refused by %q", why)
				}
			case <-time.After(10 * time.Second):
				t.Error("the server says nothing of it")
			}
			if heard := spy.heard(); len(heard) > 0 {
				t.Errorf("it was passed on: %v", heard)
			}
		})
	}
	if diff := cmp.Diff(before, spy.stored()); diff != "" {
		t.Errorf("streams have changed (-want +got):\n%s", diff)
	}
}

func (a attempt) send(t *testing.T, conn *bus.Conn) {
	t.Helper()
	msg := nats.NewMsg(a.subject)
	msg.Reply, msg.Data = a.reply, []byte(a.body)
	for name, value := range a.header {
		msg.Header.Set(name, value)
	}
	if err := conn.NATS().PublishMsg(msg); err != nil {
		t.Fatal(err)
	}
	flush(t, conn)
}

// What a host may not hear, it is refused when it asks to.
func TestHostHearsNothingOfOthers(t *testing.T) {
	r := newRig(t)
	conn := r.mustConnect(r.issue(hostA, site))
	denied := make(chan string, 100)
	conn.NATS().SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err.Error() })
	for _, subject := range []string{
		">", "avstem.>", "avstem.v1.observed.>", ownB, beatB, "avstem.v1.heartbeat.osl1.*", agentB + "resync", "avstem.v1.agent.osl1.*.resync",
		"avstem.v1.finding.>", "avstem.v1.drift.>", "avstem.v1.held.osl1.*", "avstem.v1.reconcile.osl1.explain", "maskin.v1.task.>",
		"_INBOX.>", "_INBOX_" + hostB.String() + ".>", "_INBOX_reconciler-osl1.>", "$SRV.PING", "$JS.EVENT.>", "$SYS.>",
	} {
		t.Run(subject, func(t *testing.T) {
			sub, err := conn.NATS().SubscribeSync(subject)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			flush(t, conn)
			select {
			case why := <-denied:
				if !strings.Contains(strings.ToLower(why), "permissions violation for subscription") {
					t.Errorf("it is refused by %q", why)
				}
			case <-time.After(10 * time.Second):
				t.Error("it may listen there")
			}
		})
	}
}

// What JetStream would do for a header, it doesn't on this stream, or it concerns
// the sender's own subject alone.
func TestHeadersGiveAHostNoPowerOverOthers(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	b := r.mustConnect(r.issue(hostB, site))
	publisherB := b.NewPublisher(uuid.New())
	if err := publisherB.Publish(within(t, 20*time.Second), document(t, hostB, 1, 1)); err != nil {
		t.Fatal(err)
	}
	a := r.mustConnect(r.issue(hostA, site))
	for _, header := range []map[string]string{
		{"Nats-Rollup": "all"}, {"Nats-Rollup": "sub"}, {"Nats-TTL": "1s"}, {"Nats-Marker-Reason": "Purge"},
		{"Nats-Batch-Id": "x", "Nats-Batch-Sequence": "1", "Nats-Batch-Commit": "1"},
		{"Nats-Schedule": "@every 1s", "Nats-Schedule-Target": ownB},
		{"Nats-Expected-Last-Subject-Sequence": "0", "Nats-Expected-Last-Subject-Sequence-Subject": ownB},
	} {
		msg := nats.NewMsg(ownA)
		msg.Data = []byte("{}")
		for name, value := range header {
			msg.Header.Set(name, value)
		}
		reply, err := a.NATS().RequestMsgWithContext(within(t, 10*time.Second), msg)
		if err != nil {
			t.Fatalf("%v: %v", header, err)
		}
		t.Logf("%v: %s", header, reply.Data)
	}
	// A predicted Msg-Id would have another's document dropped, if documents had one.
	poison := attempt{subject: ownA, header: map[string]string{nats.MsgIdHdr: fmt.Sprintf("%s/2", hostB)}, body: "{}"}
	poison.send(t, a)
	if err := publisherB.Publish(within(t, 20*time.Second), document(t, hostB, 1, 2)); err != nil {
		t.Fatal(err)
	}
	stream, err := spy.conn.JetStream().Stream(t.Context(), bus.StreamObserved)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), ownB)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := bus.Decode(msg.Subject, msg.Header, msg.Data); err != nil || o.Gen != 2 {
		t.Errorf("host B's last document is %+v, %v", o, err)
	}
	if info.State.FirstSeq != 1 || info.State.NumDeleted != 0 {
		t.Errorf("something was removed: %+v", info.State)
	}
}

// An acknowledgement goes wherever its publisher asks for it. It is the server's
// own words, so that it can't be a document, a finding, a heartbeat or a question,
// and whoever reads there takes it for none.
func TestAcknowledgementSentElsewhereIsTakenForNothing(t *testing.T) {
	r := newRig(t)
	spy := r.spy()
	b := r.mustConnect(r.issue(hostB, site))
	publisherB := b.NewPublisher(uuid.New())
	publish := func(gen uint64) {
		t.Helper()
		if err := publisherB.Publish(within(t, 20*time.Second), document(t, hostB, 1, gen)); err != nil {
			t.Fatal(err)
		}
	}
	publish(1)
	a := r.mustConnect(r.issue(hostA, site))
	spy.heard()
	before := spy.stored()
	targets := []string{ownB, "avstem.v1.finding.osl1.f-forged", "avstem.v1.drift.osl1.opened.vm.missing", beatB,
		"$JS.API.STREAM.PURGE.AVSTEM_FINDINGS", "$JS.API.STREAM.PURGE.AVSTEM_OBSERVED", "$JS.API.STREAM.DELETE.AVSTEM_FINDINGS",
		"$JS.API.STREAM.MSG.DELETE.AVSTEM_FINDINGS", "$JS.API.STREAM.UPDATE.AVSTEM_OBSERVED", "$JS.API.STREAM.CREATE.MINE"}
	for _, target := range targets {
		attempt{subject: ownA, reply: target, body: `{"id":"f-forged"}`}.send(t, a)
	}
	// The acknowledgements come after what they acknowledge.
	for deadline := time.Now().Add(10 * time.Second); ; {
		if spy.stored()[bus.StreamFindings] > before[bus.StreamFindings] {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no acknowledgement was sent elsewhere: then this test can go")
		}
	}
	reader := r.mustConnect(r.dir.ReaderCreds())
	if found, err := reader.Findings(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("findings are %s, %v", found, err)
	}
	publish(2) // over what is in its place
	for _, name := range []string{bus.StreamObserved, bus.StreamFindings, bus.StreamDrift} {
		stream, err := spy.conn.JetStream().Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if s := stream.CachedInfo().State; s.FirstSeq > 1 || s.NumDeleted > 0 {
			t.Errorf("%s has lost something: %+v", name, s)
		}
	}
	var refused []string
	var taken []uint64
	done := make(chan struct{})
	ctx := within(t, 20*time.Second)
	go func() {
		_ = spy.conn.Observations(ctx, bus.ObservationHandler{
			Observation: func(o *inventory.Observation) { taken = append(taken, o.Gen) },
			Refused:     func(subject string, _ error) { refused = append(refused, subject) },
			Ready:       func() { close(done) },
		})
	}()
	<-done
	if !slices.Equal(taken, []uint64{2}) || !slices.Equal(refused, []string{ownA}) {
		t.Errorf("taken is %v, refused %v", taken, refused)
	}
}

// Only who has the key of a site can make its hosts' credentials, and even that
// key gives no more than a host may.
func TestForgedCredentials(t *testing.T) {
	r := newRig(t)
	all := func(c *jwt.UserClaims) {
		c.SetScoped(false)
		c.Permissions.Pub.Allow.Add(">")
		c.Permissions.Sub.Allow.Add(">")
	}
	foreign, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	siteKey := r.key("sites", site+".nk")
	for name, creds := range map[string]string{
		"permissions of its own":    r.forge(siteKey, all),
		"key of nobody":             r.forge(foreign, func(*jwt.UserClaims) {}),
		"key of nobody, all rights": r.forge(foreign, all),
		"expired":                   r.forge(siteKey, func(c *jwt.UserClaims) { c.Expires = time.Now().Add(-time.Minute).Unix() }),
		"not yet":                   r.forge(siteKey, func(c *jwt.UserClaims) { c.NotBefore = time.Now().Add(time.Hour).Unix() }),
		"bearer of the account":     r.forge(r.key("account.nk"), func(c *jwt.UserClaims) { c.SetScoped(false); c.BearerToken, c.IssuerAccount = true, "" }),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := r.connect(creds)
			if err == nil {
				conn.Close()
				t.Fatal("it was let in")
			}
			if !errors.Is(err, nats.ErrAuthorization) && !strings.Contains(err.Error(), "xpired") {
				t.Errorf("it is refused by %v", err)
			}
		})
	}
	t.Run("JWT without its key", func(t *testing.T) {
		stolen := readJWT(t, r.issue(hostB, site))
		other, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := r.connect(r.write(stolen, other)); err == nil {
			conn.Close()
			t.Error("it was let in")
		}
	})
	t.Run("key of another site", func(t *testing.T) {
		spy := r.spy()
		conn := r.mustConnect(r.forge(r.key("sites", "trd1.nk"), func(*jwt.UserClaims) {}))
		spy.heard()
		attempt{subject: ownA, body: "{}"}.send(t, conn)
		attempt{subject: beatA, body: "{}"}.send(t, conn)
		if heard := spy.heard(); len(heard) > 0 {
			t.Errorf("it was passed on: %v", heard)
		}
	})
	t.Run("nobody at all", func(t *testing.T) {
		nc, err := nats.Connect(r.server, nats.RootCAs(r.dir.CA()))
		if err == nil {
			nc.Close()
			t.Error("it was let in")
		}
	})
	t.Run("in the clear", func(t *testing.T) {
		nc, err := nats.Connect(strings.Replace(r.server, "tls://", "nats://", 1), nats.UserCredentials(r.issue(uuid.New(), site)))
		if err == nil {
			nc.Close()
			t.Error("it was let in")
		}
	})
}

// The issuer makes no credentials whose name would be every host.
func TestIssuerRefusesWhatIsNoHost(t *testing.T) {
	r := newRig(t)
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	account, err := r.key("account.nk").PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]auth.Issue{
		"no ID":              {Site: site, Key: public},
		"every site":         {ID: hostA, Site: "*", Key: public},
		"site that isn't":    {ID: hostA, Site: "nowhere", Key: public},
		"site above":         {ID: hostA, Site: "../osl1", Key: public},
		"every name":         {ID: hostA, Name: "*", Site: site, Key: public},
		"name with a dot":    {ID: hostA, Name: "a.b", Site: site, Key: public},
		"name with a space":  {ID: hostA, Name: "a b", Site: site, Key: public},
		"key of an account":  {ID: hostA, Site: site, Key: account},
		"no key":             {ID: hostA, Site: site},
		"key with something": {ID: hostA, Site: site, Key: public + "*"},
	} {
		if token, _, err := r.dir.Issue(bad); err == nil {
			t.Errorf("%s: it was issued: %s", name, token)
		}
	}
}

// A revocation ends what is connected, and what would connect.
func TestRevokedHostIsOutAtOnce(t *testing.T) {
	r := newRig(t)
	creds := r.issue(hostA, site)
	closed := make(chan struct{}, 1)
	conn := r.mustConnect(creds)
	conn.NATS().SetDisconnectErrHandler(func(*nats.Conn, error) {
		select { // it is called again for each connection that is made and refused
		case closed <- struct{}{}:
		default:
		}
	})
	bystander := r.mustConnect(r.issue(hostB, site))
	if _, err := r.dir.Revoke(hostA); err != nil {
		t.Fatal(err)
	}
	if err := r.dir.Push(within(t, 20*time.Second), r.server); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("it is connected still")
	}
	if conn, err := r.connect(creds); err == nil {
		conn.Close()
		t.Error("it was let in again")
	}
	if !bystander.NATS().IsConnected() {
		t.Error("another host was thrown out")
	}
	flush(t, bystander)
	h, err := r.dir.FindHost(hostA.String())
	if err != nil || h.State(time.Now()) != "revoked" {
		t.Errorf("it is listed as %+v, %v", h, err)
	}
	// Its key stays out; a new one is another matter.
	if _, _, err := r.dir.Issue(auth.Issue{ID: hostA, Site: site, Key: h.Key}); err == nil {
		t.Error("a revoked key was signed again")
	}
	r.mustConnect(r.issue(hostA, site))
}

// What runs at the time of a revocation is told; what doesn't finds it when it starts.
func TestRevocationHoldsOverARestart(t *testing.T) {
	r := newRig(t)
	creds := r.issue(hostA, site)
	r.mustConnect(creds).Close()
	r.nats.Close()
	if _, err := r.dir.Revoke(hostA); err != nil {
		t.Fatal(err)
	}
	r.restart()
	if conn, err := r.connect(creds); err == nil {
		conn.Close()
		t.Error("it was let in")
	}
}
