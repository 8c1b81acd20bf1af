package issuer

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/enroll"
)

// rig is an issuer behind real TLS, with the certificate of its directory.
type rig struct {
	t      *testing.T
	dir    *auth.Dir
	issuer *Issuer
	url    string

	mu   sync.Mutex
	told []Refusal
	late time.Duration // that the issuer's clock is ahead
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"),
		auth.Options{Sites: []string{"osl1"}, Sources: []string{"network"}, Names: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, issuer: Open(dir)}
	r.issuer.now = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return time.Now().Add(r.late)
	}
	r.issuer.Refused = func(f Refusal) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, f)
	}
	cert, key := dir.Certificate()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r.issuer.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { server.Close() })
	r.url = "https://" + listener.Addr().String()
	return r
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late += d
}

// hasTold takes what was told since it was asked last.
func (r *rig) hasTold() []Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	told := r.told
	r.told = nil
	return told
}

func (r *rig) token(t Terms) enroll.Token {
	r.t.Helper()
	t.Site = "osl1"
	if t.TTL == 0 {
		t.TTL = time.Hour
	}
	token, _, err := r.issuer.NewToken(r.url, t)
	if err != nil {
		r.t.Fatal(err)
	}
	// It goes over somebody's clipboard.
	again, err := enroll.ParseToken(token.String() + "\n")
	if err != nil || again != token {
		r.t.Fatalf("the token reads as %+v, %v", again, err)
	}
	return token
}

// machine is a host that asks.
type machine struct {
	r    *rig
	id   uuid.UUID
	key  nkeys.KeyPair
	seen hostid.Evidence
}

func (r *rig) machine(serial string) *machine {
	r.t.Helper()
	key, err := nkeys.CreateUser()
	if err != nil {
		r.t.Fatal(err)
	}
	return &machine{r, uuid.New(), key, hostid.Evidence{MachineID: uuid.New(), SystemUUID: uuid.New(), Serial: serial}}
}

func (m *machine) public() string {
	m.r.t.Helper()
	public, err := m.key.PublicKey()
	if err != nil {
		m.r.t.Fatal(err)
	}
	return public
}

func (m *machine) enroll(t enroll.Token) (enroll.Answer, error) {
	m.r.t.Helper()
	client, err := enroll.NewClient(t.Issuer, enroll.Trust{CAHash: t.CAHash})
	if err != nil {
		m.r.t.Fatal(err)
	}
	return client.Enroll(m.r.t.Context(), enroll.Request{Code: t.Code, Key: m.public(), Host: m.id, Hostname: "hv\x1b[2J", Evidence: m.seen}, m.key)
}

func (m *machine) renew() (enroll.Answer, error) {
	m.r.t.Helper()
	client, err := enroll.NewClient(m.r.url, enroll.Trust{CAFile: m.r.dir.CA()})
	if err != nil {
		m.r.t.Fatal(err)
	}
	return client.Renew(m.r.t.Context(), enroll.Renewal{Key: m.public(), Host: m.id, Evidence: m.seen}, m.key)
}

// in asks, and must be let in.
func (m *machine) in(t enroll.Token) enroll.Answer {
	m.r.t.Helper()
	a, err := m.enroll(t)
	if err != nil || a.JWT == "" {
		m.r.t.Fatalf("it is not let in: %+v, %v", a, err)
	}
	return a
}

// refused sees that a request was refused for a reason, and whether that was told.
func (r *rig) refused(err error, reason string, told bool) {
	r.t.Helper()
	no, is := errors.AsType[*enroll.RefusedError](err)
	if !is || !strings.Contains(no.Reason, reason) {
		r.t.Errorf("it is refused by %v, want %q", err, reason)
	}
	switch got := r.hasTold(); {
	case told && (len(got) != 1 || !strings.Contains(got[0].Reason, reason) || got[0].Host == uuid.Nil || got[0].Site != "osl1"):
		r.t.Errorf("told is %+v, want %q", got, reason)
	case !told && len(got) > 0:
		r.t.Errorf("told is %+v", got)
	}
}

