package issuer

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
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
