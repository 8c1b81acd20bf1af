package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helperDir tells this test's binary to be a starter instead: it starts a rig
// there, says so, and waits to be killed.
const (
	helperDir     = "AVSTEM_TEST_RIG_DIR"
	helperPersist = "AVSTEM_TEST_RIG_PERSIST"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(helperDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	_, err := Start(context.Background(), dir, Options{Persist: os.Getenv(helperPersist) != ""})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("started")
	if os.Getenv(helperPersist) != "leave" {
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// starter starts a rig in a process of its own.
func starter(t *testing.T, dir, persist string) (*exec.Cmd, *bufio.Reader) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperDir+"="+dir, helperPersist+"="+persist)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd, bufio.NewReader(stdout)
}

func shortDir(t *testing.T) string {
	t.Helper()
	base, err := os.MkdirTemp("", "avstem-rigdir-")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "rig")
	t.Cleanup(func() {
		if err := Clean(dir); err != nil {
			t.Error(err)
		}
		os.RemoveAll(base)
	})
	return dir
}

// traces lists what on the machine still has to do with dir.
func traces(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	if _, err := os.Stat(dir); err == nil {
		found = append(found, dir)
	}
	for _, pattern := range []string{"/proc/[0-9]*/mountinfo", "/proc/[0-9]*/cmdline"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err == nil && strings.Contains(string(data), dir) {
				found = append(found, path)
			}
		}
	}
	return found
}

// The starter is killed when a file shows how far it is; Clean must find and
// remove what there is, whatever it is.
func TestCleanAfterStarterWasKilled(t *testing.T) {
	points := []struct{ name, file string }{
		{"directory", ""},
		{"record", "/" + recordFile},
		{"layout", initFile},
		{"init", logFile},
		{"switch", "/run/openvswitch/db.sock"},
		{"libvirtd", "/run/libvirt/libvirt-sock"},
		{"ready", ""},
	}
	for _, persist := range []string{"", "wait"} {
		for _, p := range points {
			t.Run(strings.TrimSuffix("at "+p.name+" "+persist, " "), func(t *testing.T) {
				dir := shortDir(t)
				cmd, said := starter(t, dir, persist)
				if p.name == "ready" {
					if line, err := said.ReadString('\n'); err != nil || line != "started\n" {
						t.Fatalf("starter said %q: %v", line, err)
					}
				} else {
					awaitTrue(t, dir+p.file+" is there", func() bool {
						_, err := os.Lstat(dir + p.file)
						return err == nil
					})
				}
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				if err := Clean(dir); err != nil {
					t.Fatal(err)
				}
				// An init.sh that was never told to go has touched nothing, and
				// leaves when it sees its pipe end.
				awaitTrue(t, "no process, mount or file is left", func() bool { return len(traces(t, dir)) == 0 })
				if err := Clean(dir); err != nil {
					t.Errorf("clean a second time: %v", err)
				}
			})
		}
	}
}

func TestRigDiesWithItsStarter(t *testing.T) {
	dir := shortDir(t)
	cmd, said := starter(t, dir, "")
	if _, err := said.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	addGuest(t, r, "doomed", 1)
	if err := r.StartVM("doomed"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitTrue(t, "the rig is gone", func() bool { return !r.Running() })
	if found := traces(t, dir); len(found) != 1 {
		t.Errorf("left besides the directory: %v", found)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("open a dead rig: %v, want %v", err, ErrNotRunning)
	}
	if _, err := r.Virsh("list"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("virsh in a dead rig: %v, want %v", err, ErrNotRunning)
	}
}

func TestPersistentRigOutlivesItsStarter(t *testing.T) {
	dir := shortDir(t)
	cmd, _ := starter(t, dir, "leave")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	must(t)(r.Virsh("list"))
	if _, err := Start(t.Context(), dir, Options{}); err == nil || !strings.Contains(err.Error(), "isn't empty") {
		t.Errorf("start over a running rig: %v, want a refusal", err)
	}
	if err := r.Stop(); err != nil {
		t.Fatal(err)
	}
	if found := traces(t, dir); len(found) > 0 {
		t.Errorf("left: %v", found)
	}
	if err := r.Stop(); err != nil {
		t.Errorf("stop a second time: %v", err)
	}
}

func TestStartGivesUpWithItsContext(t *testing.T) {
	dir := shortDir(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want %v", err, context.Canceled)
	}
	if found := traces(t, dir); len(found) > 0 {
		t.Errorf("left: %v", found)
	}
}

func TestCleanLeavesOthersFilesAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Clean(dir); !errors.Is(err, errNotARig) {
		t.Errorf("error is %v, want %v", err, errNotARig)
	}
	if _, err := os.Stat(precious); err != nil {
		t.Error(err)
	}
}

// A record may outlive its process, and the PID be somebody else's by then.
func TestCleanDoesNotKillWhoeverHasThePIDNow(t *testing.T) {
	bystander := exec.Command("sleep", "3600")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = bystander.Process.Kill()
		_ = bystander.Wait()
	}()
	p, err := identify(bystander.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*process){
		"another start time": func(p *process) { p.Start-- },
		"another boot":       func(p *process) { p.Boot = "00000000-0000-0000-0000-000000000000" },
	} {
		dir := shortDir(t)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		stale := p
		change(&stale)
		if err := (record{Init: stale, Ready: true}).write(dir); err != nil {
			t.Fatal(err)
		}
		if err := Clean(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !p.alive() {
			t.Fatalf("%s: the bystander was killed", name)
		}
	}
}

func TestStartRefusesImpossibleDirectories(t *testing.T) {
	for dir, want := range map[string]string{
		"/tmp/" + strings.Repeat("x", 100): "the kernel allows 107",
		"/run/rig":                         "/run is hidden inside a rig",
		"/var/lib/libvirt/rig":             "/var/lib/libvirt is hidden inside a rig",
	} {
		_, err := Start(t.Context(), dir, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("start in %s: %v, want %q", dir, err, want)
		}
		if _, err := os.Stat(dir); !os.IsNotExist(err) {
			t.Errorf("%s was made: %v", dir, err)
		}
	}
}

func TestMissingPackagesNameTheCommand(t *testing.T) {
	if missing := missingPackages(Options{LXD: true, Incus: true}); len(missing) > 0 {
		t.Fatalf("the tests need more packages: run: %s", strings.Join(installCommand(missing), " "))
	}
	if installed("no-such-program-anywhere") {
		t.Error("a program that is nowhere counts as installed")
	}
	t.Setenv("PATH", "/nonexistent")
	if !installed("ovs-vswitchd") {
		t.Error("ovs-vswitchd isn't found outside PATH")
	}
	want := "packages are missing: run: apt-get install -y --no-install-recommends "
	if err := checkPackages(Options{}); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error is %v, want it to begin with %q", err, want)
	}
}
