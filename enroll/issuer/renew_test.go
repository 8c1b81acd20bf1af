package issuer

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/enroll"
)

func TestRenewalAsksForKeyHardwareAndTime(t *testing.T) {
	r := newRig(t)
	m := r.machine("A")
	before := m.in(r.token(Terms{Hardware: "A"}))
	r.pass(Lives / 2)
	after, err := m.renew()
	if err != nil || after.JWT == before.JWT || !after.Expires.After(before.Expires) {
		t.Fatalf("it gets %+v, %v", after, err)
	}
	r.pass(Lives + lateBy - time.Hour) // it was off
	if _, err := m.renew(); err != nil {
		t.Errorf("a host that was off: %v", err)
	}
	copied := *m
	copied.seen = r.machine("B").seen
	_, err = copied.renew()
	r.refused(err, "the host's key was used on other hardware", true)
	other := *m
	other.key = r.machine("A").key
	_, err = other.renew()
	r.refused(err, "another key by now", false)
	stranger := r.machine("C")
	_, err = stranger.renew()
	r.refused(err, "nothing was issued to host", false)
	r.pass(Lives + lateBy + time.Hour)
	_, err = m.renew()
	r.refused(err, "too long ago", true)
}

// An agent renews what is past half its life, and keeps at it while the issuer is away.
func TestAgentRenewsAtHalfLife(t *testing.T) {
	r := newRig(t)
	m := r.machine("A")
	state := t.TempDir()
	key, err := enroll.Key(state)
	if err != nil {
		t.Fatal(err)
	}
	m.key = key
	member, err := enroll.Member{Host: m.id, Issuer: r.url}.Take(state, m.in(r.token(Terms{Hardware: "A"})), key)
	if err != nil {
		t.Fatal(err)
	}
	if at := member.RenewAt(); (at.Sub(member.Issued) - member.Expires.Sub(at)).Abs() > time.Second {
		t.Errorf("it is renewed at %s", at)
	}
	run := func() (stop func()) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			enroll.KeepRenewed(ctx, state, func() hostid.Evidence { return m.seen }, slog.New(slog.DiscardHandler))
		}()
		return func() { cancel(); <-ended }
	}
	past := member
	past.Issued, past.Expires = member.Issued.Add(-Lives), member.Expires.Add(-Lives)
	if err := past.Write(state); err != nil {
		t.Fatal(err)
	}
	stop := run()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		now, err := enroll.ReadMember(state)
		if err == nil && now.Expires.After(time.Now()) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not renewed: %+v, %v", now, err)
		}
	}
	stop()
	where, err := member.Where(state)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(where.Creds); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the credentials are %v, %v", info, err)
	}
	// Those of `avstem auth host` don't end, and nothing is left to do.
	if err := (enroll.Member{Host: m.id}).Write(state); err != nil {
		t.Fatal(err)
	}
	run()()
}

func TestRevokedHostIsNotRenewed(t *testing.T) {
	r := newRig(t)
	m := r.machine("A")
	token := r.token(Terms{Hardware: "A"})
	m.in(token)
	if _, err := r.dir.Revoke(m.id); err != nil {
		t.Fatal(err)
	}
	_, err := m.renew()
	r.refused(err, "revoked at", true)
	_, err = m.enroll(token)
	r.refused(err, "revoked at", true)
	if no, is := errors.AsType[*enroll.RefusedError](err); !is || no.Status != enroll.StatusRevoked {
		t.Errorf("the host isn't told to let go of its key: %v", err)
	}
}
