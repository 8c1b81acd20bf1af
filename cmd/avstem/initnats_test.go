package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/agent/hostid"
	"github.com/dataverket/avstem/enroll"
)

// initiated is a server that init made, as its unit would run it: as a user who may
// read no more than init let that user read.
type initiated struct {
	*siteRig
	dir    string // where everything of it is, its configuration in etc/avstem.yaml
	binary string
	log    *output
}

// initiate runs init as root does, whose home it is.
func initiate(t *testing.T, home string, args ...string) *initiated {
	t.Helper()
	s := &initiated{siteRig: &siteRig{place: newPlace(t)}, dir: openDir(t), log: new(output)}
	s.env["AVSTEM_CONFIG"], s.env["HOME"] = s.dir+"/etc/avstem.yaml", home
	s.state = s.dir + "/srv"
	if err := os.Mkdir(s.dir+"/etc", 0o755); err != nil { // as the package does
		t.Fatal(err)
	}
	s.binary = filepath.Join(s.dir, "avstem")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := s.must(append([]string{"init", "--state-dir", s.state, "--user", "nobody", "--site", "osl1"}, args...)...)
	t.Log(out)
	return s
}

// serve runs the service until the test ends.
func (s *initiated) begin(t *testing.T) {
	t.Helper()
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.Atoi(who.Uid)
	gid, errGID := strconv.Atoi(who.Gid)
	if errUID != nil || errGID != nil {
		t.Fatal(errUID, errGID)
	}
	cmd := exec.Command(s.binary, "serve", "--metrics", "none")
	cmd.Env = []string{"AVSTEM_CONFIG=" + s.dir + "/etc/avstem.yaml", "HOME=" + s.state}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	cmd.Dir, cmd.Stdout, cmd.Stderr = "/", s.log, s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ended by %v:\n%s", err, s.log.String())
		}
	})
	s.log.await(t, "findings taken up")
}

// live waits until a host is seen, and holds doctor to finding nothing broken.
func (s *initiated) live(t *testing.T, host string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		_, out, stderr := s.try("hosts")
		if strings.Contains(out, host) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not seen:\n%s%s\n%s", host, out, stderr, s.log.String())
		}
	}
	if out := s.must("doctor", "--listen-for", "1s"); !strings.Contains(out, "TLS") || !strings.Contains(out, "verified") {
		t.Errorf("doctor finds\n%s", out)
	}
}

// A NATS server that is there, with TLS and credentials, by flags and by a context of
// the nats command's: the service reads what it was lent, and no more, and reconciles.
func TestInitWithANATSServerThatIsThere(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(t *testing.T, home, server, creds, ca string) []string{
		"by flags": func(_ *testing.T, _, server, creds, ca string) []string {
			return []string{"--server", server, "--creds", creds, "--ca", ca}
		},
		"by a context": func(t *testing.T, home, server, creds, ca string) []string {
			t.Helper()
			data, err := json.Marshal(map[string]string{"url": server, "creds": creds, "ca": ca})
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(home, ".config", "nats", "context", "oslo.json")
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			return []string{"--context", "oslo"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			external := externalNATS(t, "osl1")
			startExternal(t, external)
			home := t.TempDir()
			s := initiate(t, home, way(t, home, external.Server(), external.ReconcilerCreds("osl1"), external.CA())...)
			s.begin(t)
			// Whoever runs that server makes the host's credentials.
			out := filepath.Join(t.TempDir(), "host")
			s.must("auth", "host", "hv-osl1-01", "--dir", external.Path(), "--out", out)
			id, _ := s.agent(out)
			s.live(t, id.String())
			if again := s.must("init", "--user", "nobody"); !strings.Contains(again, "nothing was changed") {
				t.Errorf("run again it says\n%s", again)
			}
		})
	}
}

// With a certificate that another CA signed hosts enroll and publish by that CA.
func TestInitWithACertificateOfOnesOwn(t *testing.T) {
	t.Parallel()
	files := openDir(t)
	ownCertificate(t, files)
	s := initiate(t, t.TempDir(), "--name", "127.0.0.1", "--listen", freeAddress(t), "--enroll-listen", freeAddress(t),
		"--cert", files+"/server.pem", "--key", files+"/server-key.pem", "--ca", files+"/ca.pem")
	s.begin(t)
	made := struct{ Token string }{}
	if err := json.Unmarshal([]byte(s.must("enroll", "token", "--auto-approve", "--host", "hv-osl1-01", "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	token, err := enroll.ParseToken(made.Token)
	if err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "agent")
	identity, err := hostid.Open(state, hostid.Evidence{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	id := identity.ID()
	identity.Close()
	var key nkeys.KeyPair
	if key, err = enroll.Key(state); err != nil {
		t.Fatal(err)
	}
	answer, err := s.asks(token, id, key, hostid.Evidence{})
	if err != nil || answer.JWT == "" {
		t.Fatalf("it is told %+v, %v\n%s", answer, err, s.log.String())
	}
	if _, err := (enroll.Member{Host: id, Issuer: token.Issuer}).Take(state, answer, key); err != nil {
		t.Fatal(err)
	}
	s.agent(state)
	s.live(t, id.String())
}

// ownCertificate makes a CA, and a certificate for 127.0.0.1 that it signed.
func ownCertificate(t *testing.T, dir string) {
	t.Helper()
	write := func(name, kind string, der []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
			t.Fatal(err)
		}
	}
	newKey := func() *ecdsa.PrivateKey {
		t.Helper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	certify := func(c, parent *x509.Certificate, key, by *ecdsa.PrivateKey) []byte {
		t.Helper()
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(90*24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	caKey, key := newKey(), newKey()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of one's own"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	write("ca.pem", "CERTIFICATE", certify(ca, ca, caKey, caKey), 0o644)
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "nats"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	write("server.pem", "CERTIFICATE", certify(server, ca, key, caKey), 0o644)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write("server-key.pem", "EC PRIVATE KEY", der, 0o600)
	who, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "server-key.pem"), uid, -1); err != nil {
		t.Fatal(err)
	}
}
