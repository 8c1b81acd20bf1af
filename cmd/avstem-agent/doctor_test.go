package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/bus/embedded"
	"github.com/dataverket/avstem/cmd/internal/doctor"
)

// examined runs doctor and gives its results by check.
func examined(t *testing.T, wantCode int, env func(string) string, args ...string) map[string]doctor.Result {
	t.Helper()
	var stdout, stderr syncBuffer
	code := run(t.Context(), append([]string{"doctor", "-o", "json"}, args...), nil, &stdout, &stderr, env)
	var results []doctor.Result
	if err := json.Unmarshal([]byte(stdout.String()), &results); err != nil {
		t.Fatalf("%v: %s%s", err, stdout.String(), stderr.String())
	}
	byCheck := map[string]doctor.Result{}
	for _, r := range results {
		byCheck[r.Check] = r
	}
	if code != wantCode {
		t.Errorf("it exits %d, want %d: %s\n%s", code, wantCode, stderr.String(), stdout.String())
	}
	return byCheck
}

func wants(t *testing.T, results map[string]doctor.Result, check string, verdict doctor.Verdict, says string) {
	t.Helper()
	r, found := results[check]
	if !found || r.Verdict != verdict || !strings.Contains(r.Found+" "+r.Means+" "+r.Type, says) {
		t.Errorf("%s is %+v, want %s and %q", check, r, verdict, says)
	}
}

func tmpfs(t *testing.T, dir string) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func TestDoctor(t *testing.T) {
	dir := t.TempDir()
	if err := writeHost(filepath.Join(dir, "host")); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	env := environment(dir)

	t.Run("offline, with no runtime", func(t *testing.T) {
		r := examined(t, exitOK, env, "--offline")
		wants(t, r, "state directory", doctor.OK, "MiB free")
		wants(t, r, "identity", doctor.Warning, "no agent has run")
		wants(t, r, "source runtime-libvirt", doctor.Skipped, "libvirt is not on this host")
		wants(t, r, "configuration", doctor.OK, "none")
		if _, asked := r["NATS"]; asked {
			t.Error("it asked the server")
		}
	})
	t.Run("no server", func(t *testing.T) {
		r := examined(t, exitError, env, "--server", "nats://127.0.0.1:1")
		wants(t, r, "NATS", doctor.Broken, "nc -zv")
		wants(t, r, "publishing", doctor.Skipped, "no connection")
	})
	t.Run("a full disk and a read-only one", func(t *testing.T) {
		full := t.TempDir()
		tmpfs(t, full)
		if err := os.WriteFile(filepath.Join(full, "ballast"), make([]byte, 250<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		wants(t, examined(t, exitError, env, "--offline", "--state-dir", full), "state directory", doctor.Broken, "df -h")
		if err := unix.Mount("", full, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			t.Fatal(err)
		}
		wants(t, examined(t, exitError, env, "--offline", "--state-dir", full), "state directory", doctor.Broken, "for writing")
	})
	t.Run("a server", func(t *testing.T) {
		server, err := embedded.Start(t.Context(), embedded.Options{StateDir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		token := filepath.Join(dir, "nats", embedded.TokenName)
		wants(t, examined(t, exitError, env, "--server", server.URL()), "NATS", doctor.Broken, "creds:")
		r := examined(t, exitError, env, "--server", server.URL(), "--token-file", token)
		wants(t, r, "NATS", doctor.OK, "connected to")
		wants(t, r, "publishing", doctor.Broken, "start avstem serve")
		conn, err := server.Connect("test")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.EnsureStreams(t.Context()); err != nil {
			t.Fatal(err)
		}
		r = examined(t, exitOK, env, "--server", server.URL(), "--token-file", token)
		wants(t, r, "publishing", doctor.OK, "allowed")
		wants(t, r, "other hosts", doctor.Warning, "can speak for any host")
		wants(t, r, "NATS version", doctor.OK, "2.")
		if states, err := conn.StreamStates(t.Context()); err != nil || len(states) == 0 || states[0].Messages != 0 {
			t.Errorf("something was published: %+v, %v", states, err)
		}
	})
	t.Run("an expired certificate", func(t *testing.T) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		ca := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		server, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, TLS: true,
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}})
		if err != nil {
			t.Fatal(err)
		}
		server.Start()
		defer server.Shutdown()
		if !server.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server doesn't start")
		}
		wants(t, examined(t, exitError, env, "--server", "tls://"+server.Addr().String(), "--ca", ca), "NATS", doctor.Broken, "is this clock right")
	})
}
