package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/reconcile"
)

// site is a server with credentials on this machine, its reconciler, and the
// commands that one would type there.
type siteRig struct {
	*place
	dir    string // of keys and credentials
	listen string // of NATS
	gate   string // where hosts enroll
	serve  *running
}

func newSite(t *testing.T) *siteRig {
	t.Helper()
	s := &siteRig{place: newPlace(t)}
	s.env["AVSTEM_STATE_DIR"] = s.state
	s.dir, s.listen, s.gate = filepath.Join(s.state, "auth"), freeAddress(t), freeAddress(t)
	s.must("auth", "init", "--site", "lab", "--name", "127.0.0.1", "--listen", s.listen)
	s.begin()
	return s
}

func (s *siteRig) begin() {
	s.t.Helper()
	s.serve = s.start("serve", "--inventory", s.inventory, "--with-nats", "--enroll-listen", s.gate)
	s.serve.stderr.await(s.t.(*testing.T), "hosts may enroll")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a command until the test ends it.
func (p *place) start(args ...string) *running {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{p: p, ended: make(chan int, 1), stop: cancel}
	go func() { r.ended <- run(ctx, args, strings.NewReader(""), &r.stdout, &r.stderr, p.getenv) }()
	p.t.Cleanup(func() {
		cancel()
		r.once.Do(func() { <-r.ended })
	})
	return r
}

// must runs a command that has to succeed, and gives what it wrote.
func (p *place) must(args ...string) string {
	p.t.Helper()
	code, stdout, stderr := p.try(args...)
	if code != 0 {
		p.t.Fatalf("avstem %s exits %d: %s%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// agent runs a real one in its own state directory, with what is in it.
func (s *siteRig) agent(stateDir string) (id uuid.UUID, log *output) {
	s.t.Helper()
	m, err := enroll.ReadMember(stateDir)
	if err != nil {
		s.t.Fatal(err)
	}
	where, err := m.Where(stateDir)
	if err != nil {
		s.t.Fatal(err)
	}
	log = new(output)
	where.Getenv, where.Logger = s.getenv, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	host, err := hostagent.Open(s.t.Context(), hostagent.Options{StateDir: stateDir, Site: m.Site, Interval: time.Second, Logger: where.Logger,
		LibvirtSockets: []string{filepath.Join(stateDir, "none")}, IncusSockets: []string{hostagent.NoSocket}, LXDSockets: []string{hostagent.NoSocket},
		Connect: func(ctx context.Context) (*bus.Conn, error) { return bus.Connect(ctx, where) }})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = host.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-ended
		host.Close()
	})
	return host.ID(), log
}

// admin is a connection that may do everything, as nobody has it.
func (s *siteRig) admin() *bus.Conn {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.dir, "account.nk"))
	if err != nil {
		s.t.Fatal(err)
	}
	account, err := nkeys.FromSeed(data[:len(data)-1])
	if err != nil {
		s.t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		s.t.Fatal(err)
	}
	token, err := jwt.NewUserClaims(public).Encode(account)
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := bus.Dial("tls://"+s.listen, slog.New(slog.DiscardHandler), "", nats.RootCAs(filepath.Join(s.dir, "tls", "ca.pem")),
		nats.UserJWT(func() (string, error) { return token, nil }, user.Sign))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(conn.Close)
	return conn
}

// found waits until drift shows a finding that is wanted.
func (s *siteRig) found(what string, want func(reconcile.Finding) bool) reconcile.Finding {
	s.t.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		code, stdout, stderr := s.try("drift", "--all", "-o", "json")
		last = fmt.Sprintf("exit %d\n%s%s", code, stdout, stderr)
		var findings []reconcile.Finding
		if code != 0 || json.Unmarshal([]byte(stdout), &findings) != nil {
			continue
		}
		if i := slices.IndexFunc(findings, want); i >= 0 {
			return findings[i]
		}
	}
	s.t.Fatalf("%s is not found: %s\n%s", what, last, s.serve.stderr.String())
	return reconcile.Finding{}
}

