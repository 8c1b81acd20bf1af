package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dataverket/avstem/reconcile"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority writes its certificate to NAME.crt.
func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: dir}
	a.key = a.newKey()
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.write(name, a.cert, &a.key.PublicKey, a.key)
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

// issue writes NAME.crt and NAME.key, good until the time.
func (a *authority) issue(name string, until time.Time) {
	a.t.Helper()
	key := a.newKey()
	a.write(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, &key.PublicKey, key)
}

func (a *authority) write(name string, cert *x509.Certificate, public *ecdsa.PublicKey, key *ecdsa.PrivateKey) {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for suffix, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, name+suffix), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
}

// serving is a running avstem sentral serve.
type serving struct {
	URL  string `json:"url"`
	stop context.CancelFunc
	done chan int
	log  *bytes.Buffer
	once sync.Once
}

func startServing(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, in := io.Pipe()
	s := &serving{stop: cancel, done: make(chan int, 1), log: &bytes.Buffer{}}
	go func() {
		code := run(ctx, append([]string{"sentral", "serve", "--listen", "127.0.0.1:0", "-o", "json"}, args...), nil, in, s.log, func(string) string { return "" })
		_ = in.Close()
		s.done <- code
	}()
	if err := json.NewDecoder(out).Decode(s); err != nil {
		cancel()
		<-s.done
		t.Fatalf("it didn't say where it serves: %v\n%s", err, s.log)
	}
	t.Cleanup(func() { s.end(t) })
	return s
}

// end stops it, once.
func (s *serving) end(t *testing.T) {
	t.Helper()
	s.once.Do(func() {
		s.stop()
		select {
		case code := <-s.done:
			if code != exitOK {
				t.Errorf("it ended with status %d\n%s", code, s.log)
			}
		case <-time.After(20 * time.Second):
			t.Error("it doesn't end")
		}
	})
}

// diff holds the observation of the test fleet against an inventory.
func diffAgainst(t *testing.T, where string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), []string{"diff", "--intended", where, "--observed", "testdata/fleet/hv-osl1-01.json", "-o", "json"}, nil, &stdout, &stderr, func(string) string { return "" })
	return code, stdout.String(), stderr.String()
}

// TestServedInventoryIsTheSame: findings are the same from the files and from
// the API that serves them, by token and by certificate, and who has neither is
// told what is wrong.
func TestServedInventoryIsTheSame(t *testing.T) {
	const inventory = "testdata/fleet/inventory"
	dir := t.TempDir()
	ca, other := newAuthority(t, dir, "ca"), newAuthority(t, dir, "other-ca")
	later, earlier := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	ca.issue("server", later)
	ca.issue("expired", earlier)
	ca.issue("client", later)
	ca.issue("late-client", earlier)
	other.issue("stranger", later)
	put := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put("tokens", "# the lab's\nfirst-token\n\nsecond-token\n")
	put("mine", "second-token\n")
	put("wrong", "no-token\n")
	_, want, _ := diffAgainst(t, inventory)
	if !strings.Contains(want, `"kind"`) {
		t.Fatalf("the files give no findings: %s", want)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	byToken := startServing(t, "--inventory", inventory, "--tls-cert", in("server.crt"), "--tls-key", in("server.key"), "--token-file", in("tokens"))
	byCert := startServing(t, "--inventory", inventory, "--tls-cert", in("server.crt"), "--tls-key", in("server.key"), "--client-ca", in("ca.crt"))
	expired := startServing(t, "--inventory", inventory, "--tls-cert", in("expired.crt"), "--tls-key", in("expired.key"))
	plain := startServing(t, "--inventory", inventory)
	for name, c := range map[string]struct{ spec, says string }{
		"plain":                  {"from: " + plain.URL, ""},
		"token":                  {"from: " + byToken.URL + "\nca: ca.crt\ntokenFile: mine", ""},
		"no token":               {"from: " + byToken.URL + "\nca: ca.crt", "401 Unauthorized: a bearer token that the server knows is needed"},
		"wrong token":            {"from: " + byToken.URL + "\nca: ca.crt\ntokenFile: wrong", "(give a token that the server knows)"},
		"lost token":             {"from: " + byToken.URL + "\nca: ca.crt\ntokenFile: gone", "read token: open"},
		"unknown CA":             {"from: " + byToken.URL + "\nca: other-ca.crt\ntokenFile: mine", "name the CA that signed it"},
		"TLS that is none":       {"from: " + strings.Replace(plain.URL, "http:", "https:", 1), "the server doesn't speak TLS"},
		"certificate":            {"from: " + byCert.URL + "\nca: ca.crt\ncert: client.crt\nkey: client.key", ""},
		"no certificate":         {"from: " + byCert.URL + "\nca: ca.crt", "does it want another client certificate"},
		"stranger":               {"from: " + byCert.URL + "\nca: ca.crt\ncert: stranger.crt\nkey: stranger.key", "does it want another client certificate"},
		"expired client":         {"from: " + byCert.URL + "\nca: ca.crt\ncert: late-client.crt\nkey: late-client.key", "or is that expired?"},
		"expired server":         {"from: " + expired.URL + "\nca: ca.crt", "the server's certificate is not valid now"},
		"certificate that isn't": {"from: " + byCert.URL + "\nca: ca.crt\ncert: mine\nkey: mine", "read the certificate in"},
		"CA that isn't":          {"from: " + byCert.URL + "\nca: mine", "holds no certificate in PEM"},
	} {
		put("source.yaml", c.spec+"\n")
		code, out, errOut := diffAgainst(t, in("source.yaml"))
		switch {
		case c.says == "" && (code != exitOK || out != want):
			t.Errorf("%s: status %d, other findings than from the files\n%s", name, code, errOut)
		case c.says != "" && (code != exitError || !strings.Contains(errOut, c.says)):
			t.Errorf("%s: status %d, %s\nwant %q", name, code, errOut, c.says)
		}
	}
}

// TestUpFromAServer takes the inventory from a server that goes away and comes
// back: what was found stands meanwhile.
func TestUpFromAServer(t *testing.T) {
	p := newPlace(t)
	serving := startServing(t, "--inventory", p.inventory)
	address := strings.TrimPrefix(serving.URL, "http://")
	up := append(p.upArgs(), "--site", "lab")
	up[slices.Index(up, p.inventory)] = serving.URL
	ctx, cancel := context.WithCancel(context.Background())
	var stdout, stderr output
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, up, strings.NewReader(""), &stdout, &stderr, p.getenv) }()
	defer func() { cancel(); <-ended }()
	stderr.await(t, "inventory read")
	p.drift(reconcile.IdentityWeak)
	serving.end(t)
	stderr.await(t, "a part of the inventory can't be used")
	stderr.await(t, "is the server running")
	for _, f := range p.drift(reconcile.IdentityWeak) {
		if f.Kind == reconcile.IdentityWeak && f.State == reconcile.Resolved {
			t.Errorf("without its source it is resolved: %s", f.Message)
		}
	}
	p.write("more.yaml", "hosts: [{id: lab-09, site: lab}]\n")
	startServing(t, "--inventory", p.inventory, "--listen", address)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if slices.ContainsFunc(p.drift(reconcile.HostMissing), func(f reconcile.Finding) bool { return f.Subject.ID == "lab-09" }) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("what came meanwhile is not taken up:\n%s", stderr.String())
		}
	}
}
