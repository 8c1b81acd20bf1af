package auth

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus"
	"github.com/dataverket/avstem/statefile"
	"github.com/dataverket/avstem/statefile/asuser"
)

// Dir is a directory of keys and what was made with them.
type Dir struct {
	path  string
	setup setup
	now   func() time.Time
}

const setupSchema = "avstem.auth/v1"

// setup is what the directory was made with. Nothing in it is secret.
type setup struct {
	Schema  string   `json:"schema"`
	Sites   []string `json:"sites"`
	Sources []string `json:"sources"` // that a host may publish
	// Names are those of the server, by which clients check its certificate.
	Names    []string `json:"names"`
	Listen   string   `json:"listen"`
	NATSDir  string   `json:"natsDir"`
	StoreDir string   `json:"storeDir"`
	// OwnTLS says that the server's certificate is another CA's: CA, Cert and Key are its files.
	OwnTLS bool   `json:"ownTLS,omitempty"`
	CA     string `json:"ca,omitempty"`
	Cert   string `json:"cert"`
	Key    string `json:"key"`
	// Revoked are the users whose credentials no longer hold, with the time until
	// which issued ones don't.
	Revoked map[string]int64 `json:"revoked,omitempty"`
}

// Options are those of [Init]. What is left out stays as it was, or has a default.
type Options struct {
	Sites    []string // added to those that are there
	Sources  []string // that hosts may publish
	Names    []string // host names and addresses of the server; the first is what clients are told
	Listen   string   // address of the server; "" means ":4222"
	NATSDir  string   // where the server finds its files; "" means nats in the directory
	StoreDir string   // of the streams; "" means store below NATSDir
	// CA, Cert and Key are the files of a certificate that somebody else issued; none
	// means a private CA. CA may be "" where everybody trusts it.
	CA, Cert, Key string
}

// Made is one thing that [Init] made or found.
type Made struct {
	Path string `json:"path"`
	What string `json:"what"`
	// New says that it wasn't there before, Changed that it was, and is another now.
	New     bool `json:"new"`
	Changed bool `json:"changed,omitempty"`
}

// noDirError says that [Init] has made no directory there. It is [fs.ErrNotExist].
type noDirError string

func (e noDirError) Error() string {
	return fmt.Sprintf("open credentials directory: there is none in %s: `avstem auth init` makes it, and --dir (of avstem serve: --auth-dir) names another", string(e))
}

func (noDirError) Unwrap() error { return fs.ErrNotExist }

// Open opens a directory that [Init] made.
func Open(path string) (*Dir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open credentials directory: %w", err)
	}
	d := &Dir{path: path, now: time.Now}
	err = d.load()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noDirError(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open credentials directory: %w", err)
	}
	return d, nil
}

// load reads what another process may have changed.
func (d *Dir) load() error {
	var s setup
	if err := readJSON(d.file("setup.json"), &s); err != nil {
		return err
	}
	if s.Schema != setupSchema {
		return fmt.Errorf("read %s: its schema is %q and not %s", d.file("setup.json"), s.Schema, setupSchema)
	}
	d.setup = s
	return nil
}

// Path is the directory's.
func (d *Dir) Path() string { return d.path }

// Sites are those that have a signing key.
func (d *Dir) Sites() []string { return slices.Clone(d.setup.Sites) }

// Server is the URL that clients are told.
func (d *Dir) Server() string { return serverURL(d.setup.Names[0], d.setup.Listen) }

// ServerNames are the names that the server's certificate is checked by.
func (d *Dir) ServerNames() []string { return slices.Clone(d.setup.Names) }

// Config is the path of the NATS server's configuration.
func (d *Dir) Config() string { return filepath.Join(d.setup.NATSDir, "server.conf") }

// CA is the file of the certificates that clients trust, "" for the system's.
func (d *Dir) CA() string {
	if d.setup.OwnTLS {
		return d.setup.CA
	}
	return d.file("tls", "ca.pem")
}

// OwnTLS says that the server's certificate is not of the private CA.
func (d *Dir) OwnTLS() bool { return d.setup.OwnTLS }

// Certificate gives the files of the server's certificate and key.
func (d *Dir) Certificate() (cert, key string) { return d.setup.Cert, d.setup.Key }

// ReconcilerCreds, ReaderCreds and SystemCreds are credentials files.
func (d *Dir) ReconcilerCreds(site string) string {
	return d.file("creds", "reconciler-"+site+".creds")
}

// ReaderCreds are those of people who only look.
func (d *Dir) ReaderCreds() string { return d.file("creds", "reader.creds") }

// OncallCreds are those of people who also acknowledge findings.
func (d *Dir) OncallCreds() string { return d.file("creds", "oncall.creds") }