// TestCredentialsAreEnough: with what auth init and auth host made, and nothing
// more, agent, reconciler and reader do their work: documents arrive, findings are
// written and read, an agent that is asked again answers, and one that starts again
// goes on from what it said.
func TestCredentialsAreEnough(t *testing.T) {
	s := newSite(t)
	s.must("auth", "host", "lab-01", "--out", filepath.Join(s.state, "agent"))
	id, log := s.agent(filepath.Join(s.state, "agent"))
	s.found("the host", func(f reconcile.Finding) bool {
		return f.Kind == reconcile.IdentityWeak && f.Subject.Type == "host"
	})
	if out := s.must("explain", "lab-01", "-o", "json"); !strings.Contains(out, id.String()) {
		t.Errorf("explain doesn't know the host: %s", out)
	}
	admin := s.admin()
	documents := func() (n uint64) {
		stream, err := admin.JetStream().Stream(t.Context(), bus.StreamObserved)
		if errors.Is(err, nats.ErrNoResponders) || err != nil {
			return 0
		}
		return stream.CachedInfo().State.Msgs
	}
	awaitDocuments := func() {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); documents() == 0; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no document comes:\n%s\n%s", log.String(), s.serve.stderr.String())
			}
		}
	}
	awaitDocuments()
	if err := admin.JetStream().DeleteStream(t.Context(), bus.StreamObserved); err != nil {
		t.Fatal(err)
	}
	s.end() // and with it what the reconciler held: only the agent can say it again
	s.begin()
	awaitDocuments()
	for _, text := range []string{"ermission", "iolation"} {
		if strings.Contains(log.String()+s.serve.stderr.String(), text) {
			t.Errorf("something was not permitted:\n%s\n%s", log.String(), s.serve.stderr.String())
		}
	}
}

func (s *siteRig) end() {
	s.t.Helper()
	if code := s.serve.end(); code != 0 {
		s.t.Fatalf("serve exits %d:\n%s", code, s.serve.stderr.String())
	}
}

// TestReaderAndReconcilerAreHeldToTheirPart: neither may say what hosts say, nor
// remove it, and a reader changes nothing.
func TestReaderAndReconcilerAreHeldToTheirPart(t *testing.T) {
	s := newSite(t)
	admin := s.admin()
	everything, err := admin.NATS().SubscribeSync("avstem.v1.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.NATS().Flush(); err != nil {
		t.Fatal(err)
	}
	host := uuid.NewString()
	hosts := []string{"avstem.v1.observed.lab." + host + ".network", "avstem.v1.heartbeat.lab." + host, "avstem.v1.held.lab." + host,
		"$JS.API.STREAM.DELETE.AVSTEM_OBSERVED", "$JS.API.STREAM.PURGE.AVSTEM_OBSERVED", "$JS.API.STREAM.MSG.DELETE.AVSTEM_OBSERVED", "maskin.v1.task.lab.x"}
	for user, forbidden := range map[string][]string{
		"reconciler-lab": append([]string{"avstem.v1.finding.other.f-x", "avstem.v1.drift.other.opened.vm.missing", "avstem.v1.agent.other." + host + ".resync"}, hosts...),
		"reader": append([]string{"avstem.v1.finding.lab.f-x", "avstem.v1.drift.lab.opened.vm.missing", "avstem.v1.agent.lab." + host + ".resync",
			"$JS.API.STREAM.UPDATE.AVSTEM_FINDINGS", "$JS.API.STREAM.PURGE.AVSTEM_FINDINGS", "avstem.v1.reconcile.lab.acknowledge", "avstem.v1.reconcile.lab.confirm"}, hosts...),
	} {
		conn, err := bus.Connect(t.Context(), bus.Options{Server: "tls://" + s.listen, Getenv: s.getenv,
			Auth: bus.Auth{Creds: filepath.Join(s.dir, "creds", user+".creds"), CA: filepath.Join(s.dir, "tls", "ca.pem")}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		denied := make(chan error, 10)
		conn.NATS().SetErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err })
		for _, subject := range forbidden {
			if err := conn.NATS().Publish(subject, []byte("{}")); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-denied:
				if !strings.Contains(err.Error(), subject) {
					t.Errorf("%s on %s: %v", user, subject, err)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s may publish on %s", user, subject)
			}
		}
	}
	for {
		msg, err := everything.NextMsg(200 * time.Millisecond)
		if err != nil {
			break
		}
		if strings.Contains(msg.Subject, host) {
			t.Errorf("%s was passed on", msg.Subject)
		}
	}
}

// A host that is revoked is thrown out while it talks, and then it is stale.
func TestRevokedAgentFallsSilent(t *testing.T) {
	s := newSite(t)
	dir := filepath.Join(s.state, "agent")
	s.must("auth", "host", "lab-01", "--out", dir)
	if _, err := hostid.Provisioned(dir); err != nil {
		t.Fatal(err)
	}
	_, log := s.agent(dir)
	log.await(t, "connected to NATS")
	out := s.must("auth", "revoke", "lab-01")
	if !strings.Contains(out, "disconnected") {
		t.Errorf("it says %q", out)
	}
	log.await(t, "evoked")
	if out := s.must("auth", "list"); !strings.Contains(out, "revoked") {
		t.Errorf("the list is %s", out)
	}
	if code, _, stderr := s.try("auth", "revoke", "nobody"); code != exitError || !strings.Contains(stderr, "avstem auth list") {
		t.Errorf("revoking nobody exits %d: %s", code, stderr)
	}
}
