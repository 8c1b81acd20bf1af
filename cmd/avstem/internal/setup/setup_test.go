package setup

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func nobody(t *testing.T) Owner {
	t.Helper()
	o, err := FindOwner("nobody")
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// Whether the service may read a file is tried, and not guessed from its mode.
func TestCheckRead(t *testing.T) {
	dir, err := os.MkdirTemp("", "avstem-setup-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	closed, open := filepath.Join(dir, "closed"), filepath.Join(dir, "open")
	for path, mode := range map[string]os.FileMode{closed: 0o600, open: 0o644} {
		if err := os.WriteFile(path, nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	o := nobody(t)
	for path, want := range map[string]string{open: "may not read it", closed: "may not read it", dir: "may not read it"} {
		if err := o.CheckRead(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("in a directory that is closed: %s: %v", path, err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := o.CheckRead(closed); err == nil || !strings.Contains(err.Error(), "install -D -o root -g nobody -m 640") {
		t.Errorf("%v", err)
	}
	for _, path := range []string{open, dir} {
		if err := o.CheckRead(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	// The rights were another thread's: ours are what they were.
	if _, err := os.ReadFile(closed); err != nil {
		t.Error(err)
	}
}

// What the service put into its directory takes root nowhere else.
func TestGiveFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "root's")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	s := &Setup{Owner: nobody(t)}
	if err := s.StateDir(dir); err != nil {
		t.Fatal(err)
	}
	if s.Steps[0].Did != Changed {
		t.Errorf("it was %s", s.Steps[0].Did)
	}
	if err := s.StateDir(dir); err != nil || s.Steps[1].Did != Kept {
		t.Errorf("again: %v, %+v", err, s.Steps)
	}
	s.Owner = Owner{Name: "other", UID: os.Geteuid() + 4711}
	if err := s.StateDir(dir); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("another's directory is taken: %v", err)
	}
	if err := nobody(t).CheckRead(other); err == nil {
		t.Error("root's file was given away")
	}
}

func TestSettings(t *testing.T) {
	keys := pflag.NewFlagSet("keys", pflag.ContinueOnError)
	keys.String("site", "", "")
	keys.String("server", "", "")
	path := filepath.Join(t.TempDir(), "etc", "f.yaml")
	s := &Setup{Owner: nobody(t)}
	for _, test := range []struct {
		want []Setting
		did  Did
		says string
	}{
		{[]Setting{{"site", "a"}}, Made, ""},
		{[]Setting{{"site", "a"}}, Kept, ""},
		{[]Setting{{"site", "a"}, {"server", "b"}}, Changed, ""},
		{[]Setting{{"site", "b"}}, "", "f.yaml:2: site is set to a, and is to be b"},
	} {
		err := s.Settings(path, "# Example.\n#site: x\n", keys, test.want)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v: %v", test.want, err)
		}
		if err == nil && s.Steps[len(s.Steps)-1].Did != test.did {
			t.Errorf("%v: it was %s, want %s", test.want, s.Steps[len(s.Steps)-1].Did, test.did)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil || string(data) != "# Example.\nsite: a\nserver: b\n" {
		t.Errorf("it holds %q, %v", data, err)
	}
}

func TestPortInUse(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := CheckPort(address, "--listen"); err == nil || !strings.Contains(err.Error(), "name it with --server; else take another address with --listen") {
		t.Errorf("%v", err)
	}
	listener.Close()
	if err := CheckPort(address, "--listen"); err != nil {
		t.Error(err)
	}
	if err := CheckRoom("/proc/none"); err == nil {
		t.Error("there is room in /proc")
	}
}
