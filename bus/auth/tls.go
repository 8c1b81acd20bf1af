package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"time"

	"github.com/dataverket/avstem/statefile"
)

const (
	caLives = 10 * 365 * 24 * time.Hour
	// certificateLives is what public CAs may give at most today.
	certificateLives = 397 * 24 * time.Hour
	// backdated covers hosts whose clocks are behind.
	backdated = time.Hour
)

// tls makes a private CA and the server's certificate, or checks those given.
func (m *maker) tls() error {
	if m.setup.OwnTLS {
		return m.checkCertificate()
	}
	caFile, caKey := m.file("tls", "ca.pem"), m.file("tls", "ca-key.pem")
	if _, err := os.Stat(caFile); errors.Is(err, fs.ErrNotExist) {
		if err := m.makeCA(caFile, caKey); err != nil {
			return err
		}
		m.made = append(m.made, Made{Path: caKey, What: "key of a private CA; nothing that runs needs it", New: true})
		m.made = append(m.made, Made{Path: caFile, What: "private CA, for clients to trust", New: true})
	} else if err != nil {
		return err
	}
	held, err := m.leaf()
	// A renewal that was cut short leaves a key that isn't the certificate's.
	_, fits := tls.LoadX509KeyPair(m.setup.Cert, m.setup.Key)
	if err == nil && fits == nil && sameNames(held, m.setup.Names) && m.now().Before(held.NotAfter) {
		m.made = append(m.made, Made{Path: m.setup.Cert, What: certificateText(held)})
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return m.keep(m.setup.Cert, fmt.Sprintf("server's certificate for %v, until %s", m.setup.Names, m.now().Add(certificateLives).UTC().Format(time.DateOnly)),
		func(string) error { _, err := m.issueCertificate(); return err })
}

func certificateText(c *x509.Certificate) string {
	return fmt.Sprintf("server's certificate for %v, until %s", namesOf(c), c.NotAfter.UTC().Format(time.DateOnly))
}

func namesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// sameNames says whether a certificate holds for all names.
func sameNames(c *x509.Certificate, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return c.VerifyHostname(name) != nil })
}

func (d *Dir) checkCertificate() error {
	if _, err := tls.LoadX509KeyPair(d.setup.Cert, d.setup.Key); err != nil {
		return fmt.Errorf("read certificate %s: %w", d.setup.Cert, err)
	}
	if d.setup.CA == "" {
		return nil
	}
	data, err := os.ReadFile(d.setup.CA)
	if err != nil {
		return fmt.Errorf("read CA: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(data) {
		return fmt.Errorf("read CA %s: there is no certificate in it", d.setup.CA)
	}
	return nil
}

func (d *Dir) makeCA(certFile, keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make CA: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "avstem " + d.setup.Names[0] + " CA"},
		NotBefore: d.now().Add(-backdated), NotAfter: d.now().Add(caLives),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make CA: %w", err)
	}
	if err := writeKey(keyFile, key); err != nil {
		return fmt.Errorf("make CA: %w", err)
	}
	return statefile.Write(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func serial() *big.Int {
	n := make([]byte, 16)
	_, _ = rand.Read(n) // never fails (crypto/rand)
	n[0] &= 0x7f
	return new(big.Int).SetBytes(n)
}

func writeKey(path string, key crypto.Signer) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return statefile.Write(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// issueCertificate makes a new key and certificate of the server. The CA's stands
// behind it in the file, for who knows only the CA's hash.
func (d *Dir) issueCertificate() (*x509.Certificate, error) {
	caCert, caPEM, err := readCertificate(d.file("tls", "ca.pem"))
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	if err := checkMode(d.file("tls", "ca-key.pem")); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(d.file("tls", "ca.pem"), d.file("tls", "ca-key.pem"))
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	until := d.now().Add(certificateLives)
	if until.After(caCert.NotAfter) {
		until = caCert.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: d.setup.Names[0]},
		NotBefore: d.now().Add(-backdated), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range d.setup.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, caCert, key.Public(), pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	// The key goes first: who reads the pair in between finds that they don't fit,
	// and keeps what it has.
	if err := writeKey(d.setup.Key, key); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	chain := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), caPEM...)
	if err := statefile.Write(d.setup.Cert, chain); err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

// RenewCertificate replaces the server's certificate by a new one of the private
// CA, with the names that it had.
func (d *Dir) RenewCertificate() (until time.Time, err error) {
	err = d.change(func() error {
		if d.setup.OwnTLS {
			return fmt.Errorf("%s is not of avstem's own CA: renew it where it came from", d.setup.Cert)
		}
		c, err := d.issueCertificate()
		if err == nil {
			until = c.NotAfter
		}
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("renew certificate: %w", err)
	}
	return until, nil
}

// CertificateEnds is when the server's certificate and its CA's end.
func (d *Dir) CertificateEnds() (leaf, ca time.Time, err error) {
	c, err := d.leaf()
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("read certificate: %w", err)
	}
	leaf = c.NotAfter
	if d.CA() != "" {
		c, _, err := readCertificate(d.CA())
		if err != nil {
			return leaf, time.Time{}, fmt.Errorf("read CA: %w", err)
		}
		ca = c.NotAfter
	}
	return leaf, ca, nil
}

func (d *Dir) leaf() (*x509.Certificate, error) {
	c, _, err := readCertificate(d.setup.Cert)
	return c, err
}

// CAHash is the hash by which a host that is to be enrolled knows the CA, "" where
// the system's CAs are trusted.
func (d *Dir) CAHash() (string, error) {
	if d.CA() == "" {
		return "", nil
	}
	c, _, err := readCertificate(d.CA())
	if err != nil {
		return "", fmt.Errorf("read CA: %w", err)
	}
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:]), nil
}

func readCertificate(path string) (*x509.Certificate, []byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(bytes.TrimSpace(data))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, nil, fmt.Errorf("read %s: there is no certificate in it", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, data, nil
}
