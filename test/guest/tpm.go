package guest

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Certified is how a vendor makes a TPM: with a key of each kind, persistent, and
// a certificate for each in its storage.
var Certified = []string{"--create-ek-cert", "--lock-nvram"}

// NewTPM makes a TPM in software (packages swtpm and swtpm-tools) as swtpm_setup's
// options say, and gives the directory that holds its state, for [PC.TPM].
func NewTPM(t testing.TB, options ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	authority, setup := filepath.Join(dir, "authority.conf"), filepath.Join(dir, "setup.conf")
	err := errors.Join(
		os.WriteFile(authority, fmt.Appendf(nil, "statedir = %s\nsigningkey = %[1]s/key.pem\nissuercert = %[1]s/issuer.pem\ncertserial = %[1]s/serial\n", dir), 0o600),
		os.WriteFile(setup, fmt.Appendf(nil, "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = /dev/null\n", authority), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--tpm2", "--tpmstate", dir, "--config", setup, "--write-ek-cert-files", dir}, options...)
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil {
		t.Fatalf("make a TPM (packages swtpm, swtpm-tools): %v\n%s", err, out)
	}
	return dir
}

// The vendor's copies of a [Certified] TPM's certificates.
const (
	RSACertificate   = "ek-rsa2048.crt"
	CurveCertificate = "ek-secp384r1.crt"
)

// CertifiedKey is SHA-256 over the public bits of the key that the vendor's copy
// of a certificate is about.
func CertifiedKey(t testing.TB, dir, certificate string) string {
	t.Helper()
	hash, err := hashOfCertificate(filepath.Join(dir, certificate))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func hashOfCertificate(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if block, _ := pem.Decode(data); block != nil {
		data = block.Bytes
	}
	certificate, err := x509.ParseCertificate(data)
	if err != nil {
		return "", err
	}
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(certificate.RawSubjectPublicKeyInfo, &info); err != nil {
		return "", err
	}
	hash := sha256.Sum256(info.Key.RightAlign())
	return hex.EncodeToString(hash[:]), nil
}

// powerTPM starts a software TPM for one run of a machine.
func powerTPM(ctx context.Context, t testing.TB, state string) (socket string, end func()) {
	t.Helper()
	socket = filepath.Join(state, "control.sock")
	_ = os.Remove(socket) // of the run before
	chip := exec.CommandContext(ctx, "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+state, "--ctrl", "type=unixio,path="+socket, "--terminate")
	chip.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := chip.Start(); err != nil {
		t.Fatalf("start TPM (package swtpm): %v", err)
	}
	for _, err := os.Stat(socket); err != nil && ctx.Err() == nil; _, err = os.Stat(socket) {
		time.Sleep(10 * time.Millisecond)
	}
	return socket, func() {
		_ = chip.Process.Signal(unix.SIGTERM) // it has ended by itself if the machine used it
		_ = chip.Wait()
	}
}
