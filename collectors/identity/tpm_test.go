package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/dataverket/avstem/test/guest"
)

// A swtpm (Debian's packages swtpm and swtpm-tools) is a TPM 2.0 in software, to
// the letter of the specification. Here it answers on a socket; that the device
// of a kernel gives the same is proved in test/hardware.

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
	dir := guest.NewTPM(t, guest.Certified...)
	chip := power(t, dir)
	got, err := endorsementKey(chip)
	if err != nil {
		t.Fatal(err)
	}
	if want := guest.CertifiedKey(t, dir, guest.RSACertificate); got != want {
		t.Errorf("hash %s, want the RSA certificate's %s", got, want)
	}
	for file, at := range map[string]int{guest.RSACertificate: 0, guest.CurveCertificate: 2} {
		certified, err := certifiedKey(chip, endorsements[at].certificate)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := hashText(certified), guest.CertifiedKey(t, dir, file); got != want {
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
	chip := power(t, guest.NewTPM(t, "--createek"))
	if _, err := certifiedKey(chip, endorsements[0].certificate); !isNothingThere(err) {
		t.Fatalf("there is a certificate: %v", err)
	}
	if hash, err := endorsementKey(chip); err != nil || len(hash) != sha256.Size*2 {
		t.Errorf("got %q, %v", hash, err)
	}
}

func hashText(data []byte) string {
	hash := sha256.Sum256(data)
	return hex.EncodeToString(hash[:])
}

// A certificate that can't be understood leaves the key itself, where that is kept.
func TestEndorsementKeyBesideAnOddCertificate(t *testing.T) {
	chip := power(t, guest.NewTPM(t, "--createek"))
	want, err := endorsementKey(chip)
	if err != nil {
		t.Fatal(err)
	}
	odd := tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: endorsements[0].certificate, NameAlg: tpm2.TPMAlgSHA256, DataSize: 4,
		Attributes: tpm2.TPMANV{OwnerWrite: true, AuthRead: true, OwnerRead: true, NoDA: true},
	})
	define := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: odd}
	if _, err := define.Execute(chip); err != nil {
		t.Fatal(err)
	}
	at, err := tpm2.NVReadPublic{NVIndex: endorsements[0].certificate}.Execute(chip)
	if err != nil {
		t.Fatal(err)
	}
	write := tpm2.NVWrite{
		AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: endorsements[0].certificate, Name: at.NVName},
		Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte("none")},
	}
	if _, err := write.Execute(chip); err != nil {
		t.Fatal(err)
	}
	if got, err := endorsementKey(chip); err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
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
