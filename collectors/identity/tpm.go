package identity

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/google/go-tpm/tpm2"
	"golang.org/x/sys/unix"

	"github.com/dataverket/avstem/collectors"
	"github.com/dataverket/avstem/inventory"
)

const (
	// tpmPath is the kernel's resource manager for a TPM 2.0
	// (drivers/char/tpm/tpmrm-dev.c); a TPM 1.2 has none.
	tpmPath = "/dev/tpmrm0"
	// tpmTimeout bounds one command. Reading takes a tenth of a second on slow
	// chips; one that is busy for somebody else can take many.
	tpmTimeout = 5 * time.Second

	tpmRemedy   = "let the agent's user open " + tpmPath + ": on Debian that is group tss (SupplementaryGroups=tss)"
	noKeyRemedy = "make the endorsement key persistent once: tpm2_createek -G rsa -c 0x81010001 -u /dev/null"
)

// endorsements are where an endorsement key may be found, a certificate that the
// vendor left in the TPM's storage before the key that somebody made persistent
// (TCG EK Credential Profile 2.2.1.4 and 2.2.1.5, TCG TPM 2.0 Provisioning
// Guidance 7.8). The order must stay: a TPM has several keys, and which one is
// hashed must not depend on the pass.
var endorsements = []struct{ certificate, key tpm2.TPMHandle }{
	{0x01c00002, 0x81010001}, // RSA 2048
	{0x01c0000a, 0x81010002}, // NIST P-256
	{0x01c00016, 0x81010016}, // NIST P-384
}

var (
	errNoEndorsementKey = errors.New("the TPM holds neither an endorsement certificate nor a persistent endorsement key")
	errOddCertificate   = errors.New("what is stored there is no X.509 certificate")
)

// tpm reads the hash of the TPM's endorsement key. A host without a TPM is an
// ordinary host, and no problem. Nothing in the TPM is made or changed.
func (r *reader) tpm() {
	if r.host.EndorsementKey != "" {
		return // an earlier pass read it
	}
	device, err := openTPM(r.root)
	if err != nil {
		switch why := collectors.WhyOf(err); why {
		case inventory.WhyAbsent:
		case inventory.WhyRefused:
			r.problem("host.endorsementKey", tpmPath, why, err, tpmRemedy)
		default:
			r.problem("host.endorsementKey", tpmPath, why, err, "")
		}
		return
	}
	defer device.Close()
	hash, err := endorsementKey(&tpmCommands{device, tpmTimeout})
	switch {
	case errors.Is(err, errNoEndorsementKey):
		r.problem("host.endorsementKey", tpmPath, inventory.WhyAbsent, err, noKeyRemedy)
	case err != nil:
		why := inventory.WhyBroken
		if errors.Is(err, os.ErrDeadlineExceeded) {
			why = inventory.WhyTimedOut
		}
		r.problem("host.endorsementKey", tpmPath, why, err, "")
	default:
		r.host.EndorsementKey = hash
	}
}

// openTPM opens the device for commands. What is there and is no device file is
// none: a capture of a host's files.
func openTPM(root string) (*tpmFile, error) {
	path := filepath.Join("/", root, tpmPath)
	info, err := os.Stat(path)
	if err == nil && info.Mode()&fs.ModeCharDevice == 0 {
		err = fs.ErrNotExist
	}
	var f *os.File
	if err == nil {
		// Not blocking, so that the deadline holds.
		f, err = os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", tpmPath, err)
	}
	return &tpmFile{f}, nil
}

// tpmFile is the device. Until the answer is there, reading gives nothing instead
// of EAGAIN (tpm_common_read in drivers/char/tpm/tpm-dev-common.c).
type tpmFile struct{ *os.File }

// Read waits for the answer, or for the deadline.
func (f *tpmFile) Read(answer []byte) (n int, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) (done bool) {
		n, err = unix.Read(int(fd), answer)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			n, err = 0, nil
		}
		return n > 0 || err != nil
	})
	if err == nil {
		err = waited
	}
	return max(n, 0), err
}

// endorsementKey is SHA-256 over the public part of the endorsement key: the bits
// of the certificate's subjectPublicKey, which are the same ones however the
// certificate names their algorithm.
func endorsementKey(t *tpmCommands) (string, error) {
	for _, at := range endorsements {
		key, err := certifiedKey(t, at.certificate)
		if isNothingThere(err) || errors.Is(err, errOddCertificate) {
			key, err = persistentKey(t, at.key)
		}
		if isNothingThere(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		hash := sha256.Sum256(key)
		return hex.EncodeToString(hash[:]), nil
	}
	return "", errNoEndorsementKey
}

// isNothingThere says whether the TPM answered that nothing has that handle.
func isNothingThere(err error) bool { return errors.Is(err, tpm2.TPMRCHandle) }

// certifiedKey reads the certificate, and gives its key.
func certifiedKey(t *tpmCommands, at tpm2.TPMHandle) ([]byte, error) {
	data, err := t.readStorage(at)
	if err != nil {
		return nil, fmt.Errorf("read endorsement certificate %#x: %w", uint32(at), err)
	}
	key, err := certificateKey(data)
	if err != nil {
		return nil, fmt.Errorf("read endorsement certificate %#x: %w", uint32(at), err)
	}
	return key, nil
}

// persistentKey reads the public part of a key that the TPM keeps.
func persistentKey(t *tpmCommands, at tpm2.TPMHandle) ([]byte, error) {
	key, err := t.readPublic(at)
	if err != nil {
		return nil, fmt.Errorf("read endorsement key %#x: %w", uint32(at), err)
	}
	return key, nil
}

// certificateKey takes the key's bits out of an X.509 certificate. Vendors'
// certificates break rules that crypto/x509 insists on, and what they say
// besides the key doesn't matter here. Storage may be larger than what is in it.
func certificateKey(data []byte) ([]byte, error) {
	var certificate struct {
		Certified struct {
			Version    int `asn1:"optional,explicit,default:0,tag:0"`
			Serial     asn1.RawValue
			Signature  asn1.RawValue
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			Key        publicKeyInfo
			IssuerID   asn1.BitString  `asn1:"optional,tag:1"`
			SubjectID  asn1.BitString  `asn1:"optional,tag:2"`
			Extensions []asn1.RawValue `asn1:"optional,explicit,tag:3"`
		}
		Algorithm asn1.RawValue
		Signature asn1.RawValue
	}
	if _, err := asn1.Unmarshal(data, &certificate); err != nil {
		return nil, fmt.Errorf("%w: %w", errOddCertificate, err)
	}
	bits := certificate.Certified.Key.Bits.RightAlign()
	if len(bits) == 0 {
		return nil, fmt.Errorf("%w: its key is empty", errOddCertificate)
	}
	return bits, nil
}

type publicKeyInfo struct {
	Algorithm pkix.AlgorithmIdentifier
	Bits      asn1.BitString
}
