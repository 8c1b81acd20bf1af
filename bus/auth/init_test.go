package auth_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
)

func options() auth.Options {
	return auth.Options{Sites: []string{site}, Sources: sources, Names: []string{"nats.example.net", "127.0.0.1"}}
}

// Init may be run again at any time: nothing that is in use changes.
func TestInitAgainChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	dir, made, err := auth.Init(path, options())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if !m.New || m.What == "" {
			t.Errorf("%+v was not made by the first", m)
		}
	}
	if err := embedded.CheckConfig(dir.Config()); err != nil {
		t.Error(err)
	}
	before := contents(t, path)
	_, made, err = auth.Init(path, auth.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range made {
		if m.New || m.Changed {
			t.Errorf("%s was made again", m.Path)
		}
	}
	for name, text := range contents(t, path) {
		if before[name] != text {
			t.Errorf("%s has changed", name)
		}
	}
	// Another site is added, and a new source brings no new credentials.
	if _, _, err := auth.Init(path, auth.Options{Sites: []string{"trd1"}, Sources: []string{"runtime-new"}}); err != nil {
		t.Fatal(err)
	}
	for name, text := range contents(t, path) {
		if was, there := before[name]; there && was != text && !strings.HasPrefix(name, "account") && name != "setup.json" && name != "nats/accounts.conf" {
			t.Errorf("%s has changed", name)
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o", path, got)
		}
		if d.IsDir() {
			return nil
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestInitRefuses(t *testing.T) {
	for name, change := range map[string]func(*auth.Options){
		"no site":              func(o *auth.Options) { o.Sites = nil },
		"site that is no name": func(o *auth.Options) { o.Sites = []string{"*"} },
		"site above":           func(o *auth.Options) { o.Sites = []string{"../x"} },
		"source that is none":  func(o *auth.Options) { o.Sources = []string{"a.b"} },
		"server without name":  func(o *auth.Options) { o.Names = nil },
		"address that is none": func(o *auth.Options) { o.Listen = "here" },
		"port that is none":    func(o *auth.Options) { o.Listen = "0.0.0.0:http" },
		"key alone":            func(o *auth.Options) { o.Key = "/x" },
		"certificate not there": func(o *auth.Options) {
			o.Cert, o.Key = filepath.Join(os.TempDir(), "no-such-cert"), filepath.Join(os.TempDir(), "no-such-key")
		},
	} {
		o := options()
		change(&o)
		if _, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"), o); err == nil || !strings.Contains(err.Error(), "set up credentials") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A key that others could have read is used for nothing.
func TestKeyThatOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth")
	dir, _, err := auth.Init(path, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(path, "sites", site+".nk"), 0o644); err != nil {
		t.Fatal(err)
	}
	key, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := dir.Issue(auth.Issue{ID: uuid.New(), Site: site, Key: public}); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("got %v", err)
	}
}

// One identity has one key at a time: another is never let in silently.
func TestSecondKeyOfAHostIsRefused(t *testing.T) {
	dir, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"), options())
	if err != nil {
		t.Fatal(err)
	}
	issue := func(replace bool) error {
		key, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, err := key.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = dir.Issue(auth.Issue{ID: hostA, Site: site, Key: public, Replace: replace})
		return err
	}
	if err := issue(false); err != nil {
		t.Fatal(err)
	}
	if err := issue(false); err == nil || !strings.Contains(err.Error(), "has valid credentials since") {
		t.Errorf("got %v", err)
	}
	if err := issue(true); err != nil {
		t.Error(err)
	}
}

// The certificate says how long it lives, and holds for every name.
func TestCertificateOfThePrivateCA(t *testing.T) {
	dir, _, err := auth.Init(filepath.Join(t.TempDir(), "auth"), options())
	if err != nil {
		t.Fatal(err)
	}
	leaf, ca, err := dir.CertificateEnds()
	if err != nil {
		t.Fatal(err)
	}
	year := 365 * 24 * time.Hour
	if left := time.Until(leaf); left < year || left > year+60*24*time.Hour {
		t.Errorf("the certificate ends at %s", leaf)
	}
	if left := time.Until(ca); left < 9*year {
		t.Errorf("the CA ends at %s", ca)
	}
	hash, err := dir.CAHash()
	if err != nil || len(hash) != 64 {
		t.Errorf("the CA's hash is %q, %v", hash, err)
	}
	// Another name makes another certificate of the same CA.
	dir, _, err = auth.Init(dir.Path(), auth.Options{Names: []string{"other.example.net"}})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := dir.CAHash(); err != nil || again != hash {
		t.Errorf("the CA is another: %v", err)
	}
	if dir.Server() != "tls://other.example.net:4222" {
		t.Errorf("the server is %s", dir.Server())
	}
}