func TestHostWithTheRightHardwareIsLetInOnce(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Name: "hv-01", Hardware: "abc123"})
	m := r.machine("ABC123")
	a := m.in(token)
	if a.Site != "osl1" || a.Server != r.dir.Server() || !strings.Contains(a.CA, "CERTIFICATE") {
		t.Errorf("the answer is %+v", a)
	}
	if left := time.Until(a.Expires); left < Lives-time.Minute || left > Lives {
		t.Errorf("it ends at %s", a.Expires)
	}
	m.in(token) // its answer was lost
	h, err := r.dir.Host(m.id)
	if err != nil || h.Name != "hv-01" || h.Key != m.public() || h.Evidence.Serial != "ABC123" || h.By != "enrolment" {
		t.Errorf("it is listed as %+v, %v", h, err)
	}
	if told := r.hasTold(); len(told) > 0 {
		t.Errorf("told is %+v", told)
	}
	// What is kept is no code.
	err = filepath.WalkDir(r.dir.Path(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(token.Code)) {
			t.Errorf("%s has the code", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestCodeThatIsUsedTwiceIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Name: "hv-01", Person: true}) // the other knows no more of it than this one
	first, second := r.machine("A"), r.machine("B")
	if a, err := first.enroll(token); err != nil || a.Waiting == "" {
		t.Fatalf("the first is told %+v, %v", a, err)
	}
	_, err := second.enroll(token)
	r.refused(err, "the code was used before, by host "+first.id.String(), true)
	// The same host with another key, and the same key on other hardware.
	stolen := *first
	stolen.key = second.key
	_, err = stolen.enroll(token)
	r.refused(err, "used before", true)
	moved := *first
	moved.seen = second.seen
	_, err = moved.enroll(token)
	r.refused(err, "on other hardware", true)
	list, err := r.issuer.Requests()
	if err != nil || len(list) != 3 {
		t.Errorf("the list is %+v, %v", list, err)
	}
}

// Of many that come with one code at one time, one is let in.
func TestRaceForOneCode(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "same"})
	var in sync.Map
	var all sync.WaitGroup
	for range 12 {
		m := r.machine("SAME")
		all.Go(func() {
			if a, err := m.enroll(token); err == nil && a.JWT != "" {
				in.Store(m.id, true)
			}
		})
	}
	all.Wait()
	n := 0
	in.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d were let in", n)
	}
}

func TestCodeThatIsLateIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A", TTL: time.Hour})
	r.pass(time.Hour + time.Second)
	_, err := r.machine("A").enroll(token)
	r.refused(err, "the code is too old", true)
}

func TestCodeOnOtherHardwareIsRefusedAndTold(t *testing.T) {
	r := newRig(t)
	m := r.machine("B")
	_, err := m.enroll(r.token(Terms{Hardware: "A"}))
	r.refused(err, "other hardware", true)
	other := uuid.New()
	_, err = m.enroll(r.token(Terms{Host: other}))
	r.refused(err, "the code is for host "+other.String(), true)
}

func TestStrangerIsRefused(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A"})
	guess := token
	guess.Code = "AAAAAAAAAAAAAAAAAAAAAA"
	_, err := r.machine("A").enroll(guess)
	r.refused(err, "no such code", false)

	wrong := token
	wrong.CAHash = strings.Repeat("0", 64)
	if _, err := r.machine("A").enroll(wrong); err == nil || !strings.Contains(err.Error(), "doesn't show the CA that the token names") {
		t.Errorf("another CA: %v", err)
	}
	elsewhere := token
	elsewhere.Issuer = strings.Replace(token.Issuer, "127.0.0.1", "localhost", 1)
	if _, err := r.machine("A").enroll(elsewhere); err == nil || !strings.Contains(err.Error(), "localhost") {
		t.Errorf("another name: %v", err)
	}
	system := token
	system.CAHash = ""
	if _, err := r.machine("A").enroll(system); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a CA that nobody knows: %v", err)
	}
}

// Who has a public key and a code, but not the key, gets nothing.
func TestRequestMustBeSignedByItsKey(t *testing.T) {
	r := newRig(t)
	token := r.token(Terms{Hardware: "A"})
	m, thief := r.machine("A"), r.machine("A")
	client, err := enroll.NewClient(token.Issuer, enroll.Trust{CAHash: token.CAHash})
	if err != nil {
		t.Fatal(err)
	}
	ask := enroll.Request{Code: token.Code, Key: m.public(), Host: m.id, Evidence: m.seen}
	_, err = client.Enroll(t.Context(), ask, thief.key)
	r.refused(err, "isn't signed by the key", false)
	ask.Key = "U" + strings.Repeat("A", 55)
	_, err = client.Enroll(t.Context(), ask, thief.key)
	r.refused(err, "isn't signed by the key", false)
	m.in(token) // nothing of it used the code up
}

