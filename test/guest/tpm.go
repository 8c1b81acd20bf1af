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

// NewTPM makes a TPM in software, as its vendor does: with an endorsement key and
// its certificate. It gives the directory that holds its state, for [PC.TPM], and
// SHA-256 over the key's public bits, as the vendor's copy of the certificate has
// them.
func NewTPM(t testing.TB) (dir, keyHash string) {
	t.Helper()
	dir = t.TempDir()
	authority, setup := filepath.Join(dir, "authority.conf"), filepath.Join(dir, "setup.conf")
	err := errors.Join(
		os.WriteFile(authority, fmt.Appendf(nil, "statedir = %s\nsigningkey = %[1]s/key.pem\nissuercert = %[1]s/issuer.pem\ncertserial = %[1]s/serial\n", dir), 0o600),
		os.WriteFile(setup, fmt.Appendf(nil, "create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = %s\ncreate_certs_tool_options = /dev/null\n", authority), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--tpm2", "--tpmstate", dir, "--config", setup, "--create-ek-cert", "--lock-nvram", "--write-ek-cert-files", dir}
	if out, err := exec.CommandContext(t.Context(), "swtpm_setup", args...).CombinedOutput(); err != nil {
		t.Fatalf("make a TPM (packages swtpm, swtpm-tools): %v\n%s", err, out)
	}
	hash, err := hashOfCertificate(filepath.Join(dir, "ek-rsa2048.crt"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, hash
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