// SystemCreds are those with which a changed account is handed to servers.
func (d *Dir) SystemCreds() string { return d.file("creds", "system.creds") }

func (d *Dir) file(parts ...string) string {
	return filepath.Join(append([]string{d.path}, parts...)...)
}

// Init makes a directory, or brings one that is there to what is asked: keys and
// credentials that exist stay, so that it may be run again at any time.
func Init(path string, o Options) (_ *Dir, made []Made, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("set up credentials in %s: %w", path, err)
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	m := maker{Dir: &Dir{path: path, now: time.Now}}
	// See [Dir.change]: natsDir, too, is whose the directory is.
	if err := asuser.Below(path, func() error { return m.all(o) }); err != nil {
		return nil, nil, err
	}
	return m.Dir, m.made, nil
}

// all makes all of it.
func (m *maker) all(o Options) error {
	for _, dir := range []string{m.path, m.file("creds"), m.file("sites"), m.file("hosts"), m.file("tls")} {
		if err := statefile.MkdirAll(dir); err != nil {
			return err
		}
	}
	unlock, err := m.Lock("lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := m.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := m.setup.take(o, m.path); err != nil {
		return err
	}
	if err := statefile.MkdirAll(m.setup.NATSDir); err != nil {
		return err
	}
	for _, step := range []func() error{m.keys, m.tls, m.account, m.credentials, m.config} {
		if err := step(); err != nil {
			return err
		}
	}
	return m.keep(m.file("setup.json"), "what this directory was made with", func(path string) error { return writeJSON(path, m.setup) })
}

// take lays what is asked over what there was.
func (s *setup) take(o Options, dir string) error {
	s.Schema = setupSchema
	s.Sites = sorted(append(s.Sites, o.Sites...))
	s.Sources = sorted(append(s.Sources, o.Sources...))
	if len(o.Names) > 0 {
		s.Names = o.Names
	}
	s.Listen = cmp.Or(o.Listen, s.Listen, "0.0.0.0:4222")
	if o.NATSDir != "" {
		abs, err := filepath.Abs(o.NATSDir)
		if err != nil {
			return err
		}
		s.NATSDir = abs
	}
	s.NATSDir = cmp.Or(s.NATSDir, filepath.Join(dir, "nats"))
	s.StoreDir = cmp.Or(o.StoreDir, s.StoreDir, filepath.Join(s.NATSDir, "store"))
	if (o.Cert == "") != (o.Key == "") {
		return errors.New("a certificate wants its key, and a key its certificate")
	}
	if o.Cert != "" {
		s.OwnTLS, s.CA, s.Cert, s.Key = true, o.CA, o.Cert, o.Key
	}
	if !s.OwnTLS {
		s.Cert, s.Key = filepath.Join(s.NATSDir, "tls-cert.pem"), filepath.Join(s.NATSDir, "tls-key.pem")
	}
	switch {
	case len(s.Sites) == 0:
		return errors.New("it has no site")
	case len(s.Sources) == 0:
		return errors.New("hosts have no source to publish")
	case len(s.Names) == 0:
		return errors.New("the server has no name")
	}
	for _, site := range s.Sites {
		if err := bus.CheckName("site", site); err != nil {
			return err
		}
	}
	for _, source := range s.Sources {
		if err := bus.CheckName("source", source); err != nil {
			return err
		}
	}
	return checkListen(s.Listen)
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// operatorKey and the others are made at the first use of [Init].
func (d *Dir) operatorKey() (nkeys.KeyPair, error) {
	return loadKey(d.file("operator.nk"), nkeys.PrefixByteOperator)
}

func (d *Dir) accountKey() (nkeys.KeyPair, error) {
	return loadKey(d.file("account.nk"), nkeys.PrefixByteAccount)
}

func (d *Dir) systemKey() (nkeys.KeyPair, error) {
	return loadKey(d.file("system.nk"), nkeys.PrefixByteAccount)
}

func (d *Dir) siteKey(site string) (nkeys.KeyPair, error) {
	if !slices.Contains(d.setup.Sites, site) {
		return nil, fmt.Errorf("site %q has no signing key: `avstem auth init --site %s` makes one", site, site)
	}
	return loadKey(d.file("sites", site+".nk"), nkeys.PrefixByteAccount)
}

func encode(c jwt.Claims, by nkeys.KeyPair) (string, error) {
	var results jwt.ValidationResults
	c.Validate(&results)
	if errs := results.Errors(); len(errs) > 0 {
		return "", fmt.Errorf("make JWT: %w", errors.Join(errs...))
	}
	token, err := c.Encode(by)
	if err != nil {
		return "", fmt.Errorf("make JWT: %w", err)
	}
	return token, nil
}
