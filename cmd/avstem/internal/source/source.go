// Package source opens the source of inventories that a command line names, and
// reads the files that say how to be let in: tokens, CAs, certificates.
//
// It exists so that every command takes an inventory in the same words. It knows
// every source and nothing of what is done with inventories. A [Spec] is plain
// data; what [Spec.Open] gives may be used from several goroutines.
package source

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/sentral"
	"github.com/dataverket/avstem/sentral/files"
	"github.com/dataverket/avstem/sentral/httpapi"
	"github.com/dataverket/avstem/sentral/kvsource"
	"github.com/dataverket/avstem/sentral/netbox"
)

// Spec says where an inventory is, and how to be let in. A file holds it as YAML.
type Spec struct {
	// From is a directory, https://HOST, nats-kv:BUCKET or netbox+https://HOST.
	From string `yaml:"from"`
	// TokenFile holds the bearer token; it is read for each request.
	TokenFile string `yaml:"tokenFile"`
	// CA holds the CAs that the server's certificate is signed by, in PEM; "" is
	// the system's.
	CA string `yaml:"ca"`
	// Cert and Key are the client's own; they are read for each connection.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// PlaintextHTTP lets plain HTTP go to another machine.
	PlaintextHTTP bool `yaml:"plaintextHTTPThatAnybodyCanForge"`
	// NetBox says what a NetBox has where; see [netbox.Mapping].
	NetBox yaml.Node `yaml:"netbox"`
}

// Remote says whether the inventory comes over a network, so that it may be
// away for a while.
func (s *Spec) Remote() bool { return s.overHTTP() || s.OnNATS() }

func (s *Spec) overHTTP() bool { return strings.Contains(s.From, "://") }

// What the names of places begin with that aren't a directory or an address.
const (
	kvPrefix     = "nats-kv:"
	netboxPrefix = "netbox+"
)

func (s *Spec) isNetBox() bool { return strings.HasPrefix(s.From, netboxPrefix) }

// OnNATS says whether it is a bucket of the NATS server that everything else is
// on, so that a connection is needed.
func (s *Spec) OnNATS() bool { return strings.HasPrefix(s.From, kvPrefix) }

// maxSpec bounds a file with a spec.
const maxSpec = 64 << 10

// Find makes a spec of what a command line says: a place, or the file of a spec.
// Paths in a file are relative to it.
func Find(where string) (*Spec, error) {
	info, err := os.Stat(where)
	if err != nil || !info.Mode().IsRegular() {
		return &Spec{From: where}, nil // whatever it is: opening it tells
	}
	if info.Size() > maxSpec {
		return nil, fmt.Errorf("read inventory: %s is larger than %d bytes: name the directory that it is in, if it is a part of the inventory itself", where, maxSpec)
	}
	text, err := os.ReadFile(where)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	s, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("read inventory: %s: %w", where, err)
	}
	dir := filepath.Dir(where)
	for _, path := range []*string{&s.TokenFile, &s.CA, &s.Cert, &s.Key} {
		*path = under(dir, *path)
	}
	if !s.Remote() {
		s.From = under(dir, s.From)
	}
	return s, nil
}

func under(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// parse reads the file of a spec.
func parse(text []byte) (*Spec, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var s Spec
	if err := decoder.Decode(&s); errors.Is(err, io.EOF) {
		return nil, errors.New("it is empty: want from: https://HOST and so on, as /usr/share/doc/avstem/sentral.md shows")
	} else if err != nil {
		return nil, fmt.Errorf("it doesn't say where the inventory is, as /usr/share/doc/avstem/sentral.md shows (an inventory's own files are named by their directory): %s", words(err))
	}
	return &s, s.check()
}

// words is what is wrong, without what only Go knows of it.
// noMapping is what yaml says of a list or a text.
var noMapping = regexp.MustCompile(`cannot unmarshal !!\w+.* into source\.Spec`)

func words(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if several, ok := errors.AsType[*yaml.TypeError](err); ok {
		text = strings.Join(several.Errors, "; ")
	}
	text = strings.ReplaceAll(text, " not found in type source.Spec", " is none that is known")
	return noMapping.ReplaceAllString(text, "want keys and values")
}

func (s *Spec) check() error {
	over := s.TokenFile != "" || s.CA != "" || s.Cert != "" || s.Key != "" || s.PlaintextHTTP
	switch {
	case s.From == "":
		return errors.New("from is missing: want a directory, https://HOST, nats-kv:BUCKET or netbox+https://HOST")
	case (s.Cert == "") != (s.Key == ""):
		return errors.New("cert and key go together")
	case !s.NetBox.IsZero() && !s.isNetBox():
		return fmt.Errorf("netbox is for netbox+https://HOST, and %q is none", s.From)
	case over && !s.overHTTP():
		return fmt.Errorf("tokenFile, ca, cert and key are for an inventory over HTTP, and %q is none", s.From)
	}
	return nil
}

// Open makes the source. Nothing is read yet, but a directory must be there.
// Connect gives the connection to NATS that a bucket is read over.
func (s *Spec) Open(connect func() (*bus.Conn, error)) (sentral.Source, error) {
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	switch scheme, _, remote := strings.Cut(s.From, "://"); {
	case s.OnNATS():
		return s.openBucket(connect)
	case !remote:
		return files.Open(s.From)
	case s.isNetBox():
		return s.openNetBox()
	case scheme != "https" && scheme != "http":
		return nil, fmt.Errorf("read inventory: %q is of no kind that is known: want a directory, https://HOST, nats-kv:BUCKET or netbox+https://HOST", s.From)
	}
	config, err := s.tls()
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return httpapi.NewClient(httpapi.ClientOptions{URL: s.From, Plaintext: s.PlaintextHTTP, Token: s.token(), TLS: config})
}

func (s *Spec) openBucket(connect func() (*bus.Conn, error)) (sentral.Source, error) {
	bucket := strings.TrimPrefix(s.From, kvPrefix)
	if err := kvsource.CheckBucket(bucket); err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	conn, err := connect()
	if err != nil {
		return nil, err
	}
	return kvsource.New(conn.JetStream(), bucket), nil
}

func (s *Spec) openNetBox() (sentral.Source, error) {
	mapping := netbox.DefaultMapping()
	if !s.NetBox.IsZero() {
		text, err := yaml.Marshal(&s.NetBox)
		if err != nil {
			return nil, fmt.Errorf("read NetBox mapping: %w", err)
		}
		if mapping, err = netbox.ParseMapping(text); err != nil {
			return nil, err
		}
	}
	config, err := s.tls()
	if err != nil {
		return nil, fmt.Errorf("read inventory: %w", err)
	}
	return netbox.New(netbox.Options{
		URL: strings.TrimPrefix(s.From, netboxPrefix), Plaintext: s.PlaintextHTTP, Token: s.token(), TLS: config, Mapping: mapping,
	})
}

// token gives the token as its file has it at the time, nil without a file.
func (s *Spec) token() func() (string, error) {
	if s.TokenFile == "" {
		return nil
	}
	return func() (string, error) {
		tokens, err := ReadTokens(s.TokenFile)
		if err != nil {
			return "", err
		}
		return tokens[0], nil
	}
}

// tls is what a client is to trust and to show.
func (s *Spec) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		pool, err := ReadCAs(s.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	if s.Cert != "" {
		if _, err := ReadKeyPair(s.Cert, s.Key); err != nil {
			return nil, err
		}
		// Again for each connection, since certificates are renewed.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return ReadKeyPair(s.Cert, s.Key) }
	}
	return config, nil
}
