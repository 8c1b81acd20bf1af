package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/internal/hostagent"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/enroll/issuer"
	"github.com/dataverket/avstem/inventory"
)

// startSite runs a NATS server and an issuer with what Init made.
func startSite(t *testing.T) (*auth.Dir, *issuer.Issuer, string) {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	dir, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"), auth.Options{Sites: []string{"osl1"}, Sources: hostagent.Sources(),
		Names: []string{"127.0.0.1"}, Listen: free.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	nats, err := embedded.StartConfigured(t.Context(), dir.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nats.Close)
	pair, err := tls.LoadX509KeyPair(dir.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gate := issuer.Open(dir)
	server := &http.Server{Handler: gate.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	t.Cleanup(func() { server.Close() })
	return dir, gate, "https://" + listener.Addr().String()
}

// TestEnrollAndRun: with a token and no other flag, a host gets credentials, and its
// agent publishes with them.
func TestEnrollAndRun(t *testing.T) {
	dir, gate, url := startSite(t)
	home := t.TempDir()
	if err := writeHost(filepath.Join(home, "host")); err != nil {
		t.Fatal(err)
	}
	env := environment(home, "AVSTEM_INTERVAL=50ms", "AVSTEM_METRICS=none")
	state := filepath.Join(home, "state")
	enrolls := func(stdin string, more ...string) (code int, stdout, stderr string) {
		t.Helper()
		var out, errs syncBuffer
		code = run(t.Context(), append([]string{"enroll"}, more...), strings.NewReader(stdin), &out, &errs, env)
		return code, out.String(), errs.String()
	}
	token := func(hardware string) enroll.Token {
		t.Helper()
		made, _, err := gate.NewToken(url, issuer.Terms{Site: "osl1", Name: "hv-01", Hardware: hardware, TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	good := token("ABC123")
	nats, err := net.Dial("tcp", strings.TrimPrefix(dir.Server(), "tls://")) // it is there, and speaks first
	if err != nil {
		t.Fatal(err)
	}
	nats.Close()
	elsewhere, otherCA := good, good
	elsewhere.Issuer, otherCA.CAHash = "https://127.0.0.1:1", strings.Repeat("0", 64)
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no token":       {nil, exitUsage, "wants --token or --token-file"},
		"two tokens":     {[]string{"--token", "x", "--token-file", "y"}, exitUsage, "wants --token or --token-file"},
		"another word":   {[]string{"--token", "hunter2"}, exitUsage, "was it copied whole?"},
		"half a token":   {[]string{"--token", good.String()[:40]}, exitUsage, "was it copied whole?"},
		"no such file":   {[]string{"--token-file", filepath.Join(home, "nothing")}, exitError, "read token"},
		"nobody there":   {[]string{"--token", elsewhere.String()}, exitError, "connection refused"},
		"a wrong name":   {[]string{"--token", good.String(), "--server", "nats.invalid"}, exitError, "is nats.invalid right? --server names it otherwise"},
		"another port":   {[]string{"--token", good.String(), "--server", nats.RemoteAddr().String()}, exitError, "something else listens there"},
		"another CA":     {[]string{"--token", otherCA.String()}, exitError, "doesn't show the CA that the token names"},
		"in the clear":   {[]string{"--token", good.String(), "--server", "http://127.0.0.1:1"}, exitUsage, "--server"},
		"other hardware": {[]string{"--token", token("XYZ").String()}, exitError, "the code is for other hardware"},
	} {
		if code, _, stderr := enrolls("", c.args...); code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%s: exit %d: %s", name, code, stderr)
		}
	}
	code, stdout, stderr := enrolls(good.String()+"\n", "--token-file", "-")
	if code != exitOK || !strings.Contains(stdout, "of site osl1 has credentials until") {
		t.Fatalf("exit %d: %s%s", code, stdout, stderr)
	}
	for _, name := range []string{"nats.nk", "nats.creds", "nats.json", "nats-ca.pem"} {
		info, err := os.Stat(filepath.Join(state, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}

	conn, err := bus.Connect(t.Context(), bus.Options{Server: dir.Server(), Auth: bus.Auth{Creds: dir.ReconcilerCreds("osl1"), CA: dir.CA()}, Getenv: env})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var log syncBuffer
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"run"}, nil, &log, &log, env) }()
	defer func() {
		cancel()
		<-ended
	}()
	seen := make(chan *inventory.Observation, 100)
	go func() {
		_ = conn.Observations(ctx, bus.ObservationHandler{Ready: func() {}, Refused: func(_ string, err error) { t.Error(err) },
			Observation: func(o *inventory.Observation) { seen <- o }})
	}()
	for timeout := time.After(time.Minute); ; {
		select {
		case o := <-seen:
			if o.Site != "osl1" {
				t.Errorf("it publishes as of site %s", o.Site)
			}
			if o.Source == "identity" && o.Identity.Serial == "ABC123" {
				if code, _, stderr := enrolls("", "--token", good.String()); code != exitError || !strings.Contains(stderr, "this host is in already, with credentials for site osl1") {
					t.Errorf("while its agent runs: exit %d: %s", code, stderr)
				}
				return
			}
		case <-timeout:
			t.Fatalf("it publishes nothing:\n%s", log.String())
		}
	}
}

// A key is let go of where the issuer says that it was revoked, and for no other
// reason: it may be that of a host whose server has the word in its name.
func TestOnlyARevokedKeyIsLetGoOf(t *testing.T) {
	for _, test := range []struct {
		err  error
		gone bool
	}{
		{fmt.Errorf("enroll at https://revoked.example.net:4223: %w", errors.New("connection refused")), false},
		{fmt.Errorf("enroll at https://nats.example.net:4223: %w", &enroll.RefusedError{Status: http.StatusForbidden, Reason: "the host is called revoked"}), false},
		{fmt.Errorf("enroll at https://nats.example.net:4223: %w", &enroll.RefusedError{Status: enroll.StatusRevoked, Reason: "its key was revoked"}), true},
	} {
		a := &app{host: hostagent.Options{StateDir: t.TempDir()}}
		key, err := enroll.Key(a.host.StateDir)
		if err != nil {
			t.Fatal(err)
		}
		before, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := a.explainRefusal(test.err); !errors.Is(err, test.err) || strings.Contains(err.Error(), "has let go of its key") != test.gone {
			t.Errorf("%v: it says %v", test.err, err)
		}
		if key, err = enroll.Key(a.host.StateDir); err != nil {
			t.Fatal(err)
		}
		if after, err := key.PublicKey(); err != nil || (after != before) != test.gone {
			t.Errorf("%v: the key was %s and is %s, %v", test.err, before, after, err)
		}
	}
}
