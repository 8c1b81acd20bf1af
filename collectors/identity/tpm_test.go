package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A swtpm (Debian's packages swtpm and swtpm-tools) is a TPM 2.0 in software, to
// the letter of the specification. Here it answers on a socket; that the device
// of a kernel gives the same is proved in test/hardware.

// manufacture makes a TPM with an endorsement key and its certificate, as a
// vendor does, and gives the directory that holds its state.
func manufacture(t *testing.T, options ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	conf := filepath.Join(dir, "localca.conf")
	setup := filepath.Join(dir, "setup.conf")
	for path, text := range map[string]string{
		conf:  "statedir = " + dir + "\nsigningkey = " + dir + "/signkey.pem\nissuercert = " + dir + "/issuercert.pem\ncertserial = " + dir + "/certserial\n",
		setup: "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = " + conf + "\ncreate_certs_tool_options = /dev/null\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"--tpm2", "--tpmstate", dir, "--config", setup, "--write-ek-cert-files", dir}, options...)
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil {
		t.Fatalf("make a TPM: %v\n%s", err, out)
	}
	return dir
}

// power starts the TPM whose state is in dir, and connects to it.
func power(t *testing.T, dir string) *tpmCommands {
	t.Helper()
	socket := filepath.Join(dir, "tpm.sock")
	chip := exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+socket, "--flags", "not-need-init,startup-clear")
	if err := chip.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = chip.Process.Kill()
		_ = chip.Wait()
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			t.Cleanup(func() { conn.Close() })
			return &tpmCommands{conn, tpmTimeout}
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// A vendor's TPM has two keys with a certificate each, and the same keys made
// persistent; that one is hashed which every TPM has, from the certificate.
func TestEndorsementKeyOfATPM(t *testing.T) {
	dir := manufacture(t, "--create-ek-cert", "--lock-nvram")
	chip := power(t, dir)
	got, err := endorsementKey(chip)
	if err != nil {
		t.Fatal(err)
	}
	if want := hashOfCertificate(t, filepath.Join(dir, "ek-rsa2048.crt")); got != want {
		t.Errorf("hash %s, want the RSA certificate's %s", got, want)
	}
	for file, at := range map[string]int{"ek-rsa2048.crt": 0, "ek-secp384r1.crt": 2} {
		certified, err := certifiedKey(chip, endorsements[at].certificate)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := hashText(certified), hashOfCertificate(t, filepath.Join(dir, file)); got != want {
			t.Errorf("key of certificate %s has hash %s, want %s", file, got, want)
		}
		// A certificate that is written or lost later makes no other TPM.
		if kept, err := persistentKey(chip, endorsements[at].key); err != nil || hashText(kept) != hashText(certified) {
			t.Errorf("persistent key beside %s: %x, %v; want %x", file, kept, err, certified)
		}
	}
}

// AMD's firmware TPMs have no certificate in their storage.
func TestEndorsementKeyWithoutCertificate(t *testing.T) {
	chip := power(t, manufacture(t, "--createek"))
	if _, err := certifiedKey(chip, endorsements[0].certificate); !isNothingThere(err) {
		t.Fatalf("there is a certificate: %v", err)
	}
	if hash, err := endorsementKey(chip); err != nil || len(hash) != sha256.Size*2 {
		t.Errorf("got %q, %v", hash, err)
	}
}

// hashOfCertificate is what the manufacturer's own copy of the certificate says.
func hashOfCertificate(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	certificate, err := x509.ParseCertificate(data)
	if err != nil {
		t.Fatal(err)
	}
	var info publicKeyInfo
	if _, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info); err != nil {
		t.Fatal(err)
	}
	return hashText(info.Bits.RightAlign())
}

func hashText(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

func TestTPMWithoutEndorsementKey(t *testing.T) {
	chip := power(t, t.TempDir())
	if hash, err := endorsementKey(chip); !errors.Is(err, errNoEndorsementKey) {
		t.Errorf("got %q, %v", hash, err)
	}
}

// A TPM that takes a command and doesn't answer costs its deadline.
func TestTPMThatHangs(t *testing.T) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { theirs.Close(); ours.Close() })
	go func() { _, _ = io.Copy(io.Discard, theirs) }()
	began := time.Now()
	_, err := endorsementKey(&tpmCommands{ours, 50 * time.Millisecond})
	if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
}

func FuzzCertificateKey(f *testing.F) {
	f.Add([]byte{0x30, 0x03, 0x02, 0x01, 0x00})
	f.Fuzz(func(t *testing.T, data []byte) {
		if key, err := certificateKey(data); err == nil && len(key) == 0 {
			t.Error("a key of no bits")
		}
	})
}
