package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dataverket/avstem/bus/auth"
	"github.com/dataverket/avstem/bus/embedded"
)

// program prepares a run of this program in a process of its own.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Args = append([]string{"avstem"}, args...) // see TestMain
	cmd.Env = append(os.Environ(), "AVSTEM_STATE_DIR=", "AVSTEM_CONFIG=")
	return cmd
}

func initArgs(dir string) []string {
	return []string{"init", "--config", dir + "/etc/avstem.yaml", "--state-dir", dir + "/srv", "--user", "nobody", "--site", "osl1",
		"--name", "nats.example.net", "--listen", "127.0.0.1:42221", "--enroll-listen", "127.0.0.1:42231"}
}

// openDir is a directory that the service's user can get to.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "avstem-init-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// isServer holds a directory to what init makes of it.
func isServer(t *testing.T, dir string) {
	t.Helper()
	keys, err := auth.Open(filepath.Join(dir, "srv", "auth"))
	if err != nil {
		t.Fatal(err)
	}
	if err := embedded.CheckConfig(keys.Config()); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"config", "check", dir + "/etc/avstem.yaml"}, {"sentral", "lint", dir + "/etc/inventory"}, {"enroll", "token", "--config", dir + "/etc/avstem.yaml"}} {
		if out, err := program(t, args...).CombinedOutput(); err != nil {
			t.Errorf("avstem %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
}

// filesIn counts what is in a directory, at any depth.
func filesIn(dir string) (n int) {
	_ = filepath.WalkDir(dir, func(_ string, _ fs.DirEntry, err error) error {
		n++
		return nil // what has gone again meanwhile doesn't matter
	})
	return n
}

// killedAt runs init, and kills it once it has made so many files and directories; it
// says whether it had ended before.
func killedAt(t *testing.T, dir string, made int) (ended bool) {
	t.Helper()
	before := filesIn(dir)
	c := program(t, initArgs(dir)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for filesIn(dir)-before < made {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return true
		default:
		}
	}
	_ = c.Process.Kill()
	<-done
	return false
}

// Wherever it is killed, the next one makes the rest, and it is a server whose first
// host can be let in.
func TestInitThatWasKilledIsFinishedByTheNext(t *testing.T) {
	ended := false
	for made := 0; !ended; made += 4 {
		dir := openDir(t)
		ended = killedAt(t, dir, made)
		tokens, err := filepath.Glob(dir + "/srv/auth/enroll/tokens/*.json")
		if err != nil {
			t.Fatal(err)
		}
		out, err := program(t, initArgs(dir)...).CombinedOutput()
		if err != nil {
			t.Fatalf("after one that was killed when it had made %d: %v\n%s", made, err, out)
		}
		want := "  avstem-agent enroll --server nats.example.net:42231 --token avstem1."
		if len(tokens) > 0 { // whose code may not have been told
			want = "A token that was made before holds until "
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("after one that was killed when it had made %d it doesn't say %q:\n%s", made, want, out)
		}
		isServer(t, dir)
	}
}

// The service has the groups of its user, as under systemd.
func TestInitWithAKeyOfAGroup(t *testing.T) {
	const script = `set -e
sed "/^ssl-cert:/d" /etc/group >"$1/group"
echo "ssl-cert:x:4711:$2" >>"$1/group"
mount --bind "$1/group" /etc/group
chown root:4711 "$1/key.pem" && chmod 0640 "$1/key.pem"
shift 2; exec "$@" --dry-run`
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for members, want := range map[string]string{"nobody": "Nothing was done: this was --dry-run.", "": "key.pem: permission denied: user nobody may not read it"} {
		dir := openDir(t)
		for _, name := range []string{"cert.pem", "key.pem"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		link := filepath.Join(openDir(t), "avstem") // the name by which it is the program
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--mount", "--propagation", "private", "sh", "-c", script, "sh", dir, members, link}, initArgs(dir)...)
		cmd := exec.CommandContext(t.Context(), "unshare", append(args, "--cert", dir+"/cert.pem", "--key", dir+"/key.pem")...)
		cmd.Env = append(os.Environ(), "AVSTEM_STATE_DIR=", "AVSTEM_CONFIG=")
		if out, err := cmd.CombinedOutput(); !strings.Contains(string(out), want) {
			t.Errorf("with %q in the group it doesn't say %q: %v\n%s", members, want, err, out)
		}
	}
}

// A disk that is full says so, and once there is room the next one makes the rest.
func TestInitOnAFullDisk(t *testing.T) {
	for _, files := range []int{8, 15, 24, 36} {
		dir := openDir(t)
		const script = `set -e
mount -t tmpfs -o mode=755,size=128m,nr_inodes=$1 tmpfs "$2"
shift 2
before=$1; shift
if "$before" "$@" 2>&1; then echo "it did not fail"; exit 1; fi
mount -o remount,nr_inodes=10000 "$DIR"
"$before" "$@"
cp -a "$DIR" "$OUT"`
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(openDir(t), "avstem") // the name by which it is the program
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "--propagation", "private", "sh", "-c", script, "sh", fmt.Sprint(files), dir, link}, initArgs(dir)...)...)
		cmd.Env = append(os.Environ(), "DIR="+dir, "OUT="+dir+"-out", "AVSTEM_STATE_DIR=", "AVSTEM_CONFIG=")
		t.Cleanup(func() { os.RemoveAll(dir + "-out") })
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("with %d files: %v\n%s", files, err, out)
		}
		if !strings.Contains(string(out), "no space left on device") {
			t.Errorf("with %d files it doesn't say what is wrong:\n%s", files, out)
		}
		for _, made := range []string{"srv/auth/setup.json", "etc/inventory/site.yaml", "etc/avstem.yaml"} {
			if _, err := os.Stat(filepath.Join(dir+"-out", made)); err != nil {
				t.Error(err)
			}
		}
	}
}

// The packaged service can write in its own state directory alone.
func TestStateDirOfThePackagedService(t *testing.T) {
	for _, test := range []struct {
		unit unit
		dir  string
		ok   bool
	}{
		{unit{there: true}, serverStateDir, true},
		{unit{there: true}, "/srv/avstem", false},
		{unit{}, "/srv/avstem", true}, // of whoever runs it
	} {
		if err := test.unit.check(test.dir); (err == nil) != test.ok {
			t.Errorf("%+v in %s: %v", test.unit, test.dir, err)
		}
	}
}
