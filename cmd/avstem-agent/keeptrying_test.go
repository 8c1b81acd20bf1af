package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dataverket/avstem/cmd/internal/doctor"
	"github.com/dataverket/avstem/enroll"
	"github.com/dataverket/avstem/enroll/issuer"
)

// TestKeepTrying: a host gets in once its server is there, and one whose token is
// refused doesn't ask again.
func TestKeepTrying(t *testing.T) {
	dir, gate, _ := startSite(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	address := free.Addr().String()
	made, _, err := gate.NewToken("https://"+address, issuer.Terms{Site: "osl1", Name: "hv-01", TTL: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	enrolls := func(home string) (chan int, *syncBuffer) {
		if err := writeHost(filepath.Join(home, "host")); err != nil {
			t.Fatal(err)
		}
		said, ended := new(syncBuffer), make(chan int, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		go func() {
			defer cancel()
			ended <- run(ctx, []string{"enroll", "--keep-trying", "--token", made.String()}, nil, said, said, environment(home))
		}()
		return ended, said
	}
	ended, said := enrolls(t.TempDir())
	for !strings.Contains(said.String(), "connection refused; trying again at ") {
		select {
		case code := <-ended:
			t.Fatalf("with no server there it exits %d: %s", code, said)
		case <-time.After(10 * time.Millisecond):
		}
	}
	pair, err := tls.LoadX509KeyPair(dir.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: gate.Handler(), TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	defer server.Close()
	if code := <-ended; code != exitOK || !strings.Contains(said.String(), "has credentials until") {
		t.Errorf("it exits %d: %s", code, said)
	}
	// Another host, with a code that holds once.
	ended, said = enrolls(t.TempDir())
	if code := <-ended; code != exitError || strings.Contains(said.String(), "trying again") || !strings.Contains(said.String(), "it holds once: it takes another token, of the server's: avstem enroll token --host ") {
		t.Errorf("with a used code it exits %d: %s", code, said)
	}
}

func TestLongestPause(t *testing.T) {
	_, refused := net.DialTimeout("tcp", "127.0.0.1:1", time.Second)
	_, noName := new(net.Resolver).LookupHost(t.Context(), "nowhere.invalid")
	for name, test := range map[string]struct {
		err   error
		pause time.Duration
	}{
		"nobody listens":       {refused, tryAway},
		"no such name":         {&net.OpError{Op: "dial", Err: noName}, tryAway},
		"no answer":            {context.DeadlineExceeded, tryAway},
		"another CA":           {&tls.CertificateVerificationError{}, tryMost},
		"it can't decide":      {&enroll.RefusedError{Status: http.StatusInternalServerError}, tryMost},
		"too many ask at once": {&enroll.RefusedError{Status: http.StatusServiceUnavailable}, tryMost},
	} {
		if got := longestPause(test.err); got != test.pause {
			t.Errorf("%s (%v): %s, want %s", name, test.err, got, test.pause)
		}
	}
}

func TestJudgeToken(t *testing.T) {
	for name, test := range map[string]struct {
		state, status string
		verdict       doctor.Verdict
		found, do     string
	}{
		"refused":       {"failed", "the issuer refuses: no", doctor.Broken, "the issuer refuses: no", "systemctl restart avstem-agent-enroll"},
		"no words left": {"failed", "", doctor.Broken, "journalctl -u avstem-agent-enroll", "enroll token --host NAME"},
		"waits":         {"active", "host x waits to be approved", doctor.Warning, "waits to be approved", "tries at once"},
		"not begun":     {"inactive", "", doctor.Warning, "is inactive", "systemctl start"},
		"no systemd":    {"", "", doctor.Warning, "is unknown here", "systemctl start"},
	} {
		r := judgeToken(test.state, test.status)
		if r.Verdict != test.verdict || !strings.Contains(r.Found, test.found) || !strings.Contains(r.Type, test.do) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}
