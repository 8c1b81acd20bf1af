package setup

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/pflag"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/statefile/asuser"
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

// openDir is a directory of root's that everybody may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ownerOf is a file's user and mode.
func ownerOf(t *testing.T, path string) (uid int, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), info.Mode().Perm()
}

// stateDir makes a state directory as the service has it.
func stateDir(t *testing.T, s *Setup) string {
	t.Helper()
	dir := filepath.Join(openDir(t), "state")
	if err := s.StateDir(dir); err != nil {
		t.Fatal(err)
	}
	if uid, mode := ownerOf(t, dir); uid != s.Owner.UID || mode != 0o700 {
		t.Fatalf("%s is %d's with mode %o", dir, uid, mode)
	}
	return dir
}

// What the service put into its directory takes root nowhere else.
func TestGiveFollowsNoLink(t *testing.T) {
	dir := openDir(t)
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
	// What root left in it is the service's, too.
	if err := os.WriteFile(filepath.Join(dir, "left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.StateDir(dir); err != nil || s.Steps[2].Did != Changed {
		t.Errorf("with a file of root's: %v, %+v", err, s.Steps)
	}
	if uid, _ := ownerOf(t, filepath.Join(dir, "left")); uid != s.Owner.UID {
		t.Errorf("it is %d's", uid)
	}
	if uid, _ := ownerOf(t, other); uid != 0 {
		t.Error("root's file was given away")
	}
	// A file of root's that has a name in there as well.
	hard := filepath.Join(filepath.Dir(dir), "hard")
	if err := errors.Join(os.WriteFile(hard, nil, 0o600), os.Link(hard, filepath.Join(dir, "hard"))); err != nil {
		t.Fatal(err)
	}
	if err := s.StateDir(dir); err == nil || !strings.Contains(err.Error(), "hard has another name elsewhere") {
		t.Errorf("a second name of root's file: %v", err)
	}
	if uid, _ := ownerOf(t, hard); uid != 0 {
		t.Error("root's file was given away by its second name")
	}
	s.Owner = Owner{Name: "other", User: asuser.User{UID: os.Geteuid() + 4711}}
	if err := s.StateDir(dir); err == nil || !strings.Contains(err.Error(), "belongs to user") {
		t.Errorf("another's directory is taken: %v", err)
	}
}

// A directory of root's is given away where root alone said which one that is.
func TestGiveIsNotLedAway(t *testing.T) {
	s := &Setup{Owner: nobody(t)}
	dir := stateDir(t, s)
	roots := openDir(t)
	link := filepath.Join(dir, "link")
	if err := errors.Join(os.Symlink(roots, link), os.Lchown(link, s.Owner.UID, s.Owner.GID)); err != nil {
		t.Fatal(err)
	}
	if err := s.StateDir(link); err == nil || !strings.Contains(err.Error(), "could have put another in its place") {
		t.Errorf("%v", err)
	}
	if uid, _ := ownerOf(t, roots); uid != 0 {
		t.Errorf("root's directory is %d's", uid)
	}
	// An operator's link to a larger disk is one that root made.
	if err := os.Symlink(roots, dir+"-moved"); err != nil {
		t.Fatal(err)
	}
	if err := s.StateDir(dir + "-moved"); err != nil {
		t.Error(err)
	}
	if uid, _ := ownerOf(t, roots); uid != s.Owner.UID {
		t.Errorf("it is %d's", uid)
	}
}

// A service that puts a link in place of its keys gets nothing of root's by it.
func TestAuthThatIsALink(t *testing.T) {
	s := &Setup{Owner: nobody(t)}
	keys := filepath.Join(stateDir(t, s), "auth")
	o := auth.Options{Sites: []string{"osl1"}, Sources: []string{"libvirt"}, Names: []string{"nats.example.net"}}
	if _, err := s.Auth(keys, o); err != nil {
		t.Fatal(err)
	}
	roots := openDir(t)
	if err := os.WriteFile(filepath.Join(roots, "shadow"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(keys, keys+"-moved"), os.Symlink(roots, keys), os.Lchown(keys, s.Owner.UID, s.Owner.GID)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Auth(keys, o); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
	for _, path := range []string{roots, filepath.Join(roots, "shadow")} {
		if uid, _ := ownerOf(t, path); uid != 0 {
			t.Errorf("%s is %d's", path, uid)
		}
	}
	if entries, err := os.ReadDir(roots); err != nil || len(entries) != 1 {
		t.Errorf("root has %v, %v", entries, err)
	}
}

// Whatever root's umask is, the service reads its settings, inventory and
// credentials.
func TestServiceMayReadWhatIsLent(t *testing.T) {
	before := syscall.Umask(0o077)
	defer syscall.Umask(before)
	s := &Setup{Owner: nobody(t)}
	top := openDir(t)
	if err := os.Chmod(top, 0o755); err != nil {
		t.Fatal(err)
	}
	from := filepath.Join(t.TempDir(), "creds")
	if err := os.WriteFile(from, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "srv", "avstem")
	lent := filepath.Join(dir, "nats-creds")
	for range 2 {
		if err := s.Lend(from, lent, "credentials"); err != nil {
			t.Fatal(err)
		}
	}
	keys := pflag.NewFlagSet("keys", pflag.ContinueOnError)
	keys.String("site", "", "")
	if err := s.Settings(filepath.Join(dir, "f.yaml"), "", keys, []Setting{{"site", "a"}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Inventory(filepath.Join(dir, "inventory"), "a", dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nats-creds", "f.yaml", "inventory", "inventory/site.yaml"} {
		if err := s.Owner.CheckRead(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if uid, mode := ownerOf(t, lent); uid != 0 || mode != 0o640 {
		t.Errorf("what is lent is %d's with mode %o", uid, mode)
	}
	// Where the service may read it no more, it is lent again.
	if err := os.Chmod(lent, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Lend(from, lent, "credentials"); err != nil {
		t.Fatal(err)
	}
	var did []Did
	for _, step := range s.Steps {
		did = append(did, step.Did)
	}
	if want := []Did{Made, Kept, Made, Made, Changed}; !slices.Equal(did, want) {
		t.Errorf("it was %v, want %v", did, want)
	}
	if err := s.Owner.CheckRead(lent); err != nil {
		t.Error(err)
	}
}

// What the service has in place of its files takes nothing of root's from it.
func TestStateThatIsALink(t *testing.T) {
	s := &Setup{Owner: nobody(t)}
	dir := stateDir(t, s)
	roots := openDir(t)
	link := filepath.Join(dir, ".config")
	if err := errors.Join(os.Symlink(roots, link), os.Lchown(link, s.Owner.UID, s.Owner.GID)); err != nil {
		t.Fatal(err)
	}
	if err := s.State([]byte("x"), filepath.Join(link, "nats", "context", "prod.json"), "context"); !errors.Is(err, os.ErrPermission) {
		t.Errorf("%v", err)
	}
	if err := s.State([]byte("x"), filepath.Join(dir, "config", "nats", "prod.json"), "context"); err != nil {
		t.Error(err)
	}
	if uid, mode := ownerOf(t, filepath.Join(dir, "config", "nats", "prod.json")); uid != s.Owner.UID || mode != 0o600 {
		t.Errorf("it is %d's with mode %o", uid, mode)
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