// A second enrolment of one identity is never silent: it waits for a person, and is
// told; who is approved ends what the host had.
func TestSecondEnrolmentWaitsAndIsTold(t *testing.T) {
	for name, approve := range map[string]bool{"approved": true, "denied": false} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			first := r.machine("A")
			first.in(r.token(Terms{Hardware: "A"}))
			second := r.machine("A")
			second.id, second.seen = first.id, first.seen
			token := r.token(Terms{Hardware: "A"}) // whatever the token allows
			for range 2 {
				a, err := second.enroll(token)
				if err != nil || a.Waiting == "" {
					t.Fatalf("it is told %+v, %v", a, err)
				}
			}
			if told := r.hasTold(); len(told) != 1 || told[0].Host != first.id || !strings.Contains(told[0].Reason, "has valid credentials since") {
				t.Errorf("told is %+v", told)
			}
			if h, err := r.dir.Host(first.id); err != nil || h.Key != first.public() {
				t.Errorf("it was taken over: %+v, %v", h, err)
			}
			// The decision is made by another process.
			other := Open(r.dir)
			if !approve {
				if _, err := other.Deny(first.id.String()); err != nil {
					t.Fatal(err)
				}
				_, err := second.enroll(token)
				r.refused(err, "somebody has denied it", false)
				if _, err := first.renew(); err != nil {
					t.Errorf("the first is disturbed: %v", err)
				}
				return
			}
			pushed := 0
			r.issuer.Push = func(context.Context) error { pushed++; return nil }
			if _, err := other.Approve(first.id.String()); err != nil {
				t.Fatal(err)
			}
			second.in(token)
			if pushed != 1 {
				t.Errorf("the account was handed to servers %d times", pushed)
			}
			_, err := first.renew()
			r.refused(err, "another key by now", false)
		})
	}
}

func TestHardwareOfAnotherHostWaits(t *testing.T) {
	r := newRig(t)
	first := r.machine("A")
	first.in(r.token(Terms{Hardware: "A"}))
	again := r.machine("A")
	again.seen.SystemUUID = first.seen.SystemUUID // another ID, another machine ID
	if a, err := again.enroll(r.token(Terms{Hardware: "A"})); err != nil || a.Waiting == "" {
		t.Errorf("it is told %+v, %v", a, err)
	}
	if told := r.hasTold(); len(told) != 1 || !strings.Contains(told[0].Reason, "the hardware is that of host "+first.id.String()) {
		t.Errorf("told is %+v", told)
	}
}

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
}

func TestNonceHoldsForAMinuteAndIsOurs(t *testing.T) {
	r := newRig(t)
	nonce := r.issuer.nonce()
	if !r.issuer.ours(nonce) || r.issuer.ours(nonce+"A") || r.issuer.ours("") || Open(r.dir).ours(nonce) {
		t.Error("nonces are not told apart")
	}
	r.pass(nonceLives + 2*time.Second)
	if r.issuer.ours(nonce) {
		t.Error("an old nonce is taken")
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	r := newRig(t)
	for name, bad := range map[string]Terms{
		"another site": {Site: "trd1", TTL: time.Hour}, "no name": {Site: "osl1", Name: "*", TTL: time.Hour},
		"no time": {Site: "osl1"}, "too long": {Site: "osl1", TTL: 30 * 24 * time.Hour},
	} {
		if _, _, err := r.issuer.NewToken(r.url, bad); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
	if _, _, err := r.issuer.NewToken("http://127.0.0.1:1", Terms{Site: "osl1", TTL: time.Hour}); err == nil {
		t.Error("an issuer in the clear was taken")
	}
}

// What anybody may send does nothing but be refused.
func FuzzHandler(f *testing.F) {
	dir, _, err := auth.Init(filepath.Join(f.TempDir(), "auth"),
		auth.Options{Sites: []string{"osl1"}, Sources: []string{"network"}, Names: []string{"127.0.0.1"}})
	if err != nil {
		f.Fatal(err)
	}
	handler := Open(dir).Handler()
	f.Add(enroll.PathEnroll, []byte(`{"code":"x","key":"U","host":"6f1c0000-0000-4000-8000-00000000000a"}`), "AAAA")
	f.Add(enroll.PathRenew, []byte(`{"nonce":"x"}`), "")
	f.Add("/", []byte{0xff}, "\x00")
	f.Fuzz(func(t *testing.T, path string, body []byte, signature string) {
		r, err := http.NewRequest(http.MethodPost, "https://127.0.0.1"+enroll.PathEnroll, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Path = path
		r.Header.Set(enroll.HeaderSignature, signature)
		w := &recorder{header: http.Header{}}
		handler.ServeHTTP(w, r)
		if w.status/100 == 2 && path != enroll.PathNonce {
			t.Errorf("%s is answered by %d %s", path, w.status, w.body.String())
		}
	})
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(b []byte) (int, error) { return r.body.Write(b) }
