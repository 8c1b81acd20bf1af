package auth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/nats-io/nkeys"
)

// nobody is a service's user, who needs no name.
const nobody = 65534

// Root's commands write where the directory says, and the service writes in the
// directory: they must do no more than the service could.
func TestDirectoryOfAServiceLeadsRootNowhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("what root's commands do is tried as root")
	}
	top := t.TempDir()
	path, roots := filepath.Join(top, "auth"), filepath.Join(top, "roots")
	if err := errors.Join(os.Chmod(filepath.Dir(top), 0o755), os.Mkdir(path, 0o700), os.Mkdir(roots, 0o755), os.Lchown(path, nobody, nobody)); err != nil {
		t.Fatal(err)
	}
	o := Options{Sites: []string{"osl1"}, Sources: []string{"libvirt"}, Names: []string{"nats.example.net"}, Listen: ":4222"}
	d, _, err := Init(path, o)
	if err != nil {
		t.Fatal(err)
	}
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	host := Issue{ID: uuid.New(), Site: "osl1"}
	if host.Key, err = user.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Issue(host); err != nil {
		t.Fatal(err)
	}
	// The service says that the server's files are root's.
	d.setup.NATSDir = filepath.Join(roots, "nats")
	d.setup.Cert, d.setup.Key = filepath.Join(roots, "cert.pem"), filepath.Join(roots, "key.pem")
	if err := writeJSON(d.file("setup.json"), d.setup); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"init":   func() error { _, _, err := Init(path, o); return err },
		"revoke": func() error { _, err := d.Revoke(host.ID); return err },
		"renew":  func() error { _, err := d.RenewCertificate(); return err },
	} {
		if err := do(); !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// And that a JWT is a file that only root may read.
	secret := filepath.Join(roots, "secret")
	if err := errors.Join(os.WriteFile(secret, []byte("root's"), 0o600), os.Remove(d.file("operator.jwt")), os.Symlink(secret, d.file("operator.jwt"))); err != nil {
		t.Fatal(err)
	}
	d.setup.NATSDir = filepath.Join(path, "nats")
	d.setup.Cert, d.setup.Key = filepath.Join(d.setup.NATSDir, "tls-cert.pem"), filepath.Join(d.setup.NATSDir, "tls-key.pem")
	if err := writeJSON(d.file("setup.json"), d.setup); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Init(path, o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("init reads root's secret: %v", err)
	}
	entries, err := os.ReadDir(roots)
	if data, _ := os.ReadFile(secret); err != nil || len(entries) != 1 || string(data) != "root's" {
		t.Errorf("root has %v, %v, and in its file %q", entries, err, data)
	}
}
