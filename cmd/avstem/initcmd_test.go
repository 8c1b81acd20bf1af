package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// Wherever it is killed, the next one makes the rest, and it is a server.
func TestInitThatWasKilledIsFinishedByTheNext(t *testing.T) {
	for after := time.Duration(0); after < 150*time.Millisecond; after += 15 * time.Millisecond {
		dir := openDir(t)
		killed := program(t, initArgs(dir)...)
		if err := killed.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after) // where it is then is chance: any place must do
		_ = killed.Process.Kill()
		_ = killed.Wait()
		out, err := program(t, initArgs(dir)...).CombinedOutput()
		if err != nil {
			t.Fatalf("after one that was killed after %s: %v\n%s", after, err, out)
		}
		isServer(t, dir)
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
