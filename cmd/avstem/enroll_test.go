package main

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/reconcile"
)

// token makes one as a person does.
func (s *siteRig) token(more ...string) enroll.Token {
	s.t.Helper()
	out := s.must(append([]string{"enroll", "token", "--issuer", "https://" + s.gate, "-o", "json"}, more...)...)
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		s.t.Fatal(err)
	}
	token, err := enroll.ParseToken(made.Token)
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// asks asks as a host of that ID with a key.
func (s *siteRig) asks(token enroll.Token, id uuid.UUID, key nkeys.KeyPair, seen hostid.Evidence) (enroll.Answer, error) {
	s.t.Helper()
	client, err := enroll.NewClient(token.Issuer, enroll.Trust{CAHash: token.CAHash})
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		s.t.Fatal(err)
	}
	return client.Enroll(s.t.Context(), enroll.Request{Code: token.Code, Key: public, Host: id, Hostname: "lab-01", Evidence: seen}, key)
}

// TestEnrolledHostWorks: a host that waited for a person gets credentials, and its
// agent is seen; the code is then worth nothing, and who tries it is found.
func TestEnrolledHostWorks(t *testing.T) {
	s := newSite(t)
	token := s.token("--host", "lab-01")
	dir := filepath.Join(s.state, "agent")
	identity, err := hostid.Open(dir, hostid.Evidence{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id := identity.ID()
	identity.Close()
	key, err := enroll.Key(dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.asks(token, id, key, hostid.Evidence{Serial: "ABC123"})
	if err != nil || a.Waiting == "" {
		t.Fatalf("it is told %+v, %v", a, err)
	}
	if out := s.must("enroll", "list"); !strings.Contains(out, a.Waiting) || !strings.Contains(out, "waiting") {
		t.Errorf("the list is %s", out)
	}
	if out := s.must("enroll", "approve", "lab-01"); !strings.Contains(out, "is approved") {
		t.Errorf("it says %s", out)
	}
	if a, err = s.asks(token, id, key, hostid.Evidence{Serial: "ABC123"}); err != nil || a.JWT == "" {
		t.Fatalf("it is told %+v, %v", a, err)
	}
	if _, err := (enroll.Member{Host: id, Issuer: token.Issuer}).Take(dir, a, key); err != nil {
		t.Fatal(err)
	}
	if got, _ := s.agent(dir); got != id {
		t.Errorf("the agent is host %s", got)
	}
	s.found("the host", func(f reconcile.Finding) bool { return f.Kind == reconcile.IdentityWeak && f.Subject.Type == "host" })

	other, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.asks(token, id, other, hostid.Evidence{Serial: "XYZ"})
	if _, refused := errors.AsType[*enroll.RefusedError](err); !refused {
		t.Errorf("a code that was used is answered by %v", err)
	}
	f := s.found("the second use of the code", func(f reconcile.Finding) bool {
		return f.Kind == reconcile.ObserveRefused && f.Field == reconcile.RefusedEnrolment
	})
	if !strings.Contains(f.Message, "was not let in by its enrolment: the code was used before") || f.Subject.ID != "lab-01" {
		t.Errorf("the finding is %+v", f)
	}
	if out := s.must("enroll", "list", "-o", "json"); !strings.Contains(out, `"state": "refused"`) {
		t.Errorf("the list is %s", out)
	}
	if code, _, stderr := s.try("enroll", "deny", "lab-01"); code != exitError || !strings.Contains(stderr, "none waits that is called so") {
		t.Errorf("denying what doesn't wait exits %d: %s", code, stderr)
	}
}
